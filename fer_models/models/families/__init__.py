"""Families of models: one file each, and one shape, `Family`. A new family is a new file and one line here."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_models.segments import SegmentShape
from fer_models.settings import AugmentationSettings, ModelSettings, Settings

if TYPE_CHECKING:
    import keras

    from fer_models.models.network import Network

#: Family -> the module that has it as `FAMILY`; none is imported before it is needed.
FAMILIES: dict[str, str] = {
    "two-stream": "fer_models.models.families.two_stream",
    "linear": "fer_models.models.families.linear",
    "frame-stack": "fer_models.models.families.frame_stack",
    "volume": "fer_models.models.families.volume",
    "recurrent": "fer_models.models.families.recurrent",
    "backbone": "fer_models.models.families.backbone",
    "zhang2019": "fer_models.models.families.zhang2019",
    "fer2013": "fer_models.models.families.fer2013",
}


@dataclass(frozen=True)
class Recipe:
    """What a family builds a network by, beside its own options.

    Args:
        shape: what the segments hold.
        initializers: makes the initializer of a layer's weights from the layer's name.
        last_initializer: that of the layer `logits`.
        weights: files of weights by name; layers whose file is not given have fresh ones.
        precision: Keras's name of the data type policy of the layers between input and logits.
    """

    settings: ModelSettings
    shape: SegmentShape
    num_classes: int
    augmentation: AugmentationSettings | None
    precision: str
    seed: int
    initializers: "Callable[[str], keras.Initializer]"
    last_initializer: "keras.Initializer"
    weights: Mapping[str, Path] = field(default_factory=dict)


def _no_weights(options: Any, settings: ModelSettings) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Family:
    """One family of models.

    Args:
        name: as arms name it.
        options: its own settings, those in which its arms differ.
        needs: what a segment must hold at least for an arm with these options.
        streams: the streams of input pictures that such an arm has: `spatial`, `temporal`, and `frames` for one over
            the faces of all frames.
        build: makes the network: its input layers, its logits, and what others must know of it.
        methods: what its arms with these options are, as the report's methods section begins a sentence on them.
        weights: names of the weights that others trained and that such an arm begins with, by the model's settings.
    """

    name: str
    options: type[Settings]
    needs: Callable[[Any], SegmentShape]
    streams: Callable[[Any], tuple[str, ...]]
    build: "Callable[[Any, Recipe], tuple[list[Any], Any, Network]]"
    methods: Callable[[Sequence[Any], ModelSettings], str]
    weights: Callable[[Any, ModelSettings], tuple[str, ...]] = _no_weights


def load_family(name: str) -> Family:
    """The family of that name."""
    family: Family = importlib.import_module(FAMILIES[name]).FAMILY
    return family


def load_families() -> None:
    """Make the layers of all families known, without which Keras cannot load a model that has them."""
    for name in FAMILIES:
        load_family(name)
