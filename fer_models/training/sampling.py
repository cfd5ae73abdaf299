"""Which rows an epoch sees, in which order, and how much they count."""

from collections.abc import Callable, Iterator

import numpy as np


def epoch_batches(num_rows: int, batch_size: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """Row numbers of each batch of an epoch: shuffled by (seed, epoch), so that a resumed run sees the same batches.

    All batches are of one size, which compiled training steps want; the few rows left over have their turn in another
    epoch. A subset smaller than a batch is one batch.
    """
    order = np.random.default_rng([seed, epoch]).permutation(num_rows)
    size = min(batch_size, num_rows)
    for start in range(0, num_rows - size + 1, size):
        yield order[start : start + size]


def every_row(labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """All row numbers, int (n,)."""
    return np.arange(len(labels))


def batches_of_steps(
    first: int, end: int, draw: Callable[[int], np.ndarray], batch_size: int, seed: int
) -> Iterator[np.ndarray]:
    """Rows of the batches of the steps `first` to `end - 1` of a run, which makes one pass over the rows after another.

    Args:
        draw: the rows of a pass by its number, int (n,), with the same n for every pass.
    """
    per_pass = steps_of_pass(len(draw(0)), batch_size)
    for number in range(first // per_pass, (end - 1) // per_pass + 1):
        drawn = draw(number)
        for step, batch in enumerate(epoch_batches(len(drawn), batch_size, seed, number), start=number * per_pass):
            if first <= step < end:
                yield drawn[batch]


def steps_of_pass(num_rows: int, batch_size: int) -> int:
    """Batches that `epoch_batches` makes of so many rows."""
    return num_rows // min(batch_size, num_rows)


def downsample(labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Row numbers, int (n,), as many of every class as the rarest has; every epoch has others of the large classes."""
    return _rows_of_equal_classes(labels, seed, epoch, min)


def oversample(labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Row numbers, int (n,), as many of every class as the largest has.

    The rows of a class are repeated equally often, except that some have one turn more.
    """
    return _rows_of_equal_classes(labels, seed, epoch, max)


def _rows_of_equal_classes(
    labels: np.ndarray, seed: int, epoch: int, choose: Callable[[np.ndarray], int]
) -> np.ndarray:
    """As many rows of every class as `choose` takes of the sizes of the classes, drawn by (seed, epoch)."""
    rng = np.random.default_rng([seed, epoch, 1])  # not the draws that shuffle the epoch
    classes, counts = np.unique(labels, return_counts=True)
    size = int(choose(counts))
    return np.concatenate([np.resize(rng.permutation(np.flatnonzero(labels == label)), size) for label in classes])


def equal_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """The weight 1 for each class, (num_classes,)."""
    return np.ones(num_classes)


def class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Weights (num_classes,) inverse to the class frequencies, with mean 1 over the rows; absent classes get 0."""
    counts = np.bincount(labels, minlength=num_classes)
    present = counts > 0
    weights = np.zeros(num_classes)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights
