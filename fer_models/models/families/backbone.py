"""Published networks, made for photos of things, over the face, or over the face and its optical flow picture.

VGG16 and VGG19 (Simonyan and Zisserman 2015), ResNet50 (He et al. 2016), MobileNetV3-Small (Howard et al. 2019), with
fresh weights or with those of ImageNet: `model.backbone_weights`. Two streams begin with the same ones, and the optical
flow is drawn in the range of photos for them, as in Wang et al. 2015, *Towards good practices for very deep two-stream
ConvNets*.

Their filters are a share of the published ones, `model.backbone_width`, and do not follow `model.width`.
"""

from collections.abc import Sequence
from typing import Any, Literal

from fer_models.models.backbones.laying import NETWORKS, lay_streams, published_weights
from fer_models.models.families import Family, Recipe
from fer_models.models.inputs import input_layers
from fer_models.models.network import Network
from fer_models.models.streams import LOGITS, Fusion, decide, head_name, pooled
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings, Settings


class BackboneOptions(Settings):
    """Which network, over what.

    Args:
        streams: the face, its optical flow picture, or both.
        fusion: how two streams become one vector; none for a single stream.
    """

    network: Literal["vgg16", "vgg19", "resnet50", "mobilenet-v3-small"]
    streams: tuple[Literal["spatial", "temporal"], ...] = ("spatial", "temporal")
    fusion: Fusion | None = None


def needs(options: BackboneOptions) -> SegmentShape:
    """One frame, and its motion where there is a temporal stream."""
    return SegmentShape(num_frames=1, has_optical_flow="temporal" in options.streams)


def build(options: BackboneOptions, recipe: Recipe) -> tuple[list[Any], Any, Network]:
    """Inputs, logits and the record of an arm; a single stream takes all inputs too, and uses one."""
    inputs = input_layers(recipe.shape)
    laid = lay_streams(NETWORKS[options.network], options.streams, inputs, recipe)
    vectors = [pooled(one, stream, "gap", recipe) for stream, one in laid.last_maps.items()]
    network = Network(
        family=FAMILY.name,
        shape=recipe.shape,
        head=head_name(recipe.settings.form),
        logits=LOGITS,
        feature_maps=laid.feature_maps,
        pretrained=laid.pretrained,
    )
    return list(inputs.values()), decide(vectors, options.fusion, recipe), network


def methods(arms: Sequence[BackboneOptions], settings: ModelSettings) -> str:
    """What these arms are."""
    titles = list(dict.fromkeys(NETWORKS[arm.network].title for arm in arms))
    seen = {
        1: "the face" if any("spatial" in arm.streams for arm in arms) else "its motion",
        2: "the face and its motion",
    }
    over = " or ".join(seen[number] for number in sorted({len(arm.streams) for arm in arms}))
    return f"{' and '.join(titles)} over {over}, {size_in_words(settings)},"


def size_in_words(settings: ModelSettings) -> str:
    """How large published networks are, and what they begin with, for a report."""
    size = (
        "of the published size" if settings.backbone_width == 1 else f"of {settings.backbone_width:g} of their filters"
    )
    begun = {"none": "with fresh weights", "imagenet": "begun with weights of ImageNet"}
    return f"{size}, {begun.get(settings.backbone_weights, 'begun with weights of a file')}"


def weights(options: BackboneOptions, settings: ModelSettings) -> tuple[str, ...]:
    """Those of the network, unless it begins with fresh ones."""
    return published_weights(NETWORKS[options.network], settings)


FAMILY = Family("backbone", BackboneOptions, needs, lambda options: options.streams, build, methods, weights)
