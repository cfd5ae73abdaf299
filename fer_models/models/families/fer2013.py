"""The mini-Xception of FER2013 with its own head, as it was published: for use as it is, not for training.

It knows the seven classes of FER2013 (`fer_models.models.backbones.mini_xception.CLASSES`) and no others.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import keras
from keras import layers
from pydantic import Field

from fer_models.models.backbones import mini_xception
from fer_models.models.families import Family, Recipe
from fer_models.models.inputs import GreyFaces, input_layers
from fer_models.models.network import FeatureMap, Network
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings, Settings


class Fer2013Options(Settings):
    """How it looks at a face.

    Args:
        seen_share: share of a stored face's side that it sees, in the middle; the photos of FER2013 are cut tighter
            than the boxes of face detectors.
    """

    seen_share: Annotated[float, Field(gt=0, le=1)] = 1.0

    def border_px(self, side_px: int) -> int:
        """What it does not see at each edge of a stored face."""
        return round(side_px * (1 - self.seen_share) / 2)


def needs(options: Fer2013Options) -> SegmentShape:
    """One frame without motion."""
    return SegmentShape(num_frames=1, has_optical_flow=False)


def build(options: Fer2013Options, recipe: Recipe) -> tuple[list[Any], Any, Network]:
    """Inputs, logits and the record of an arm."""
    if recipe.num_classes != len(mini_xception.CLASSES):
        raise ValueError(f"it has {len(mini_xception.CLASSES)} classes of its own, not {recipe.num_classes}")
    inputs = input_layers(recipe.shape)
    side_px = recipe.shape.side_px
    border_px = options.border_px(side_px)
    middle = layers.Cropping2D(border_px, dtype="uint8", name="middle")(inputs["face"])
    grey = GreyFaces(mini_xception.SIDE_PX, name="grey_faces")(middle)
    logits = mini_xception.logits(mini_xception.features(grey, initializers=recipe.initializers))
    if path := recipe.weights.get(mini_xception.WEIGHTS):
        mini_xception.load_weights(keras.Model(inputs["face"], logits), path)
    network = Network(
        family=FAMILY.name,
        shape=recipe.shape,
        head=mini_xception.HEAD,
        logits=mini_xception.LOGITS,
        feature_maps={"spatial": _feature_maps(side_px, border_px)},
        pretrained=(*mini_xception.layer_names(""), mini_xception.HEAD),
    )
    return list(inputs.values()), logits, network


def _feature_maps(side_px: int, border_px: int) -> tuple[FeatureMap, ...]:
    """The network's maps, in px of the whole stored face."""
    of_middle = mini_xception.feature_maps("", side_px - 2 * border_px)
    return tuple(one.model_copy(update={"first_px": one.first_px + border_px}) for one in of_middle)


def methods(arms: Sequence[Fer2013Options], settings: ModelSettings) -> str:
    """What these arms are."""
    return "The mini-Xception of FER2013 as it was published, untrained by us,"


def weights(options: Fer2013Options, settings: ModelSettings) -> tuple[str, ...]:
    """Its own."""
    return (mini_xception.WEIGHTS,)


FAMILY = Family("fer2013", Fer2013Options, needs, lambda options: ("spatial",), build, methods, weights)
