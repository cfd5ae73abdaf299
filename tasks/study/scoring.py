"""Predictions as tables, of segments and of videos, and the scores of such tables.

Scores have flat names. `video_` and `segment_` stand before `accuracy`, `uar`, `macro_f1`, `loss`, and precision and
recall of each class. `video_uar_majority` and `video_uar_logit_mean` are of videos whose segments vote, or whose
logits are averaged, whatever the model's own way is (`Network.pooling`). In `video_accuracy_all` and `video_uar_all`
videos without a usable face count as errors. `video_ece` is the expected calibration error, `video_ece_scaled` the same
after scaling with the temperature that was fitted on the validation subset; `video_worst_subject_uar` is that of the
subject who is recognised worst.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fer_models.labels import label_numbers
from fer_models.statistics.calibration import apply_temperature, expected_calibration_error, fit_temperature
from fer_models.statistics.metrics import Aggregation, by_video, count_confusions, score, scores_by_group

_SCALED = "scaled_"


def predicted_segments(index: pd.DataFrame, probabilities: np.ndarray, emotions: Sequence[str]) -> pd.DataFrame:
    """Index rows with what a model says of them: `predicted` and `p_<emotion>`."""
    kept = index.drop(columns=["side", "shard", "row", "box", "prepared"], errors="ignore")
    return kept.assign(predicted=np.array(emotions)[probabilities.argmax(axis=1)], **_columns(probabilities, emotions))


def predicted_videos(
    segments: pd.DataFrame, videos: pd.DataFrame, temperature: float, emotions: Sequence[str], how: Aggregation
) -> pd.DataFrame:
    """What the segments say of each video.

    Args:
        videos: all videos of the subset, with video_id, subject and emotion; those without segments get no prediction.
        how: the probabilities of segments become those of videos.

    Returns:
        A row a video with `num_segments`, `predicted` ("" without a usable face), `p_<emotion>` and, scaled by the
        temperature, `scaled_<emotion>`.
    """
    names, _, probabilities = by_video(*_arrays(segments, emotions), how)
    facts = pd.DataFrame(
        {
            "num_segments": segments["video_id"].value_counts().reindex(names).to_numpy(),
            "predicted": np.array(emotions)[probabilities.argmax(axis=1)],
            **_columns(probabilities, emotions),
            **_columns(apply_temperature(probabilities, temperature), emotions, _SCALED),
        },
        index=names,
    )
    table = videos.set_index("video_id")[["sha256", "subject", "emotion"]].join(facts)
    table["num_segments"] = table["num_segments"].fillna(0).astype(int)
    return table.fillna({"predicted": ""}).rename_axis("video_id").reset_index()


def fit_video_temperature(segments: pd.DataFrame, emotions: Sequence[str], how: Aggregation) -> float:
    """The temperature that makes the probabilities of these segments' videos most likely; `how` they are made."""
    _, labels, probabilities = by_video(*_arrays(segments, emotions), how)
    return fit_temperature(labels, probabilities)


def score_tables(videos: pd.DataFrame, segments: pd.DataFrame, emotions: Sequence[str]) -> dict[str, float]:
    """All scores of the predictions of one or more test subsets, each video of which was predicted once."""
    covered = videos[videos["num_segments"] > 0]
    labels, probabilities = labels_of(covered, emotions), probabilities_of(covered, emotions)
    scores = score(labels, probabilities, emotions).flat("video")
    scores |= score(labels_of(segments, emotions), probabilities_of(segments, emotions), emotions).flat("segment")
    for how in ("majority", "logit_mean"):
        _, video_labels, video_probabilities = by_video(*_arrays(segments, emotions), how)
        scores[f"video_uar_{how}"] = score(video_labels, video_probabilities, emotions).uar
    counts = confusions(videos, emotions)
    totals = np.bincount(labels_of(videos, emotions), minlength=len(emotions))
    scores["video_accuracy_all"] = float(counts.trace() / totals.sum())
    scores["video_uar_all"] = float(np.mean(counts.diagonal()[totals > 0] / totals[totals > 0]))
    scores["coverage"] = len(covered) / len(videos)
    scores["video_ece"] = expected_calibration_error(labels, probabilities)
    scores["video_ece_scaled"] = expected_calibration_error(labels, probabilities_of(covered, emotions, _SCALED))
    scores["video_worst_subject_uar"] = min(subject_uars(videos, emotions).values())
    return scores


def video_uar(segments: pd.DataFrame, emotions: Sequence[str], how: Aggregation) -> float:
    """UAR of the videos of these segments; `how` their probabilities are made."""
    _, labels, probabilities = by_video(*_arrays(segments, emotions), how)
    return score(labels, probabilities, emotions).uar


def subject_uars(videos: pd.DataFrame, emotions: Sequence[str]) -> dict[str, float]:
    """UAR of each subject's covered videos, over the classes that he or she shows."""
    covered = videos[videos["num_segments"] > 0]
    labels, probabilities = labels_of(covered, emotions), probabilities_of(covered, emotions)
    return {
        str(name): one.uar
        for name, one in scores_by_group(covered["subject"].to_numpy(), labels, probabilities, emotions).items()
    }


def confusions(table: pd.DataFrame, emotions: Sequence[str]) -> np.ndarray:
    """Counts of the rows that have a prediction, int (classes, classes): row true, column predicted."""
    rows = table[table["predicted"] != ""]
    return count_confusions(labels_of(rows, emotions), labels_of(rows, emotions, "predicted"), len(emotions))


def labels_of(table: pd.DataFrame, emotions: Sequence[str], column: str = "emotion") -> np.ndarray:
    """Positions of a column's classes in the label order, int64 (rows,)."""
    return label_numbers(table[column], emotions)


def probabilities_of(table: pd.DataFrame, emotions: Sequence[str], prefix: str = "p_") -> np.ndarray:
    """Probabilities of a table, float64 (rows, classes)."""
    return table[[f"{prefix}{emotion}" for emotion in emotions]].to_numpy(np.float64)


def _arrays(segments: pd.DataFrame, emotions: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return segments["video_id"].to_numpy(), labels_of(segments, emotions), probabilities_of(segments, emotions)


def _columns(probabilities: np.ndarray, emotions: Sequence[str], prefix: str = "p_") -> dict[str, np.ndarray]:
    return {f"{prefix}{emotion}": probabilities[:, i] for i, emotion in enumerate(emotions)}
