"""Whether a label can be guessed from something that a model should not go by, for subjects it never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold
from sklearn.tree import DecisionTreeClassifier

#: With fewer subjects nothing can be told.
_FEWEST_SUBJECTS = 4
_MOST_FOLDS = 5
#: Draws by chance, none of which may reach what was found.
_NUM_DRAWS = 99
_DEPTH = 4
#: How much better than chance a guess must be to be worth a word.
_NOTABLE_GAIN = 0.1
_SEED = 7


@dataclass(frozen=True)
class Shortcut:
    """A label that can be guessed.

    Args:
        score: balanced accuracy of the guesses on subjects who were left out.
        chance: the score of blind guesses.
        best: the property that tells most by itself, and `best_score` how much.
    """

    score: float
    chance: float
    best: str
    best_score: float


def find_shortcut(properties: Mapping[str, np.ndarray], labels: np.ndarray, subjects: np.ndarray) -> Shortcut | None:
    """Guess labels from properties by a small decision tree, cross-validated by subject.

    The guesses are compared with those of shuffled labels: subjects exchange all their labels, and the labels of a
    subject change places among its rows. So neither few subjects nor a subject's own habits pass for a shortcut.

    Args:
        properties: name -> float (n,), one value per row.
        labels: (n,) classes.
        subjects: (n,) names.

    Returns:
        None when nothing can be guessed, or too few subjects are there to tell.
    """
    classes = np.unique(labels)
    varied = {name: values for name, values in properties.items() if len(np.unique(values)) > 1}
    if len(classes) < 2 or len(np.unique(subjects)) < _FEWEST_SUBJECTS or not varied:
        return None
    chance = 1 / len(classes)
    numbers = np.unique(labels, return_inverse=True)[1]
    folds = _folds(subjects)
    table = np.column_stack(list(varied.values()))
    score = _score(table, numbers, folds)
    if score < chance + _NOTABLE_GAIN:
        return None
    rng = np.random.default_rng(_SEED)
    for _ in range(_NUM_DRAWS):
        if _score(table, _shuffled(numbers, subjects, rng), folds) >= score:
            return None
    alone = {name: _score(values[:, None], numbers, folds) for name, values in varied.items()}
    best = max(alone, key=lambda name: alone[name])
    return Shortcut(score, chance, best, alone[best])


def _folds(subjects: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows that are seen and rows that are not, of each fold; nobody is among both."""
    splitter = GroupKFold(min(_MOST_FOLDS, len(np.unique(subjects))))
    return list(splitter.split(subjects, subjects, subjects))


def _score(table: np.ndarray, labels: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean recall of the classes (0, 1, ...) over all rows, each guessed by a tree that saw other subjects only."""
    values, guessed = np.ascontiguousarray(table, np.float32), np.empty_like(labels)
    for seen, unseen in folds:
        weights = 1.0 / np.maximum(np.bincount(labels[seen]), 1)[labels[seen]]
        tree = DecisionTreeClassifier(max_depth=_DEPTH, random_state=_SEED)
        tree.fit(values[seen], labels[seen], sample_weight=weights, check_input=False)
        guessed[unseen] = tree.predict(values[unseen], check_input=False)
    return float(np.mean(np.bincount(labels, guessed == labels) / np.bincount(labels)))


def _shuffled(labels: np.ndarray, subjects: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows_of = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
    order = rng.permutation(len(rows_of))
    dealt = np.empty_like(labels)
    dealt[np.concatenate(rows_of)] = np.concatenate([rng.permutation(labels[rows_of[subject]]) for subject in order])
    return dealt
