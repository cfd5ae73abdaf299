"""A run's explanations can be traced: each tile to its frame, its video and its model."""

import base64
import io
import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import FPS, draw_moving_face, draw_wall, video_file
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner

from fer_models.errors import UserError
from fer_models.explanation.gradcam import gradcam
from fer_models.models.arms import get_arm
from fer_models.models.building import build_model, load_model
from fer_models.segments import pair_arrays, pair_inputs
from fer_models.settings import ModelSettings
from fer_models.training.engine import predict
from fer_models.training.progress import Progress
from flows.cli import app
from tasks.config.layout import Layout
from tasks.config.resolving import resolve_settings
from tasks.config.settings import StudySettings
from tasks.corpus.manifest import build_manifest
from tasks.corpus.sample.corpus import write_video
from tasks.dataset.index import build_index, load_arrays, read_subset
from tasks.dataset.splits import KEY, TEST
from tasks.drawing.segment_pictures import shown_frames
from tasks.preparation.ledger import write_ledger
from tasks.preparation.prepare_file import prepare_file
from tasks.preparation.shards import shard_path
from tasks.report.embedding import embedded_file
from tasks.report.plots.explanations import plot_explanations
from tasks.report.plots.mean_maps import plot_mean_maps
from tasks.report.plots.tile import plot_tile
from tasks.report.plots.tile_pictures import draw_strips
from tasks.report.run_figures import draw_explanation
from tasks.report.shown_tiles import shown_tiles
from tasks.report.tile_page import explain_tile, gather_tile
from tasks.storage.files import write_json
from tasks.study import evaluation
from tasks.study.checkpoints import MODEL_FILE, PROGRESS_FILE, read_progress
from tasks.study.evaluation import PREDICTIONS_FILE, RESULT_FILE, VIDEOS_FILE, Evaluation
from tasks.study.explanations import (
    EXPLANATION_FILE,
    Explanation,
    MeanMap,
    choose_segments,
    explain_run,
    read_explanation,
)
from tasks.study.runs import Run, training_progress
from tasks.study.test_set import TestSet
from tasks.study.tiles import TILES_FILE, Tile, find_tile, read_tiles, write_tiles

EMOTIONS = ("anger", "fear", "happiness")
VIDEOS = (("anger", "p1"), ("anger", "p2"), ("fear", "p1"), ("fear", "p2"))


class World:
    """A prepared corpus of moving faces of two classes out of three, and an untrained run that was explained on it.

    Args:
        num_frames: of a segment.
        form: of the model.
    """

    def __init__(self, root: Path, arm: str = "gap-sum", num_frames: int = 1, form: str = "corrected") -> None:
        for number, (emotion, subject) in enumerate(VIDEOS):
            path = root / "videos" / emotion / subject / "clip.mp4"
            path.parent.mkdir(parents=True)
            write_video(path, draw_moving_face(2.0, 34, subject=number), FPS)
        overrides = {"data_root": root / "data", "corpus.root": root / "videos", "corpus.emotions": list(EMOTIONS)}
        overrides |= {"corpus.adapter": "folder", "prepare.segment_stride": 8, "prepare.frames_per_segment": num_frames}
        self.settings = resolve_settings(None, None, overrides)
        self.layout = Layout.of(self.settings)
        manifest = build_manifest(self.settings.corpus, self.layout.manifest)
        reports = {
            video.sha256: prepare_file(
                video_file(Path(video.uri)), shard_path(self.layout.shards, video.sha256), self.settings.prepare
            )
            for video in manifest.itertuples()
        }
        ledger = write_ledger(self.layout.ledger, manifest, reports, {})
        split = manifest[list(KEY)].assign(fold=0, side=TEST)
        build_index(ledger, split, self.layout.prepared, self.layout.index, self.settings.prepare.windows)
        self.rows = read_subset(self.layout.index, 0, TEST, EMOTIONS)
        self.arrays = load_arrays(self.rows, self.layout.prepared, EMOTIONS)
        self.test = TestSet(self.rows, self.rows, self.layout.prepared, lambda: self.arrays)
        self.run = Run(get_arm(arm), 3, None, self.layout.runs / f"{arm}-seed3-abc")
        self.run.folder.mkdir(parents=True)
        model = self.settings.model.model_copy(update={"width": 4, "head_units": 16, "form": form})
        built = build_model(self.run.arm, model, EMOTIONS, seed=3, shape=self.arrays.shape)
        built.save(self.run.folder / "model.keras")
        self.model = load_model(self.run.folder / "model.keras")
        self.probabilities = predict(self.model, self.arrays)
        self.folder = self.run.folder / "test-1"
        self.folder.mkdir()
        self.explanation = self.explain(self.folder)
        self.tiles = read_tiles(self.folder / TILES_FILE)

    def explain(self, folder: Path) -> Explanation:
        explained = explain_run(folder, EMOTIONS, self.run, self.model, self.test, self.arrays, self.probabilities)
        draw_explanation(folder, explained, self.run.arm.title)
        return read_explanation(folder)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("explain"))


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in [*figure.texts, *(t for axes in figure.axes for t in axes.texts)])


def test_all_files_are_written(world: World) -> None:
    for name in ("gradcam.jpg", "gradcam_mean.jpg", "randomisation.png"):
        with Image.open(world.folder / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 10
    written = json.loads((world.folder / EXPLANATION_FILE).read_text(encoding="utf-8"))
    assert written == world.explanation.model_dump()
    assert written["num_tiles"] == 6
    assert len(written["steps"]) == len(written["similarity"]["spatial"]) == 8
    end = max(values[-1] for values in written["similarity"].values())
    assert written["passed"] == (end <= written["max_similarity"])
    assert f"{written['similarity']['spatial'][-1]:.2f} (spatial)" in written["verdict"]


@pytest.mark.parametrize("content", ["", "{}", '{"passed": tr'])
@pytest.mark.parametrize("name", [EXPLANATION_FILE, TILES_FILE])
def test_what_lost_its_content_is_told_and_made_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str
) -> None:
    """By the next evaluation, though who read it has set it aside before."""
    folder = tmp_path / "run" / "test-1"
    shutil.copytree(world.folder, folder)
    known = {"arm": "gap-sum", "seed": 3, "fold": None, "num_parameters": 1, "best_epoch": 1, "num_epochs": 1}
    known |= {"num_test_videos": 4, "num_covered_videos": 4, "num_test_segments": 9, "training_seconds": 1.0}
    result = Evaluation(**known, temperature=1.0, validation_uar=0.5, optimism_gap=None, scores={})
    for made in (PREDICTIONS_FILE, VIDEOS_FILE):
        pd.DataFrame({"x": [1]}).to_parquet(folder / made)
    write_json(folder / RESULT_FILE, result)
    run, again = replace(world.run, folder=folder.parent), []
    progress = Progress(history=[], last_checkpoint="a", best_checkpoint="b", best_epoch=1, finished=True)
    write_json(run.folder / PROGRESS_FILE, progress)
    monkeypatch.setattr(evaluation, "_evaluation_folder", lambda run, test: folder)
    monkeypatch.setattr(evaluation, "_evaluate", lambda *arguments: again.append(arguments[2]) or result)
    assert read_explanation(folder) == world.explanation
    evaluation.evaluate_run(world.settings, run, world.test, lambda *drawn: None)
    assert again == []
    (folder / name).write_text(content)
    with pytest.raises(UserError, match="`fer evaluate`"):
        read_explanation(folder) if name == EXPLANATION_FILE else find_tile(tmp_path, "0")
    assert (folder / f"broken-{name}").read_text() == content
    evaluation.evaluate_run(world.settings, run, world.test, lambda *drawn: None)
    assert again == [progress]


@pytest.mark.parametrize("content", ["", "{}", '{"history": [], "best_'])
def test_a_run_whose_progress_lost_its_content_is_trained_anew(world: World, tmp_path: Path, content: str) -> None:
    run = replace(world.run, folder=tmp_path)
    (tmp_path / MODEL_FILE).write_bytes((world.run.folder / MODEL_FILE).read_bytes())
    (tmp_path / PROGRESS_FILE).write_text(content)
    assert read_progress(tmp_path) is None
    for _ in range(2):
        with pytest.raises(
            UserError, match=r"progress\.json is not there; run `fer train` again, which trains gap-sum"
        ):
            training_progress(run)
        assert not run.trained


def test_a_tile_is_the_segment_that_its_provenance_names(world: World) -> None:
    assert len(world.tiles) == 6, "three of each class that there is"
    for tile in world.tiles:
        fits = (world.rows["sha256"] == tile.sha256) & (world.rows["segment"] == tile.segment)
        (row,) = np.flatnonzero(fits)
        known = world.rows.loc[row]
        for name in ("video_id", "subject", "frame", "pts_s"):
            assert vars(tile)[name] == known[name]
        assert list(tile.box) == known["box"].tolist()
        assert tile.true == known["emotion"]
        batch = world.arrays.batch(np.array([row]))
        assert np.array_equal(tile.faces, batch["face"][0])
        assert np.array_equal(tile.optical_flows, batch["optical_flow"][0])
        assert (tile.frames, tile.seen) == ((tile.frame,), (True,))
        assert list(tile.probabilities) == list(EMOTIONS)
        assert list(tile.probabilities.values()) == pytest.approx(world.probabilities[row])
        assert tile.explained == EMOTIONS[world.probabilities[row].argmax()]
        assert tile.origin.checkpoint == "gap-sum-seed3-abc/model.keras"
        assert tile.origin.checkpoint_sha256 == video_file(world.run.folder / "model.keras").sha256


def test_the_maps_of_a_tile_are_those_of_the_model_that_it_names(world: World) -> None:
    tile = world.tiles[2]
    model = load_model(world.layout.runs / tile.origin.checkpoint)
    explained = np.array([EMOTIONS.index(tile.explained)])
    segment = pair_inputs(tile.faces, tile.optical_flows)
    maps = gradcam(model, segment, np.array([0]), explained, tile.origin.convolution)
    assert set(maps) == set(tile.maps)
    for stream, found in maps.items():
        np.testing.assert_allclose(tile.maps[stream], found[0], atol=2e-3)


def test_ids_are_stable_and_one_for_each_tile(world: World, tmp_path: Path) -> None:
    ids = [tile.tile_id for tile in world.tiles]
    assert len(set(ids)) == 6
    assert all(re.fullmatch("[0-9a-f]{10}", tile_id) for tile_id in ids)
    assert pd.read_parquet(world.folder / TILES_FILE)["tile_id"].tolist() == ids
    world.explain(tmp_path)
    assert [tile.tile_id for tile in read_tiles(tmp_path / TILES_FILE)] == ids
    tile = world.tiles[0]
    others = [
        replace(tile, origin=replace(tile.origin, checkpoint="gap-sum-seed4-abc/model.keras")),
        replace(tile, origin=replace(tile.origin, checkpoint_sha256="0")),
        replace(tile, segment=99),
        replace(tile, sha256="0"),
        replace(tile, explained="?"),
    ]
    assert len({tile.tile_id, *(other.tile_id for other in others)}) == 6


def test_mean_maps_are_those_of_recognised_segments(world: World) -> None:
    means = np.load(world.folder / "gradcam_mean.npz")
    predicted = world.probabilities.argmax(axis=1)
    assert means["emotions"].tolist() == list(EMOTIONS)
    for label, number in enumerate(means["numbers"]):
        rows = np.flatnonzero((world.arrays.labels == label) & (predicted == label))
        assert number == len(rows)
        if number:
            faces = world.arrays.batch(rows)["face"][:, 0]
            maps = gradcam(world.model, world.arrays, rows, predicted[rows])
            for stream, found in maps.items():
                np.testing.assert_allclose(means[stream][label], found.mean(axis=0), atol=1e-4)
            assert np.abs(means["faces"][label] - faces.mean(axis=0)).max() <= 0.5
    assert 0 < means["numbers"].sum() < len(world.rows)


def test_segments_are_of_as_many_videos_as_there_are() -> None:
    labels, videos = np.repeat([0, 1], 6), np.array(list("aaabbc" + "dddddd"))
    empty = np.empty(0)
    arrays = pair_arrays(empty, empty, labels, videos, videos)
    chosen = choose_segments(arrays, np.arange(12), 3, seed=5)
    assert labels[chosen].tolist() == [0, 0, 0, 1, 1, 1]
    assert sorted(videos[chosen[:3]]) == ["a", "b", "c"]
    assert len(set(chosen)) == 6
    assert set(choose_segments(arrays, np.array([1, 2, 7]), 3, seed=5)) == {1, 2, 7}


def test_the_page_shows_frame_maps_probabilities_and_provenance(world: World) -> None:
    tile = world.tiles[0]
    page = gather_tile(world.layout, tile)
    assert not page.notice
    assert page.moment.picture is not None
    assert page.moment.box
    x, y, width, height = map(round, page.moment.box)
    cut = Image.fromarray(page.moment.picture[y : y + height, x : x + width]).resize((48, 48), Image.Resampling.BOX)
    assert np.abs(np.asarray(cut).astype(int) - tile.faces[0]).mean() < 4, "the box stands where the face was cut out"
    shown = texts(plot_tile(page))
    known = (tile.tile_id, tile.video_id, tile.sha256, tile.origin.checkpoint, tile.origin.checkpoint_sha256)
    for words in (*known, "(unchanged)", "clip.mp4", "spatial stream", "temporal stream", "true class"):
        assert words in shown
    for probability in tile.probabilities.values():
        assert f"{probability:.3f}" in shown


def altered(world: World, folder: Path) -> StudySettings:
    """The same study elsewhere, its videos copied, so that a test may break it."""
    shutil.copytree(world.layout.root, folder / "data")
    shutil.copytree(world.settings.corpus.root, folder / "videos")
    corpus = world.settings.corpus.model_copy(update={"root": folder / "videos"})
    settings = world.settings.model_copy(update={"data_root": folder / "data", "corpus": corpus})
    build_manifest(corpus, Layout.of(settings).manifest)
    return settings


def test_what_is_gone_or_changed_is_said_and_the_crop_stays(world: World, tmp_path: Path) -> None:
    settings = altered(world, tmp_path)
    layout = Layout.of(settings)
    tile = world.tiles[0]
    video = settings.corpus.root / tile.true / tile.subject / "clip.mp4"

    video.rename(video.with_name("renamed.mp4"))
    assert "not there any more" in gather_tile(layout, tile).notice
    build_manifest(settings.corpus, layout.manifest)
    assert not gather_tile(layout, tile).notice, "a renamed video is known by its content"

    video.with_name("renamed.mp4").unlink()
    write_video(video, draw_wall(34), FPS)
    build_manifest(settings.corpus, layout.manifest)
    (layout.runs / tile.origin.checkpoint).write_bytes(b"another")
    page = gather_tile(layout, tile)
    assert "has another content now" in page.notice
    assert page.moment.picture is None
    np.testing.assert_array_equal(page.moment.faces, tile.faces)
    assert "(changed since)" in texts(plot_tile(page))

    layout.manifest.unlink()
    shutil.rmtree(layout.runs / "gap-sum-seed3-abc")
    page = gather_tile(layout, tile)
    assert "There is no manifest" in page.notice
    assert "(not there any more)" in texts(plot_tile(page))


def test_the_command_writes_the_page(world: World, tmp_path: Path) -> None:
    tile = world.tiles[1]
    result = CliRunner().invoke(app, ["explain", tile.tile_id[:7], "--data-root", str(world.layout.root)])
    assert result.exit_code == 0, result.exception
    path = world.layout.root / "explain" / f"{tile.tile_id}.png"
    assert result.stdout.strip() == str(path)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width == 1540
    with pytest.raises(UserError, match=r"should end in \.png"):
        explain_tile(world.settings, tile.tile_id, tmp_path / "page.gif")
    Image.new("RGB", (8, 8)).save(tmp_path / "photograph.png")
    with pytest.raises(UserError, match="was not made by this command"):
        explain_tile(world.settings, tile.tile_id, tmp_path / "photograph.png")
    for _ in range(2):
        explain_tile(world.settings, tile.tile_id, tmp_path / "page.png")


def test_a_tile_that_is_not_there_is_one_sentence(world: World, tmp_path: Path) -> None:
    tile = world.tiles[0]
    mistyped = f"{tile.tile_id[:8]}zz"
    with pytest.raises(UserError, match=rf"There is no tile '{mistyped}' \(did you mean '{tile.tile_id}'\?\); ids"):
        find_tile(world.layout.runs, mistyped)
    with pytest.raises(UserError, match="There is no tile ''"):
        find_tile(world.layout.runs, "")
    with pytest.raises(UserError, match="run `fer evaluate` first"):
        find_tile(tmp_path, tile.tile_id)


def similar(tiles: list[Tile]) -> tuple[Tile, Tile]:
    """Two tiles whose ids begin alike."""
    more = [replace(tiles[0], segment=segment) for segment in range(100)]
    more.sort(key=lambda tile: tile.tile_id)
    return next(pair for pair in pairwise(more) if pair[0].tile_id[0] == pair[1].tile_id[0])


def test_the_beginning_of_an_id_will_do_unless_several_begin_so(world: World, tmp_path: Path) -> None:
    first, second = similar(world.tiles)
    write_tiles(tmp_path / "run" / "test-1" / TILES_FILE, [first])
    write_tiles(tmp_path / "other" / "test-1" / TILES_FILE, [second])
    write_tiles(tmp_path / "run" / "test-2" / TILES_FILE, [first])
    assert find_tile(tmp_path, second.tile_id.upper()).segment == second.segment
    assert find_tile(tmp_path, first.tile_id[:9]).segment == first.segment, "twice the same tile is one"
    with pytest.raises(
        UserError, match=rf"2 tiles begin with '{first.tile_id[0]}': {first.tile_id}, {second.tile_id};"
    ):
        find_tile(tmp_path, first.tile_id[0])


def test_a_tile_of_one_stream_has_one_map(world: World, tmp_path: Path) -> None:
    tile = replace(world.tiles[0], maps={"temporal": np.zeros((48, 48), np.float16)})
    write_tiles(tmp_path / TILES_FILE, [tile])
    (again,) = read_tiles(tmp_path / TILES_FILE)
    assert list(again.maps) == ["temporal"]
    assert again.origin == tile.origin
    assert "empty, nothing speaks for it" in texts(plot_tile(gather_tile(world.layout, again)))


def test_a_table_of_single_frames_has_the_columns_that_it_always_had(world: World) -> None:
    columns = pd.read_parquet(world.folder / TILES_FILE).columns.tolist()
    origin = ["arm", "seed", "fold", "checkpoint", "checkpoint_sha256", "prepared", "convolution"]
    segment = ["video_id", "subject", "sha256", "segment", "frame", "pts_s", "box", "explained", "true"]
    pictures = ["face", "optical_flow", *(f"p_{emotion}" for emotion in EMOTIONS), "spatial_map", "temporal_map"]
    assert columns == ["tile_id", *origin, *segment, *pictures]


def test_a_tile_without_motion_is_kept_and_drawn(world: World, tmp_path: Path) -> None:
    write_tiles(tmp_path / TILES_FILE, [replace(world.tiles[0], optical_flows=None)])
    (again,) = read_tiles(tmp_path / TILES_FILE)
    assert again.optical_flows is None
    np.testing.assert_array_equal(again.faces, world.tiles[0].faces)
    assert "full colour" not in texts(plot_tile(gather_tile(world.layout, again)))
    assert plot_explanations([again], "One", 3).axes


# Several frames


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("frames"), "c3d-sum", 10, "modern")


@pytest.mark.slow
def test_a_tile_of_several_frames_holds_what_the_model_saw(frames: World) -> None:
    model = load_model(frames.run.folder / MODEL_FILE)
    names = frames.arrays.names.tolist()
    rows = np.array([names.index(f"{tile.video_id}#{tile.segment}") for tile in frames.tiles])
    explained = np.array([EMOTIONS.index(tile.explained) for tile in frames.tiles])
    maps = gradcam(model, frames.arrays, rows, explained, frames.tiles[0].origin.convolution)
    batch = frames.arrays.batch(rows)
    for number, tile in enumerate(frames.tiles):
        np.testing.assert_array_equal(tile.faces, batch["face"][number])
        np.testing.assert_array_equal(tile.optical_flows, batch["optical_flow"][number, :1])
        assert tile.frames == tuple(frames.rows.loc[rows[number], "frames"])
        assert tile.seen == tuple(batch["seen"][number])
        shapes = {stream: one.shape for stream, one in tile.maps.items()}
        assert shapes == {"spatial": (48, 48), "temporal": (48, 48), "frames": (10, 48, 48)}
        for stream, found in maps.items():
            np.testing.assert_allclose(tile.maps[stream], found[number], atol=2e-3)


def test_strips_show_eight_evenly_spaced_frames_and_which_lack_the_face(frames: World) -> None:
    assert shown_frames(3).tolist() == [0, 1, 2]
    assert shown_frames(16).tolist() == [0, 2, 4, 6, 9, 11, 13, 15]
    tile = replace(frames.tiles[0], seen=(True, False, *[True] * 8))
    page = texts(plot_tile(gather_tile(frames.layout, tile)))
    for position in shown_frames(10):
        words = f"frame {tile.frames[position]}"
        assert (f"no face, so {words}" if position == 1 else words) in page
    assert "frames stream" in page
    assert "What the model saw, frame by frame" in page
    strips = draw_strips(tile, 48)
    assert {name: len(pictures) for name, pictures in strips.items()} == {"faces": 8, "frames": 8}
    assert (strips["faces"][1][0] == strips["faces"][1][0, 0]).all(), "an outline"
    numbers = " ".join(str(tile.frames[position]) for position in shown_frames(10))
    grid = texts(plot_explanations([tile], "One", 3))
    assert f"8 of 10 faces, frames {numbers}; outlined: not found" in grid
    for words in ("first optical flow", "spatial stream", "temporal stream", "frames stream"):
        assert words in grid


def test_a_model_of_single_frames_has_tiles_of_the_first_one_that_shows_the_face(frames: World, tmp_path: Path) -> None:
    model = build_model(get_arm("gap-sum"), ModelSettings(width=4, head_units=8), EMOTIONS, shape=frames.arrays.shape)
    rows = frames.rows.assign(frames=frames.rows["frames"].map(lambda numbers: numbers + 1))
    windows = replace(frames.arrays, seen=np.zeros_like(frames.arrays.seen))
    explain_run(tmp_path, EMOTIONS, frames.run, model, replace(frames.test, rows=rows), windows, frames.probabilities)
    for tile in read_tiles(tmp_path / TILES_FILE):
        known = frames.rows[(frames.rows["sha256"] == tile.sha256) & (frames.rows["segment"] == tile.segment)]
        assert (tile.frame,) == tile.frames == (known["frame"].item() + 1,)
        assert (tile.seen, tile.faces.shape) == ((True,), (1, 48, 48, 3))


def test_a_model_that_takes_no_motion_has_tiles_without(frames: World, tmp_path: Path) -> None:
    settings = ModelSettings(width=4, head_units=8)
    model = build_model(get_arm("frame-stack"), settings, EMOTIONS, shape=frames.arrays.shape)
    explained = explain_run(tmp_path, EMOTIONS, frames.run, model, frames.test, frames.arrays, frames.probabilities)
    tile = read_tiles(tmp_path / TILES_FILE)[0]
    assert tile.optical_flows is None
    assert {stream: one.shape for stream, one in tile.maps.items()} == {"frames": (48, 48)}
    assert "frames stream, mean face" in texts(plot_tile(gather_tile(frames.layout, tile)))
    assert explained.means[0].faces.shape == (10, 48, 48, 3)


def test_mean_maps_of_frames_have_a_row_a_frame(frames: World) -> None:
    means = np.load(frames.folder / "gradcam_mean.npz")
    assert means["faces"].shape == (3, 10, 48, 48, 3)
    assert means["frames"].shape == (3, 10, 48, 48)
    assert means["spatial"].shape == (3, 48, 48)
    predicted = frames.probabilities.argmax(axis=1)
    label = means["numbers"].argmax()
    rows = np.flatnonzero((frames.arrays.labels == label) & (predicted == label))
    assert means["numbers"][label] == len(rows)
    found = gradcam(frames.model, frames.arrays, rows, predicted[rows])
    np.testing.assert_allclose(means["frames"][label], found["frames"].mean(axis=0), atol=1e-4)
    one = MeanMap("fear", 1, means["faces"][label], {"frames": means["frames"][label]})
    words = texts(plot_mean_maps([one], "One"))
    assert all(f"frames,\n{number + 1} of 10" in words for number in shown_frames(10))


def test_a_page_shows_tiles_with_their_words(world: World, frames: World, tmp_path: Path) -> None:
    for one, words in ((world, ""), (frames, "8 of ")):
        shown = shown_tiles(one.folder)
        assert shown
        assert [tile.tile_id for tile in shown.tiles] == [tile.tile_id for tile in one.tiles]
        first, tile = shown.tiles[0], one.tiles[0]
        assert first.said == f"{tile.explained} {tile.probabilities[tile.explained]:.2f}"
        assert first.true == ("" if tile.right else tile.true)
        assert first.rows[0][0].startswith(words)
        sizes = []
        for _, address in first.rows:
            with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
                sizes.append(picture.size)
        assert sizes[0] == (384, 48) if words else sizes == [(192, 96), (192, 96)]
    assert shown_tiles(tmp_path) is None
    (tmp_path / TILES_FILE).write_bytes(b"")
    assert shown_tiles(tmp_path) is None


def test_an_embedded_drawing_is_what_it_was(world: World) -> None:
    """But for shades of edges."""
    path = world.folder / "randomisation.png"
    address = embedded_file(path)
    assert len(address) < path.stat().st_size / 2
    with (
        Image.open(path) as before,
        Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/webp;base64,")))) as after,
    ):
        apart = np.abs(np.asarray(before.convert("RGB"), int) - np.asarray(after.convert("RGB"), int))
    assert apart.max() <= 48
    assert (apart.max(axis=2) == 0).mean() > 0.9
