"""Lays published networks over the pictures of streams: what they see, which weights they begin with, what is trained.

With published weights a network sees what it was trained on: pictures in the range of photos, in its own scaling. Fresh
weights know no range, and see the pictures of the other families, which are about 0 and 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras import layers

from fer_models.errors import UserError
from fer_models.models.backbones.keras_files import read_layers
from fer_models.models.backbones.mobilenet_v3 import MOBILENET_V3_SMALL
from fer_models.models.backbones.published import LayerMaker, Published
from fer_models.models.backbones.resnet50 import RESNET50
from fer_models.models.backbones.vgg import VGG16, VGG19
from fer_models.models.families import Recipe
from fer_models.models.inputs import BgrAboutMean, input_pictures
from fer_models.models.network import FeatureMap
from fer_models.models.resizing import ResizedMap
from fer_models.settings import ModelSettings
from fer_models.suggest import nearest

#: By the name that options say.
NETWORKS: dict[str, Published] = {
    "vgg16": VGG16,
    "vgg19": VGG19,
    "resnet50": RESNET50,
    "mobilenet-v3-small": MOBILENET_V3_SMALL,
}


@dataclass(frozen=True)
class LaidStreams:
    """Networks over pictures, by stream.

    Args:
        last_maps: (batch, H, W, C) each.
        feature_maps: those that Grad-CAM can look at.
        pretrained: layers whose weights others trained.
    """

    last_maps: dict[str, Any]
    feature_maps: dict[str, tuple[FeatureMap, ...]]
    pretrained: tuple[str, ...]


def begins_with_published(settings: ModelSettings) -> bool:
    """Whether published networks begin with the weights of others."""
    return settings.backbone_weights != "none"


def published_weights(network: Published, settings: ModelSettings) -> tuple[str, ...]:
    """Names of the weights of others that it begins with."""
    return (network.weights,) if begins_with_published(settings) else ()


@dataclass(frozen=True)
class _Body:
    """A network over the picture of one stream: its last map, and its layers with weights, from the input on."""

    stream: str
    last_map: Any
    layers: tuple[keras.Layer, ...]

    @property
    def published_names(self) -> tuple[str, ...]:
        """Of its layers."""
        return tuple(layer.name.removeprefix(_prefix(self.stream)) for layer in self.layers)


def lay_streams(network: Published, streams: Sequence[str], inputs: Mapping[str, Any], recipe: Recipe) -> LaidStreams:
    """Lay one network over the picture of each stream; all begin with the same weights.

    Of weights of others the normalisation stays as it is in training, and so does what comes before
    `model.unfreeze_from`.

    Args:
        streams: `spatial`, `temporal` or both.
        inputs: as from `fer_models.models.inputs.input_layers`.

    Raises:
        UserError: the file of weights cannot be read or does not fit, or `model.unfreeze_from` names no layer of it.
    """
    settings = recipe.settings
    pretrained = begins_with_published(settings)
    pictures = input_pictures(inputs, settings, recipe.augmentation, recipe.seed, as_stored=pretrained)
    bodies = [_lay(network, pictures[stream], stream, recipe, pretrained) for stream in streams]
    if path := recipe.weights.get(network.weights):
        _load(network, bodies, path)
    if pretrained:
        for body in bodies:
            _freeze(network, body, settings.unfreeze_from)
    return LaidStreams(
        last_maps={body.stream: body.last_map for body in bodies},
        feature_maps={stream: _feature_maps(network, stream, recipe.shape.side_px) for stream in streams},
        pretrained=tuple(layer.name for body in bodies for layer in body.layers) if pretrained else (),
    )


def _prefix(stream: str) -> str:
    return f"{stream}_"


def _lay(network: Published, picture: Any, stream: str, recipe: Recipe, pretrained: bool) -> _Body:
    """The network over a picture, float32 (batch, S, S, 3)."""
    x = picture
    if x.shape[1] < network.least_px:
        x = ResizedMap(network.least_px, dtype="float32", name=f"{stream}_enlarged")(x)
    if pretrained and network.colours == "bgr":
        x = BgrAboutMean(name=f"{stream}_colours")(x)
    elif pretrained:
        x = layers.Rescaling(1 / 127.5, -1.0, dtype="float32", name=f"{stream}_colours")(x)
    make = LayerMaker(_prefix(stream), recipe.precision, recipe.initializers)
    last_map = network.features(x, make, recipe.settings.backbone_width)
    return _Body(stream, last_map, tuple(layer for layer in keras.Model(x, last_map).layers if layer.weights))


def _load(network: Published, bodies: Sequence[_Body], path: Path) -> None:
    """Set the layers of all streams to the weights of a file, all or none."""
    first = bodies[0]
    shapes = [[tuple(weight.shape) for weight in layer.weights] for layer in first.layers]
    stored = read_layers(path, network.title, dict(zip(first.published_names, shapes, strict=True)))
    for body in bodies:
        for name, layer in zip(body.published_names, body.layers, strict=True):
            layer.set_weights(stored[name])


def _freeze(network: Published, body: _Body, unfreeze_from: str) -> None:
    """Leave its normalisation, and what comes before a layer, as they are in training."""
    first = _position(body.published_names, unfreeze_from, network.title)
    for number, layer in enumerate(body.layers):
        if number < first or isinstance(layer, layers.BatchNormalization):
            layer.trainable = False


def _position(names: Sequence[str], unfreeze_from: str, title: str) -> int:
    """The number of the layer that training begins at."""
    if unfreeze_from == "none":
        return 0
    wanted = [one.strip() for one in unfreeze_from.split(",")]
    for number, name in enumerate(names):
        if any(name == one or name.startswith(f"{one}_") for one in wanted):
            return number
    close = nearest(wanted[0], names)
    raise UserError(f"model.unfreeze_from: {title} has no layer {unfreeze_from!r}{close}; it has {', '.join(names)}.")


def _feature_maps(network: Published, stream: str, face_px: int) -> tuple[FeatureMap, ...]:
    """The ends of its blocks, for faces that are stored at a side of so many px."""
    side_px = max(face_px, network.least_px)
    scale = face_px / side_px
    return tuple(
        FeatureMap(layer=_prefix(stream) + layer, first_px=(first + 0.5) * scale - 0.5, step_px=step * scale)
        for layer, (first, step) in network.fields(side_px).items()
    )
