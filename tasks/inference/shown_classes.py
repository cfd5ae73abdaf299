"""Which classes have a place of their own where not all have room; the rest stand together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.drawing.lettering import drawable_names
from tasks.inference.frame_rows import FrameRows

_MOST_LETTERS = 24


@dataclass(frozen=True)
class ShownClasses:
    """Places of classes, the same through a whole video.

    Args:
        classes: names of all classes as they can be drawn, in the order of the model's labels.
        numbers: of the classes that have a place, ascending.
        places: what the places are called; one more than `numbers` where the other classes share the last.
    """

    classes: tuple[str, ...]
    numbers: tuple[int, ...]
    places: tuple[str, ...]

    @classmethod
    def of(cls, table: FrameRows, labels: Sequence[str], most: int) -> "ShownClasses":
        """All classes, or where there is no room for that the likeliest of the whole video."""
        classes = tuple(drawable_names(labels, _MOST_LETTERS))
        if len(labels) <= most:
            return cls(classes, tuple(range(len(labels))), classes)
        known = table.probabilities[table.has_verdict]
        mean = known.mean(axis=0) if len(known) else np.zeros(len(labels))
        numbers = sorted(np.argsort(-mean, kind="stable")[: max(most - 1, 1)].tolist())
        others = f"{len(labels) - len(numbers)} others"
        return cls(classes, tuple(numbers), (*(classes[number] for number in numbers), others))

    def shares(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities of the places (..., places) from those of the classes (..., classes)."""
        shown = probabilities[..., list(self.numbers)]
        if len(self.places) == len(self.numbers):
            return shown
        rest = np.maximum(probabilities.sum(axis=-1) - shown.sum(axis=-1), 0)
        return np.concatenate([shown, rest[..., None]], axis=-1)

    def place_of(self, number: int) -> int:
        """The place of a class."""
        return self.numbers.index(number) if number in self.numbers else len(self.places) - 1
