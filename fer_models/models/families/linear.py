"""Linear machines over fixed features: the classic baselines, and features of networks that were trained elsewhere.

The features are layers, so that such a model is saved, loaded and asked like any other; the linear layer behind them
is a support vector machine whose weights `fer_models.training.solving` finds. For HOG on expressions see Carcagnì et
al. 2015, *Facial expression recognition and histograms of oriented gradients: a comprehensive study*.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
from keras import layers, ops

from fer_models.models.backbones import mini_xception
from fer_models.models.families import Family, Recipe
from fer_models.models.histograms import GreyGradients, OrientationHistograms
from fer_models.models.inputs import GreyFaces, input_layers
from fer_models.models.local_patterns import LocalBinaryPatterns
from fer_models.models.motion import HeadMotionRemoval
from fer_models.models.network import Network
from fer_models.segments import SegmentShape
from fer_models.settings import ModelSettings, Settings

_HEAD = "logits"
#: Motion in 1/30 s that is noise, in px of a face stored at 48 px.
_STILL_PX = 0.1


def _hog(inputs: Mapping[str, Any], recipe: Recipe) -> Any:
    histograms = OrientationHistograms(9, signed=False, name="hog")
    return layers.Flatten(name="hog_vector")(histograms(GreyGradients(name="grey_gradients")(_first(inputs["face"]))))


def _lbp_top(inputs: Mapping[str, Any], recipe: Recipe) -> Any:
    return layers.Flatten(name="lbp_top_vector")(LocalBinaryPatterns(name="lbp_top")(inputs["face"]))


def _first(pictures: Any) -> Any:
    """That of the first frame, where there are several."""
    return pictures[:, 0] if len(pictures.shape) == 5 else pictures


def _hof(inputs: Mapping[str, Any], recipe: Recipe) -> Any:
    optical_flow = _first(inputs["optical_flow"])
    floor_px = _STILL_PX * recipe.shape.side_px / SegmentShape().side_px
    if recipe.settings.head_motion != "keep":
        optical_flow = HeadMotionRemoval(recipe.settings.head_motion, name="head_motion_removal")(optical_flow)
    histograms = OrientationHistograms(8, signed=True, floor=floor_px, name="hof")
    return layers.Flatten(name="hof_vector")(histograms(optical_flow))


def _mini_xception(inputs: Mapping[str, Any], recipe: Recipe) -> Any:
    """Two feature maps: the last one, and the one before, which says more of where things are."""
    grey = GreyFaces(mini_xception.SIDE_PX, name="grey_faces")(_first(inputs["face"]))
    last = mini_xception.features(grey, _PREFIX, initializers=recipe.initializers)
    body = keras.Model(inputs["face"], last)
    if path := recipe.weights.get(mini_xception.WEIGHTS):
        mini_xception.load_weights(body, path, _PREFIX)
    for layer in body.layers:
        layer.trainable = False
    maps = [body.get_layer(f"{_PREFIX}{name}").output for name in (mini_xception.MAP_BEFORE, mini_xception.LAST_MAP)]
    return layers.Concatenate(name="mini_xception_vector")([layers.Flatten()(one) for one in maps])


_PREFIX = "mini_xception_"
#: Makes a vector from the inputs.
_FEATURES: dict[str, Callable[[Mapping[str, Any], Recipe], Any]] = {
    "hog": _hog,
    "hof": _hof,
    "lbp-top": _lbp_top,
    "mini-xception": _mini_xception,
}
_WORDS = {
    "hog": "histograms of oriented gradients (HOG) of the face",
    "hof": "histograms of oriented optical flow",
    "lbp-top": "local binary patterns of the faces of a segment on three orthogonal planes (LBP-TOP)",
    "mini-xception": "the last two feature maps of a mini-Xception that was trained on FER2013",
}


@keras.saving.register_keras_serializable(package="fer_models")
class NoFeatures(layers.Layer):
    """Faces (batch, S, S, 3) -> 0 each, float32 (batch, 1): what a model knows that does not look."""

    def call(self, faces: Any) -> Any:
        return ops.zeros((ops.shape(faces)[0], 1), "float32")

    def compute_output_spec(self, faces: Any) -> Any:
        return keras.KerasTensor((faces.shape[0], 1), dtype="float32")


class LinearOptions(Settings):
    """What a linear machine sees.

    Args:
        features: side by side; none for the machine that knows only how frequent the classes are.
    """

    features: tuple[Literal["hog", "hof", "lbp-top", "mini-xception"], ...] = ()


def needs(options: LinearOptions) -> SegmentShape:
    """One frame, and its motion where a feature is of it; a pattern in time needs a frame before and one after."""
    return SegmentShape(
        num_frames=3 if "lbp-top" in options.features else 1, has_optical_flow="hof" in options.features
    )


def streams(options: LinearOptions) -> tuple[str, ...]:
    """The face, its motion, or both."""
    seen = {"hof": "temporal"}
    return tuple(dict.fromkeys(seen.get(feature, "spatial") for feature in options.features))


def build(options: LinearOptions, recipe: Recipe) -> tuple[list[Any], Any, Network]:
    """Inputs, logits and the record of an arm; it takes all inputs, and uses those that it needs."""
    inputs = input_layers(recipe.shape, all_frames="lbp-top" in options.features)
    vectors = [_FEATURES[feature](inputs, recipe) for feature in options.features]
    if not vectors:
        vectors = [NoFeatures(name="no_features")(inputs["face"])]
    x = vectors[0] if len(vectors) == 1 else layers.Concatenate(name="features")(vectors)
    last = layers.Dense(recipe.num_classes, kernel_initializer=recipe.last_initializer, dtype="float32", name=_HEAD)
    pretrained = mini_xception.layer_names(_PREFIX) if "mini-xception" in options.features else ()
    network = Network(
        family=FAMILY.name, shape=recipe.shape, head=_HEAD, logits=_HEAD, feature_maps={}, pretrained=pretrained
    )
    return list(inputs.values()), last(x), network


def methods(arms: Sequence[LinearOptions], settings: ModelSettings) -> str:
    """What these arms are."""
    sights = [" with ".join(_WORDS[feature] for feature in arm.features) for arm in arms if arm.features]
    machines = f"Linear support vector machines on {', on '.join(sights)}" if sights else ""
    constant = any(not arm.features for arm in arms)
    frequency = "a model that knows only how frequent the classes are" if constant else ""
    words = " and ".join(part for part in (machines, frequency) if part)
    return words[0].upper() + words[1:]


def weights(options: LinearOptions, settings: ModelSettings) -> tuple[str, ...]:
    """Those of the networks among the features."""
    return (mini_xception.WEIGHTS,) if "mini-xception" in options.features else ()


FAMILY = Family("linear", LinearOptions, needs, streams, build, methods, weights)
