"""Grad-CAM of a run's test predictions, in a form that can be checked.

Leaves in the folder of an evaluation: `gradcam.jpg`, a few segments a class, and `tiles.parquet`, where each of them
comes from; `gradcam_mean.jpg` and `gradcam_mean.npz`, the mean map of each class; `randomisation.png`, whether the maps
depend on the model's weights; `explanation.json`, the figures of that check and its verdict.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from pydantic import BaseModel

from fer_models.errors import UseError
from fer_models.gradcam import GradCam
from fer_models.randomisation import MAX_SIMILARITY, NUM_DRAWS, Randomisation, check_randomisation
from fer_models.segments import SegmentArrays
from fer_models.training import MODEL_FILE
from tasks.boxes import Box
from tasks.contents import content_sha256
from tasks.files import find_json, whole_file, write_json
from tasks.layout import Layout
from tasks.plots import save_figure
from tasks.plots.explanations import plot_explanations
from tasks.plots.mean_maps import MeanMap, plot_mean_maps
from tasks.plots.randomisation import plot_randomisation
from tasks.runs import Run
from tasks.settings import StudySettings
from tasks.tiles import TILES_FILE, Origin, Tile, write_tiles

EXPLANATION_FILE = "explanation.json"
#: Tiles of a Grad-CAM figure, per class.
_TILES_PER_CLASS = 3
#: Segments that a mean map is taken over, per class.
_MEAN_PER_CLASS = 64


class Explanation(BaseModel):
    """What the model-randomisation check of a run's Grad-CAM maps gave.

    `similarity` holds by stream the mean rank correlation with the trained model's maps after each of `steps`;
    `num_maps` by stream how many of the tiles' maps are not empty; `num_mean` how many segments a class's mean map has.
    """

    passed: bool
    verdict: str
    max_similarity: float
    num_draws: int
    num_tiles: int
    num_maps: dict[str, int]
    steps: list[str]
    similarity: dict[str, list[float]]
    convolution: int
    num_mean: dict[str, int]


def read_explanation(folder: Path) -> Explanation:
    """What `explain_run` left in the folder of an evaluation; raises `UseError` when it is not there any more."""
    path = folder / EXPLANATION_FILE
    explanation = find_json(path, Explanation)
    if explanation is None:
        raise UseError(f"There is no explanation at {str(path)!r}; run `fer evaluate` again, which makes it anew.")
    return explanation


def explain_run(
    folder: Path,
    settings: StudySettings,
    run: Run,
    model: keras.Model,
    test_rows: pd.DataFrame,
    arrays: SegmentArrays,
    probabilities: np.ndarray,
) -> Explanation:
    """Explain the predictions of a run on the test side.

    Args:
        folder: of the evaluation.
        test_rows: rows of the index, numbered from 0, in the order of `arrays` and of `probabilities` (n, classes).
    """
    predicted = probabilities.argmax(axis=1)
    shown = choose_segments(arrays, np.arange(len(arrays)), _TILES_PER_CLASS, run.seed)
    explainer = GradCam(model, batch_size=len(shown))
    origin = Origin(
        arm=run.arm.name,
        seed=run.seed,
        fold=run.fold_name or "0",
        checkpoint=f"{run.folder.name}/{MODEL_FILE}",
        checkpoint_sha256=content_sha256(run.folder / MODEL_FILE),
        prepared=Layout.of(settings).prepared.name,
        convolution=explainer.convolution,
    )
    tiles = _make_tiles(origin, explainer, settings.corpus.emotions, test_rows, arrays, probabilities, shown)
    means = _make_means(explainer, settings.corpus.emotions, arrays, predicted, run.seed)
    check = check_randomisation(explainer, arrays.faces[shown], arrays.optical_flows[shown], predicted[shown], run.seed)
    save_figure(plot_explanations(tiles, run.arm.title, _TILES_PER_CLASS), folder / "gradcam.jpg")
    save_figure(plot_mean_maps(means, run.arm.title), folder / "gradcam_mean.jpg")
    save_figure(plot_randomisation(check, run.arm.title), folder / "randomisation.png")
    write_tiles(folder / TILES_FILE, tiles)
    _write_means(folder / "gradcam_mean.npz", means)
    explanation = _summarise(check, explainer.convolution, len(tiles), means)
    write_json(folder / EXPLANATION_FILE, explanation)
    return explanation


def choose_segments(arrays: SegmentArrays, candidates: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Up to `per_class` random ones of the candidate rows of each class, of as many videos as there are."""
    order = np.random.default_rng(seed).permutation(candidates)
    chosen: list[int] = []
    for label in np.unique(arrays.labels[order]):
        rows = order[arrays.labels[order] == label]
        of_video = pd.Series(rows).groupby(arrays.videos[rows]).cumcount()  # 0 for the first of a video, 1 for the next
        chosen += rows[np.argsort(of_video.to_numpy(), kind="stable")][:per_class].tolist()
    return np.array(chosen, np.int64)


def _make_tiles(
    origin: Origin,
    explainer: GradCam,
    emotions: tuple[str, ...],
    test_rows: pd.DataFrame,
    arrays: SegmentArrays,
    probabilities: np.ndarray,
    shown: np.ndarray,
) -> list[Tile]:
    explained = probabilities[shown].argmax(axis=1)
    maps = explainer.maps(arrays.faces[shown], arrays.optical_flows[shown], explained)
    return [
        Tile(
            origin=origin,
            video_id=row.video_id,
            subject=row.subject,
            sha256=row.sha256,
            segment=int(row.segment),
            frame=int(row.frame),
            pts_s=float(row.pts_s),
            box=Box(*map(int, row.box)),
            explained=emotions[explained[i]],
            true=row.emotion,
            probabilities=dict(zip(emotions, probabilities[shown[i]].tolist(), strict=True)),
            face=arrays.faces[shown[i]],
            optical_flow=arrays.optical_flows[shown[i]],
            maps={stream: stream_maps[i].astype(np.float16) for stream, stream_maps in maps.items()},
        )
        for i, row in enumerate(test_rows.loc[shown].itertuples())
    ]


def _make_means(
    explainer: GradCam, emotions: tuple[str, ...], arrays: SegmentArrays, predicted: np.ndarray, seed: int
) -> list[MeanMap]:
    """Over segments whose class was recognised, so that the class that is explained is the one that is there."""
    recognised = choose_segments(arrays, np.flatnonzero(predicted == arrays.labels), _MEAN_PER_CLASS, seed)
    means = []
    for label, emotion in enumerate(emotions):
        rows = recognised[arrays.labels[recognised] == label]
        if len(rows):
            face = arrays.faces[rows].mean(axis=0).round().astype(np.uint8)
            maps = explainer.maps(arrays.faces[rows], arrays.optical_flows[rows], arrays.labels[rows])
        else:
            face = np.zeros(arrays.faces.shape[1:], np.uint8)
            maps = {stream: np.zeros((1, *face.shape[:2]), np.float32) for stream in explainer.streams}
        means.append(MeanMap(emotion, len(rows), face, {stream: one.mean(axis=0) for stream, one in maps.items()}))
    return means


def _write_means(path: Path, means: list[MeanMap]) -> None:
    """Arrays `emotions` (c,), `numbers` (c,), `faces` (c, 48, 48, 3) and by stream float32 (c, 48, 48)."""
    arrays: dict[str, Any] = {stream: np.stack([one.maps[stream] for one in means]) for stream in means[0].maps}
    arrays |= {"emotions": [one.emotion for one in means], "numbers": [one.number for one in means]}
    with whole_file(path) as temporary:
        np.savez_compressed(temporary, faces=np.stack([one.face for one in means]), **arrays)


def _summarise(check: Randomisation, convolution: int, num_tiles: int, means: list[MeanMap]) -> Explanation:
    return Explanation(
        passed=check.passed,
        verdict=_verdict(check),
        max_similarity=MAX_SIMILARITY,
        num_draws=NUM_DRAWS,
        num_tiles=num_tiles,
        num_maps=check.num_maps,
        steps=list(check.steps),
        similarity={stream: values.tolist() for stream, values in check.means.items()},
        convolution=convolution,
        num_mean={one.emotion: one.number for one in means},
    )


def _verdict(check: Randomisation) -> str:
    empty = [stream for stream in check.num_maps if stream not in check.similarity]
    if empty:
        return f"All maps of the {' and the '.join(empty)} stream are empty: they explain nothing."
    ends = ", ".join(f"{values[-1]:.2f} ({stream})" for stream, values in check.means.items())
    return f"Maps of fully random models correlate with this model's by {ends}; " + (
        f"with at most {MAX_SIMILARITY:g} they count as depending on its weights."
        if check.passed
        else f"above {MAX_SIMILARITY:g} they show the picture rather than the model."
    )
