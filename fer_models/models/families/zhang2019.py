"""Zhang et al. 2019, *Learning affective video features for facial expression recognition via hybrid deep learning*
(IEEE Access 7, 32297-32304): VGG16 over the face and over its optical flow picture, fused by a deep belief network.

The belief network is two sigmoid layers. First the streams are trained by themselves, then each of the two without
labels, as a restricted Boltzmann machine on what the layer before gives for the training segments (Hinton, Osindero and
Teh 2006), then all together: `fer_models.training.preparing`. `fusion_net: dense` has layers with ReLU in their place
and is trained in one go, as in the study that this project began with.

The published pipeline goes on: it averages what the belief network gives over the segments of a video, and a linear
support vector machine tells the expression of the video. Its VGG16 end in dense layers of 4,096 units, which weights
that Keras publishes without a head do not have: here the last maps enter the fusion cell by cell.
"""

from collections.abc import Sequence
from typing import Any, Literal

from keras import layers

from fer_models.models.backbones.laying import lay_streams, published_weights
from fer_models.models.backbones.vgg import VGG16
from fer_models.models.families import Family, Recipe
from fer_models.models.families.backbone import size_in_words
from fer_models.models.inputs import input_layers
from fer_models.models.network import Network
from fer_models.models.streams import LOGITS, decide_last, pooled
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings, Settings

_STREAMS = ("spatial", "temporal")
#: The layers that fuse, by kind, each of `model.head_units` units, in every form.
_LAYERS = {"dbn": ("belief1", "belief2"), "dense": ("fusion1", "fusion2")}


class Zhang2019Options(Settings):
    """How the streams are fused: by a deep belief network or by dense layers."""

    fusion_net: Literal["dbn", "dense"]


def build(options: Zhang2019Options, recipe: Recipe) -> tuple[list[Any], Any, Network]:
    """Inputs, logits and the record of an arm."""
    inputs = input_layers(recipe.shape)
    laid = lay_streams(VGG16, _STREAMS, inputs, recipe)
    vectors = [pooled(one, stream, "flatten", recipe) for stream, one in laid.last_maps.items()]
    x = layers.Concatenate(dtype=recipe.precision, name="fusion")(vectors)
    names = _LAYERS[options.fusion_net]
    for name in names:
        x = layers.Dense(
            recipe.settings.head_units,
            activation="sigmoid" if options.fusion_net == "dbn" else "relu",
            kernel_initializer=recipe.initializers(name),
            dtype=recipe.precision,
            name=name,
        )(x)
    network = Network(
        family=FAMILY.name,
        shape=recipe.shape,
        head=names[0],
        logits=LOGITS,
        feature_maps=laid.feature_maps,
        pretrained=laid.pretrained,
        belief=names if options.fusion_net == "dbn" else (),
    )
    return list(inputs.values()), decide_last(x, recipe), network


def methods(arms: Sequence[Zhang2019Options], settings: ModelSettings) -> str:
    """What these arms are."""
    nets = {"dbn": "a deep belief network", "dense": "dense layers"}
    fused = " or ".join(words for net, words in nets.items() if any(arm.fusion_net == net for arm in arms))
    return (
        f"Networks after Zhang et al. (2019), VGG16 over the face and its motion, {size_in_words(settings)}, fused by "
        f"{fused} of two times {settings.head_units} units,"
    )


def weights(options: Zhang2019Options, settings: ModelSettings) -> tuple[str, ...]:
    """Those of VGG16, unless it begins with fresh ones."""
    return published_weights(VGG16, settings)


FAMILY = Family(
    "zhang2019", Zhang2019Options, lambda options: SegmentShape(), lambda options: _STREAMS, build, methods, weights
)
