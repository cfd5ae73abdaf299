"""How the videos of another corpus differ from those that a study's models learned on: what may be why they do worse.

The measures and distances are those of `tasks.dataset.drift`. Nothing here shows a cause.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pydantic import BaseModel

from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.drift import TOO_FEW, compare, describe_videos
from tasks.dataset.folds import TRAIN
from tasks.dataset.other_corpora.opening import OpenedCorpus
from tasks.dataset.splits import KEY, read_split, split_of_study
from tasks.preparation.ledger import is_usable, read_ledger
from tasks.preparation.shards import list_shards
from tasks.storage.files import only_reading

#: Measures in words, for a sentence: what is larger, and what stands before and behind a value.
_IN_WORDS = {
    "emotion": "the mix of classes",
    "resolution": "the size of the pictures",
    "frames per second": "the frame rate",
    "codec": "the codec",
    "repeated frames, %": "the share of repeated frames",
    "length, s": "the length of the videos",
    "coverage, %": "the share of segments with a usable face",
    "face size, px": "the size of the faces in the picture",
    "sharpness": "the sharpness of the faces (variance of the Laplacian: blur lowers it, noise raises it)",
    "brightness": "the brightness of the faces",
    "motion, px": "the motion of the faces",
}


class Difference(BaseModel):
    """One measure of the videos: those that were trained on, and those of another corpus.

    Args:
        trained, tested: median (5 % to 95 %), or shares.
        distance: 0..1, see `tasks.dataset.drift`.
        remark: what the other corpus has more or less of, where that is no chance.
        ratio: by how much the medians differ, as a logarithm without a sign; 0 where there are none.
    """

    measure: str
    trained: str
    tested: str
    distance: float
    remark: str
    ratio: float = 0.0


def describe_training(settings: StudySettings) -> pd.DataFrame:
    """The measures of the videos that the models of the first fold learned on, a row each."""
    layout = Layout.of(settings)
    emotions = settings.corpus.emotions
    ledger = read_ledger(layout.ledger, emotions)
    split = split_of_study(read_split(layout.split), ledger, emotions)
    first = split[(split["fold"] == split["fold"].min()) & (split["side"] == TRAIN)]
    videos = ledger.merge(first[KEY], on=KEY)
    return describe_videos(videos[videos["sha256"].isin(list_shards(layout.prepared))], layout.prepared)


def compare_videos(trained: pd.DataFrame, other: OpenedCorpus) -> list[Difference]:
    """How another corpus differs from what was trained on, the largest difference first.

    Args:
        trained: as `describe_training`.
    """
    with only_reading():
        tested = describe_videos(other.videos[is_usable(other.videos)], other.prepared)
    found = [
        Difference(
            measure=row.measure,
            trained=row.before,
            tested=row.new,
            distance=round(row.distance, 4),
            remark=row.remark,
            ratio=_ratio(trained[row.measure], tested[row.measure]),
        )
        for row in compare(trained, tested).itertuples()
    ]
    return sorted(found, key=lambda one: (not _is_notable(one), -one.distance, -one.ratio))


def _is_notable(difference: Difference) -> bool:
    return difference.remark not in ("", TOO_FEW)


def _ratio(trained: pd.Series, tested: pd.Series) -> float:
    """How many times one median is the other, as a logarithm without a sign."""
    if not pd.api.types.is_numeric_dtype(trained):
        return 0.0
    medians = np.array([trained.median(), tested.median()])
    return float(abs(np.log(medians[0] / medians[1]))) if (medians > 0).all() else 0.0


def largest_difference(differences: Sequence[Difference], here: str, there: str) -> str:
    """The largest difference in a sentence.

    Of measures whose values do not overlap at all, the one whose medians are the most times apart.

    Args:
        differences: as from `compare_videos`.
        here, there: names of the corpora.
    """
    notable = [one for one in differences if _is_notable(one)]
    if not notable:
        few = any(one.remark == TOO_FEW for one in differences)
        return f"{there} has too few videos to tell how it differs." if few else f"No difference of {there} is shown."
    first, *rest = notable
    also = [_IN_WORDS.get(one.measure, one.measure).partition(" (")[0] for one in rest[:2]]
    unit = first.measure.partition(", ")[2]
    then = f" Then come {' and '.join(also)}." if len(also) > 1 else f" Then comes {also[0]}." if also else ""
    return (
        f"{there} differs from what was learned of {here} most in {_IN_WORDS.get(first.measure, first.measure)}: "
        f"{first.tested} against {first.trained}{unit and ' '}{unit}.{then} That may be why, and is no proof of it."
    )
