"""Grad-CAM of a run's test predictions, in a form that can be checked.

Leaves in the folder of an evaluation: `tiles.parquet`, a few explained segments a class and where each of them comes
from; `gradcam_mean.npz`, the mean map of each class; `explanation.json`, whether the maps depend on the weights.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from pydantic import BaseModel

from fer_models.errors import UserError
from fer_models.explanation.gradcam import GradCam
from fer_models.explanation.randomisation import MAX_SIMILARITY, NUM_DRAWS, Randomisation, check_randomisation
from fer_models.models.building import model_network
from fer_models.models.network import used_inputs
from fer_models.segments import Batch, SegmentSource
from tasks.storage.files import atomic_write, find_json, write_json
from tasks.study.checkpoints import MODEL_FILE
from tasks.study.runs import Run
from tasks.study.test_set import TestSet
from tasks.study.tiles import TILES_FILE, Origin, Tile, write_tiles
from tasks.video.boxes import Box
from tasks.video.fingerprint import content_sha256

EXPLANATION_FILE = "explanation.json"
#: Said of a model that Grad-CAM cannot look into.
NO_MAPS = "This model has no feature maps that Grad-CAM could look at."
#: Tiles of each class.
TILES_PER_CLASS = 3
#: Segments that a mean map is taken over, per class.
_MEAN_PER_CLASS = 64


@dataclass(frozen=True)
class MeanMap:
    """The segments of one class that a model recognised.

    Args:
        number: of segments that the means are taken over; 0 when there is none, and the images mean nothing.
        faces: mean of each frame that the model saw, uint8 RGB (T, S, S, 3).
        maps: by stream the mean of the maps, float (S, S) in 0..1, or (T, S, S), a map a frame.
    """

    emotion: str
    number: int
    faces: np.ndarray
    maps: dict[str, np.ndarray]


@dataclass(frozen=True)
class RunExplanation:
    """What explains a run's predictions: a few segments a class, the classes' mean maps, and the check of the maps.

    A model without feature maps has tiles without maps, no mean maps and no check.
    """

    tiles: list[Tile]
    means: list[MeanMap]
    check: Randomisation | None


class Explanation(BaseModel):
    """What the model-randomisation check of a run's Grad-CAM maps gave.

    `similarity` holds by stream the mean rank correlation with the trained model's maps after each of `steps`;
    `num_maps` by stream how many of the tiles' maps are not empty; `num_mean` how many segments a class's mean map has.
    `passed` is None, and there are no steps, for a model without feature maps.
    """

    passed: bool | None
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
    """What `explain_run` left in the folder of an evaluation; raises `UserError` when it is not there any more."""
    path = folder / EXPLANATION_FILE
    explanation = find_json(path, Explanation)
    if explanation is None:
        raise UserError(f"There is no explanation at {str(path)!r}; run `fer evaluate` again, which makes it anew.")
    return explanation


def explain_run(
    folder: Path,
    emotions: tuple[str, ...],
    run: Run,
    model: keras.Model,
    test: TestSet,
    arrays: SegmentSource,
    probabilities: np.ndarray,
) -> RunExplanation:
    """Explain the predictions of a run on the test subset.

    Args:
        folder: of the evaluation.
        test: in whose order `arrays` and `probabilities`, float (n, classes), are.
    """
    predicted = probabilities.argmax(axis=1)
    shown = choose_segments(arrays, np.arange(len(arrays)), TILES_PER_CLASS, run.seed)
    explainer = GradCam(model, batch_size=len(shown)) if model_network(model).feature_maps else None
    origin = Origin(
        arm=run.arm.name,
        seed=run.seed,
        fold=run.fold_name or "0",
        checkpoint=f"{run.folder.name}/{MODEL_FILE}",
        checkpoint_sha256=content_sha256(run.folder / MODEL_FILE),
        prepared=test.prepared.name,
        convolution=explainer.convolution if explainer else 0,
    )
    maps = explainer.maps(arrays, shown, predicted[shown]) if explainer else {}
    pictures = _seen_by(model, arrays.batch(shown))
    tiles = _make_tiles(origin, maps, emotions, test.rows.loc[shown], pictures, probabilities[shown])
    write_tiles(folder / TILES_FILE, tiles)
    means: list[MeanMap] = []
    check = None
    if explainer:
        means = _make_means(explainer, emotions, arrays, predicted, run.seed)
        check = check_randomisation(explainer, arrays, shown, predicted[shown], run.seed)
        _write_means(folder / "gradcam_mean.npz", means)
    write_json(folder / EXPLANATION_FILE, _summarise(check, origin.convolution, len(tiles), means))
    return RunExplanation(tiles, means, check)


def choose_segments(arrays: SegmentSource, candidates: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Up to `per_class` random ones of the candidate rows of each class, of as many videos as there are."""
    order = np.random.default_rng(seed).permutation(candidates)
    chosen: list[int] = []
    for label in np.unique(arrays.labels[order]):
        rows = order[arrays.labels[order] == label]
        of_video = pd.Series(rows).groupby(arrays.videos[rows]).cumcount()  # 0 for the first of a video, 1 for the next
        chosen += rows[np.argsort(of_video.to_numpy(), kind="stable")][:per_class].tolist()
    return np.array(chosen, np.int64)


def _seen_by(model: keras.Model, batch: Batch) -> Batch:
    """What a tile keeps of a batch: all frames where a model looks at them, of their motion what it looks at.

    Else it is the first frame with its motion, even if the model looks at one of them alone.
    """
    ranks = {name: len(tensor.shape) for name, tensor in used_inputs(model).items()}
    if 5 not in ranks.values():  # (batch, T, S, S, channels)
        return {name: values[:, :1] for name, values in batch.items()}
    seen = {name: values for name, values in batch.items() if name != "optical_flow"}
    if "optical_flow" in ranks:
        flows = batch["optical_flow"]
        seen["optical_flow"] = flows if ranks["optical_flow"] == 5 else flows[:, :1]
    return seen


def _make_tiles(
    origin: Origin,
    maps: dict[str, np.ndarray],
    emotions: tuple[str, ...],
    rows: pd.DataFrame,
    pictures: Batch,
    probabilities: np.ndarray,
) -> list[Tile]:
    """A tile for each of some rows of the test subset, whose maps, pictures and probabilities are in their order."""
    explained = probabilities.argmax(axis=1)
    num_frames = pictures["face"].shape[1]
    numbers = [tuple(map(int, getattr(row, "frames", (row.frame,))))[:num_frames] for row in rows.itertuples()]
    return [
        Tile(
            origin=origin,
            video_id=row.video_id,
            subject=row.subject,
            sha256=row.sha256,
            segment=int(row.segment),
            frame=numbers[i][0],
            pts_s=float(row.pts_s),
            box=Box(*map(int, row.box)),
            explained=emotions[explained[i]],
            true=row.emotion,
            probabilities=dict(zip(emotions, probabilities[i].tolist(), strict=True)),
            faces=pictures["face"][i],
            optical_flows=pictures["optical_flow"][i] if "optical_flow" in pictures else None,
            maps={stream: stream_maps[i].astype(np.float16) for stream, stream_maps in maps.items()},
            frames=numbers[i],
            seen=tuple(pictures["seen"][i].tolist()) if num_frames > 1 else (True,),
        )
        for i, row in enumerate(rows.itertuples())
    ]


def _make_means(
    explainer: GradCam, emotions: tuple[str, ...], arrays: SegmentSource, predicted: np.ndarray, seed: int
) -> list[MeanMap]:
    """Over segments whose class was recognised, so that the class that is explained is the one that is there."""
    recognised = choose_segments(arrays, np.flatnonzero(predicted == arrays.labels), _MEAN_PER_CLASS, seed)
    means = []
    for label, emotion in enumerate(emotions):
        rows = recognised[arrays.labels[recognised] == label]
        if len(rows):
            faces = _seen_by(explainer.model, arrays.batch(rows))["face"].mean(axis=0).round().astype(np.uint8)
            maps = explainer.maps(arrays, rows, arrays.labels[rows])
        else:
            faces = np.zeros_like(_seen_by(explainer.model, arrays.batch(np.array([0])))["face"][0])
            maps = {
                stream: np.zeros((1, *shape), np.float32) for stream, shape in explainer.shapes(arrays.shape).items()
            }
        means.append(MeanMap(emotion, len(rows), faces, {stream: one.mean(axis=0) for stream, one in maps.items()}))
    return means


def _write_means(path: Path, means: list[MeanMap]) -> None:
    """Arrays `emotions` (c,), `numbers` (c,), `faces` (c, S, S, 3) and by stream float32 (c, S, S).

    With frames they are (c, T, S, S, 3) and (c, T, S, S).
    """
    arrays: dict[str, Any] = {stream: np.stack([one.maps[stream] for one in means]) for stream in means[0].maps}
    arrays |= {"emotions": [one.emotion for one in means], "numbers": [one.number for one in means]}
    faces = np.stack([one.faces[0] if len(one.faces) == 1 else one.faces for one in means])
    with atomic_write(path) as temporary:
        np.savez_compressed(temporary, faces=faces, **arrays)


def _summarise(check: Randomisation | None, convolution: int, num_tiles: int, means: list[MeanMap]) -> Explanation:
    return Explanation(
        passed=check.passed if check else None,
        verdict=_verdict(check) if check else NO_MAPS,
        max_similarity=MAX_SIMILARITY,
        num_draws=NUM_DRAWS if check else 0,
        num_tiles=num_tiles,
        num_maps=check.num_maps if check else {},
        steps=list(check.steps) if check else [],
        similarity={stream: values.tolist() for stream, values in check.means.items()} if check else {},
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
