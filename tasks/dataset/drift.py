"""Drift: how a batch of newly prepared videos differs from the training data, measure by measure.

What is compared is one value per video: facts of the ledger, and medians over the faces that its shard holds. Distances
lie in 0..1: the two-sample Kolmogorov-Smirnov statistic of numbers, the total variation distance of shares. Nothing is
decided here; of the split only the training subset is read. Videos of one subject resemble each other, so a batch of
few subjects is sooner called different.
"""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import ks_2samp

from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.folds import TRAIN
from tasks.dataset.splits import KEY, read_split
from tasks.outcomes import Outcome
from tasks.preparation.ledger import is_usable, read_ledger
from tasks.preparation.shards import named_shard, read_faces
from tasks.storage.append_log import append_rows, read_journal

#: Against what a batch was compared: the training subset, or, before there is a split, what was prepared earlier.
TRAINING, EARLIER = "training", "earlier"

SCHEMA = pa.schema(
    [
        ("time", pa.string()),
        ("reference", pa.string()),
        ("measure", pa.string()),
        ("before", pa.string()),
        ("new", pa.string()),
        ("distance", pa.float64()),
        ("p_value", pa.float64()),
        ("num_before", pa.int32()),
        ("num_new", pa.int32()),
        ("num_people", pa.int32()),
        ("remark", pa.string()),
        ("study", pa.string()),
    ]
)

#: Shards that are opened a subset.
_MOST_SHARDS = 200
#: Fewer videos than this tell nothing.
_FEWEST = 8
TOO_FEW = "too few to tell"
_NOTABLE_DISTANCE = 0.3
_NOTABLE_P = 0.01
_SEED = 7
_DRAWS = 9999
_MOST_SHARES = 8


def measure_drift(settings: StudySettings, batch: Collection[str]) -> pd.DataFrame:
    """Compare a batch of prepared videos with the training subset, or before there is a split with those before it.

    Args:
        batch: SHA-256 of the videos that were prepared now.

    Returns:
        One row per measure (see `SCHEMA`, without the time); no row without anything to compare, or to compare with.
    """
    layout = Layout.of(settings)
    ledger = read_ledger(layout.ledger, settings.corpus.emotions)
    prepared = ledger[(ledger["shard"] != "") & (ledger["outcome"] != Outcome.OUT_OF_SCOPE)]
    is_new = prepared["sha256"].isin(list(batch))
    before, new = prepared[~is_new], prepared[is_new].drop_duplicates("sha256")
    reference = EARLIER
    if layout.split.is_file():
        reference, split = TRAINING, read_split(layout.split)
        one_fold = split["fold"] == split["fold"].min()
        before = before.merge(split.loc[one_fold & (split["side"] == TRAIN), KEY], on=KEY)
    before = before.drop_duplicates("sha256")
    if before.empty or new.empty:
        return pd.DataFrame(columns=SCHEMA.names[1:])
    drift = compare(describe_videos(before, layout.prepared), describe_videos(new, layout.prepared))
    facts = {"reference": reference, "num_people": new["subject"].nunique(), "study": settings.name}
    return drift.assign(**facts)[SCHEMA.names[1:]]


def describe_videos(videos: pd.DataFrame, prepared: Path) -> pd.DataFrame:
    """The measures of each video, a column each, empty where a video has none; faces of 200 videos at most.

    Coverage is the share of the segments that show a usable face, and known of videos without any too. Sharpness is
    the variance of the Laplacian of the stored grey face (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield
    microscopy"), so it falls when small faces were enlarged too. Brightness is the mean of the grey levels, 0..255.
    Motion is the mean length of the stored optical flow over the face: by default in px per 1/30 s at the stored size.

    Args:
        videos: rows of the ledger that have a shard.
        prepared: the folder above the shards.
    """
    usable = videos[is_usable(videos)]
    has_segments = videos["num_segments"] > 0
    facts = pd.DataFrame(index=videos.index)
    facts["emotion"] = usable["emotion"].where(usable["emotion"] != "")
    facts = facts.join(file_properties(usable))
    facts["length, s"] = seconds(usable)
    facts["coverage, %"] = (100 * videos["num_covered"] / videos["num_segments"]).where(has_segments)
    sampled = usable.sample(min(_MOST_SHARDS, len(usable)), random_state=_SEED)
    faces = {index: _describe_faces(named_shard(prepared, shard)) for index, shard in sampled["shard"].items()}
    names = ["face size, px", "sharpness", "brightness", "motion, px"]
    return facts.join(pd.DataFrame.from_dict(faces, orient="index", columns=names))


def file_properties(videos: pd.DataFrame) -> pd.DataFrame:
    """What the files of videos are like, whatever they show: resolution, frame rate, codec, share of repeated frames.

    Args:
        videos: rows of the ledger; one of an older version lacks some columns, and so does what is returned.
    """
    facts = pd.DataFrame(index=videos.index)
    if "width" in videos:
        facts["resolution"] = videos["width"].astype(str) + "x" + videos["height"].astype(str)
    if "fps" in videos:
        facts["frames per second"] = videos["fps"].where(videos["fps"] > 0)
    if "codec" in videos:
        facts["codec"] = videos["codec"].where(videos["codec"] != "")
        facts["repeated frames, %"] = 100 * videos["repeated_share"]
    return facts


def seconds(videos: pd.DataFrame) -> pd.Series:
    """How long videos of the ledger last, by the times of their frames; of an older ledger by their number."""
    by_number = videos["num_frames"] / videos["fps"].where(videos["fps"] > 0)
    return videos["duration_s"].where(videos["duration_s"] > 0, by_number) if "duration_s" in videos else by_number


def _describe_faces(shard: Path) -> tuple[float, float, float, float]:
    faces, boxes, flows = read_faces(shard)
    greys = [cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) for face in faces]
    sharpness = np.median([cv2.Laplacian(grey, cv2.CV_64F).var() for grey in greys])
    brightness = np.median([grey.mean() for grey in greys])
    return float(np.median(boxes[:, 2])), float(sharpness), float(brightness), _motion(flows)


def _motion(flows: np.ndarray | None) -> float:
    """The median over frames of the mean length of their optical flow, float (n, S, S, 2); NaN without any."""
    if flows is None:
        return float("nan")
    means = np.hypot(*np.moveaxis(flows.astype(np.float32), -1, 0)).mean(axis=(1, 2))  # (n,)
    known = means[np.isfinite(means)]  # a frame without a later one has no motion
    return float(np.median(known)) if len(known) else float("nan")


def compare(before: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Compare two tables of videos, column by column: texts by their shares, numbers by their distributions.

    Returns:
        Columns measure, before, new, distance, p_value, num_before, num_new, remark.
    """
    rows = []
    for measure in before.columns:
        old, now = before[measure].dropna(), new[measure].dropna()
        if old.empty or now.empty:
            continue
        is_number = pd.api.types.is_numeric_dtype(old)
        found = _compare_numbers(old, now) if is_number else _compare_shares(old, now)
        if min(len(old), len(now)) < _FEWEST:
            found = found._replace(remark=TOO_FEW)
        elif found.distance <= _NOTABLE_DISTANCE or found.p_value >= _NOTABLE_P:
            found = found._replace(remark="")
        rows.append({"measure": measure, **found._asdict(), "num_before": len(old), "num_new": len(now)})
    return pd.DataFrame(rows, columns=["measure", *_Comparison._fields, "num_before", "num_new"])


class _Comparison(NamedTuple):
    before: str
    new: str
    distance: float
    p_value: float
    remark: str


def _compare_numbers(before: pd.Series, new: pd.Series) -> _Comparison:
    test = ks_2samp(before, new)
    shift = new.median() - before.median()
    remark = "higher" if shift > 0 else "lower" if shift < 0 else "spread otherwise"
    return _Comparison(_range(before), _range(new), float(test.statistic), float(test.pvalue), remark)


def _compare_shares(before: pd.Series, new: pd.Series) -> _Comparison:
    """Total variation, and by chance: how often a random batch out of all the videos differs as much.

    The draws take the place of a chi-square test, whose approximation needs more videos of every category than a batch
    has.
    """
    counts = pd.DataFrame({"before": before.value_counts(), "new": new.value_counts()}).fillna(0).astype(int)
    counts = counts.sort_values(["before", "new"], ascending=False, kind="stable")
    total = counts.sum(axis=1).to_numpy()
    drawn = np.random.default_rng(_SEED).multivariate_hypergeometric(total, len(new), _DRAWS, method="marginals")
    distance = float(_total_variation(counts["new"].to_numpy(), total))
    p_value = float(1 + np.sum(_total_variation(drawn, total) >= distance - 1e-12)) / (1 + _DRAWS)
    shares = counts / counts.sum()
    more = (shares["new"] - shares["before"]).idxmax()
    return _Comparison(_list_shares(shares["before"]), _list_shares(shares["new"]), distance, p_value, f"more {more}")


def summarise(values: pd.Series) -> str:
    """The values of some videos in few words: shares of texts, median and range of numbers."""
    is_number = pd.api.types.is_numeric_dtype(values)
    return _range(values) if is_number else _list_shares(values.value_counts(normalize=True))


def _total_variation(new: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Half the sum of differences between the shares of new videos, int (..., categories), and those of the others."""
    others = total - new
    return np.abs(new / new.sum(-1, keepdims=True) - others / others.sum(-1, keepdims=True)).sum(-1) / 2


def _list_shares(shares: pd.Series) -> str:
    named = [f"{name} {100 * share:.0f} %" for name, share in shares.items()]
    more = len(named) - _MOST_SHARES
    return ", ".join([*named[:_MOST_SHARES], *([f"{more} others"] if more > 0 else [])])


def _range(values: pd.Series) -> str:
    low, middle, high = (
        f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" for value in values.quantile([0.05, 0.5, 0.95])
    )
    return middle if low == high else f"{middle} ({low} to {high})"


def drift_rows(drift: pd.DataFrame) -> list[dict[str, str]]:
    """A batch's drift as a table of short texts, one row per measure."""
    return [
        {
            "measure": str(row.measure),
            str(row.reference): str(row.before),
            "new": str(row.new),
            "distance": f"{row.distance:.2f}",
            "remark": str(row.remark),
        }
        for row in drift.itertuples()
    ]


def record_drift(path: Path, drift: pd.DataFrame) -> None:
    """Append a batch's drift, with the present time, to what is recorded at `path`."""
    append_rows(path, SCHEMA, drift, timespec="milliseconds")


def read_drift(path: Path, study: str) -> pd.DataFrame:
    """The drift of all batches that a study prepared, oldest first; see `SCHEMA`.

    Other studies, with other classes and training subsets, may record theirs in the same file. What was recorded before
    the studies stood there is shown for each.
    """
    journal = read_journal(path, SCHEMA)
    if "study" not in journal:
        return journal.assign(study="")
    return journal[journal["study"].isna() | (journal["study"] == study)]
