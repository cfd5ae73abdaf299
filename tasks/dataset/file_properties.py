"""What a video file is like, whatever it shows: frame rate, size, codec, repeats; a model must not go by it.

Cameras, programs and converters leave their mark in the pictures. Where they differ by class, a model can learn the
camera instead of the face.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fer_models.statistics.shortcuts import find_shortcut
from tasks.dataset.drift import TOO_FEW, compare, file_properties, summarise
from tasks.dataset.findings import Check, Finding, Severity
from tasks.dataset.folds import TEST, TRAIN

_ADVICE = (
    "Record or convert all videos in one way, whatever their class, or leave out those that differ; else a model may "
    "learn the camera instead of the face."
)
_MOST_GROUPS = 8


def check_properties(videos: pd.DataFrame, subsets: pd.DataFrame) -> Iterator[Finding]:
    """Classes that can be told by their files alone, and a test subset that was filmed otherwise than the training one.

    Args:
        videos: rows of the ledger that the study uses.
        subsets: their subsets, one row per video in the same order and one column per fold.
    """
    facts = file_properties(videos)
    known = facts.dropna(axis="columns", how="all")
    columns = {name: _as_numbers(values) for name, values in known.items()}
    shortcut = find_shortcut(columns, videos["emotion"].to_numpy(str), videos["subject"].to_numpy(str))
    if shortcut:
        what = (
            "the label can be guessed from the file's properties (fps, size, codec): balanced accuracy "
            f"{shortcut.score:.2f} against chance {shortcut.chance:.2f}; {shortcut.best} tells most "
            f"({shortcut.best_score:.2f} alone)"
        )
        groups = facts[shortcut.best].groupby(videos["emotion"].to_numpy(str))
        where = tuple(f"{emotion}: {summarise(values.dropna())}" for emotion, values in groups)
        yield Finding(Check.PROPERTIES, Severity.WARNING, what, where[:_MOST_GROUPS], _ADVICE)
    first_fold = subsets.iloc[:, 0].to_numpy()
    trained, tested = facts[first_fold == TRAIN], facts[first_fold == TEST]
    for row in compare(trained, tested).itertuples():
        if row.remark not in ("", TOO_FEW):
            what = f"the test subset differs from the training subset in {row.measure}: {row.new} against {row.before}"
            yield Finding(Check.PROPERTIES, Severity.NOTE, what, (), _ADVICE)


def _as_numbers(values: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(values):
        return values.fillna(-1.0).round(1).to_numpy(float)
    return pd.factorize(values.fillna(""), sort=True)[0].astype(float)
