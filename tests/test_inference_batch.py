"""Many videos at once: what is done is not done again, each fault costs one video, nothing depends on the children."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from signal import SIGKILL, SIGSTOP, Signals
from typing import Any

import pandas as pd
import pytest
import stub_pictures
from conftest import FPS, draw_moving_face, draw_wall, write_images
from test_inference_predictor import OVERLAPPING, build
from test_preparation_workers import hurt_who_reads
from test_video_tracks import beside

from fer_models.errors import StorageError
from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import write_video
from tasks.inference.batch import making, running, whole
from tasks.inference.batch.done import Row
from tasks.inference.batch.drawing import draw_picture
from tasks.inference.batch.folders import TEMPORARY
from tasks.inference.batch.planning import Order, Plan, plan_videos
from tasks.inference.batch.results import Results
from tasks.inference.batch.running import predict_videos
from tasks.inference.batch.whole import children_for, pace_in_words, run_plan
from tasks.inference.batch.wishes import Wishes
from tasks.inference.cutting import Cut
from tasks.inference.one_video import OneVideo
from tasks.inference.prediction import Prediction
from tasks.inference.predictor import Predictor
from tasks.inference.sources import list_videos
from tasks.inference.table_files import write_table
from tasks.processes.calls import Call
from tasks.video.decoding import Video, decode

#: A video of which the seconds can be seen that it takes.
LONG = "long.mp4"


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor([build("gap-sum", OVERLAPPING)], OVERLAPPING)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three faces, one of them in a folder below, a wall and what is no video."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "below").mkdir()
    for subject, name in enumerate(("a.mp4", "b.mp4", "below/c.mp4"), start=1):
        write_video(folder / name, draw_moving_face(1.0, 20, subject=subject), FPS)
    write_video(folder / "wall.mp4", draw_wall(12), FPS)
    (folder / "text.mp4").write_text("no video")
    return folder


@pytest.fixture
def videos(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "videos"))


ENDS = {"a.mp4": "ok", "b.mp4": "ok", "below/c.mp4": "ok", "text.mp4": "undecodable", "wall.mp4": "no_face"}


class Batch:
    """Runs into one folder."""

    def __init__(self, out: Path, predictor: Predictor, *sources: Path) -> None:
        self.out, self.predictor, self.sources = out, predictor, sources

    def plan(self, models: tuple[str, ...] = ("model",), **wishes: Any) -> Plan:
        return plan_videos(list_videos(self.sources), Order(self.out, Wishes(**wishes), models))

    def run(
        self, plan: Plan | None = None, workers: int = 0, draw: Callable[..., str] = stub_pictures.draw, **more: Any
    ) -> dict[str, Row]:
        """The rows of all videos by the folder of their results; those that are settled already among them."""
        plan = plan or self.plan()
        results = Results(plan)
        for ended in predict_videos(plan.due, self.predictor, plan.order, workers, draw=draw, **more):
            results.add(ended.due.placed.video, ended.rows)
        results.write()
        assert not (self.out / TEMPORARY).exists()
        return {str(row["folder"]): row for row in plain_rows(results.table())}

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Content and time of change of all files but the table."""
        paths = [path for path in self.out.rglob("*") if path.is_file() and path.parent != self.out]
        return {path.relative_to(self.out).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.fixture
def batch(videos: Path, predictor: Predictor, tmp_path: Path) -> Batch:
    return Batch(tmp_path / "out", predictor, videos)


def plain_rows(table: pd.DataFrame) -> list[Row]:
    """Rows with nothing in place of what is no number."""
    return table.astype(object).where(table.notna(), "").to_dict("records")


def outcomes(rows: dict[str, Row]) -> dict[str, str]:
    return {name: str(row["outcome"]) for name, row in rows.items()}


def due(plan: Plan) -> list[str]:
    return [one.placed.folder.relative_to(plan.order.out).as_posix() for one in plan.due]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_video_has_its_folder_and_a_row(batch: Batch, videos: Path, workers: int) -> None:
    """With the same numbers as alone, in whatever process it is cut."""
    wishes = {"by": "frame", "form": "parquet", "timeline": True}
    rows = batch.run(batch.plan(**wishes), workers)
    assert outcomes(rows) == ENDS
    assert sorted(batch.files()) == sorted(
        [
            *(f"{name}/{file}" for name in ENDS for file in ("frames.parquet", "prediction.json")),
            *(f"{name}/timeline.png" for name in ENDS if name != "text.mp4"),
        ]
    )
    for name in ENDS:
        alone = batch.predictor.predict(videos / name)
        assert plain_rows(pd.read_parquet(batch.out / name / "frames.parquet")) == plain_rows(alone.frames)
        (expected,) = plain_rows(alone.table("video"))
        drawn_of = {"message": f"{alone.row['message']}; timeline.png: not one frame was decoded"}
        assert {**rows[name], "folder": ""} == {**expected, "folder": "", **(drawn_of if name == "text.mp4" else {})}
    assert batch.files()["a.mp4/timeline.png"][0].startswith(b"20 rows, 2 classes")


@pytest.mark.parametrize("workers", [0, 2])
def test_where_all_faces_are_followed_each_has_a_row(batch: Batch, videos: Path, workers: int) -> None:
    """As alone; the counts are still of videos."""
    right = draw_wall(12) + draw_moving_face(1.0, 44, subject=5, scale_px=60)
    write_video(videos / "two.mp4", beside(draw_moving_face(1.0, 56), right), FPS)
    plan = batch.plan(faces="all", by="segment", form="parquet")
    batch.run(plan, workers)
    table = pd.read_csv(batch.out / "predictions.csv")
    assert sorted(table["folder"]) == sorted([*ENDS, "two.mp4", "two.mp4"])
    of_it = table[table["folder"] == "two.mp4"]
    alone = batch.predictor.predict(videos / "two.mp4", faces="all")
    assert of_it["track"].tolist() == [1, 2] == [row["track"] for row in alone.rows]
    columns = ["first_s", "last_s", "num_segments", "coverage", "confidence"]
    assert of_it[columns].to_numpy() == pytest.approx(alone.table("video")[columns].to_numpy(float))
    segments = pd.read_parquet(batch.out / "two.mp4" / "segments.parquet")
    assert plain_rows(segments) == plain_rows(alone.segments)
    again = batch.plan(faces="all", by="segment", form="parquet")
    assert due(again) == []
    results = Results(again)
    assert results.counts() == {"ok": 4, "undecodable": 1, "no_face": 1}
    assert results.num_recognised == 4
    assert results.sentence().endswith("In them 5 faces were followed.")
    pd.testing.assert_frame_equal(results.table()[columns], table[columns])
    assert len(due(batch.plan(by="segment", form="parquet"))) == 6, "it is not the same as following one"


def test_a_marker_with_a_single_row_is_read_as_before(batch: Batch) -> None:
    batch.run()
    before = (batch.out / "predictions.csv").read_bytes()
    for marker in batch.out.rglob("prediction.json"):
        said = json.loads(marker.read_text())
        (said["row"],) = said.pop("rows")
        marker.write_text(json.dumps(said))
    plan = batch.plan()
    assert due(plan) == []
    Results(plan).write()
    assert (batch.out / "predictions.csv").read_bytes() == before


@pytest.mark.parametrize("wishes", [{}, {"by": "segment"}, {"by": "frame", "timeline": True, "annotate": True}])
def test_what_is_done_is_not_done_again(batch: Batch, wishes: dict[str, Any]) -> None:
    first = batch.run(batch.plan(**wishes))
    before, table = batch.files(), (batch.out / "predictions.csv").read_bytes()
    plan = batch.plan(**wishes)
    assert due(plan) == []
    assert run_plan(plan, lambda: pytest.fail("a model is loaded for nothing")).counts() == {
        "ok": 3,
        "undecodable": 1,
        "no_face": 1,
    }
    assert batch.files() == before
    assert (batch.out / "predictions.csv").read_bytes() == table
    assert batch.run(plan) == first


def test_a_changed_wish_makes_only_what_it_changes(batch: Batch, videos: Path) -> None:
    batch.run(batch.plan(by="frame", annotate=True))
    before = batch.files()
    assert due(batch.plan()) == due(batch.plan(by="frame")) == due(batch.plan(annotate=True)) == []
    plan = batch.plan(by="frame", form="parquet", annotate=True)
    assert due(plan) == sorted(ENDS)
    batch.run(plan, draw=stub_pictures.fail)
    after = batch.files()
    assert sorted(after) == sorted([*before, *(f"{name}/frames.parquet" for name in ENDS)])
    kept = {name: one for name, one in before.items() if not name.endswith("prediction.json")}
    assert {name: after[name] for name in kept} == kept, "what was there is as it should be, and stays"

    plan = batch.plan(by="segment", stride=1)
    assert due(plan) == sorted(ENDS)
    batch.run(plan)
    assert sorted(batch.files()) == sorted(
        f"{name}/{file}" for name in ENDS for file in ("segments.csv", "prediction.json")
    )
    assert due(batch.plan(("another model",), by="segment", stride=1)) == sorted(ENDS)


def test_a_changed_video_is_done_again_and_a_touched_one_is_not(batch: Batch, videos: Path) -> None:
    batch.run()
    before = batch.files()
    (videos / "a.mp4").touch()
    shutil.copy(videos / "b.mp4", videos / "wall.mp4")
    (videos / "new.mp4").write_bytes((videos / "b.mp4").read_bytes())
    plan = batch.plan()
    assert due(plan) == ["new.mp4", "wall.mp4"]
    rows = batch.run(plan)
    assert outcomes(rows) == ENDS | {"wall.mp4": "ok", "new.mp4": "ok"}
    same = [name for name in before if not name.startswith(("wall", "a"))]
    assert {name: batch.files()[name] for name in same} == {name: before[name] for name in same}
    for path in videos.rglob("*.mp4"):
        path.chmod(0)  # nobody has to read them
    assert due(batch.plan()) == []


def test_what_lost_its_files_is_done_again(batch: Batch) -> None:
    batch.run(batch.plan(by="frame", timeline=True))
    (batch.out / "a.mp4" / "timeline.png").unlink()
    (batch.out / "b.mp4" / "frames.csv").write_text("")
    (batch.out / "below" / "c.mp4" / "prediction.json").write_text('{"sha256": "half')
    before = batch.files()
    plan = batch.plan(by="frame", timeline=True)
    assert due(plan) == ["a.mp4", "b.mp4", "below/c.mp4"]
    assert plan.due[0].kept
    batch.run(plan)
    after = batch.files()
    assert after["a.mp4/frames.csv"] == before["a.mp4/frames.csv"]
    assert after["b.mp4/frames.csv"][0]
    assert (batch.out / "below" / "c.mp4" / "broken-prediction.json").is_file()
    assert due(batch.plan(by="frame", timeline=True)) == []


def test_what_a_list_names_in_vain_has_its_row(batch: Batch, videos: Path, tmp_path: Path) -> None:
    named = ["gone.mp4", "b.mp4", "dangling.mp4", "other/gone.mp4", "pipe.mp4", "a" * 300 + ".mp4"]
    (videos / "dangling.mp4").symlink_to("nowhere")
    os.mkfifo(videos / "pipe.mp4")
    (videos / "list.txt").write_text("\n".join(named))
    batch.sources = (videos / "list.txt",)
    rows = batch.run()
    ends = ["file_missing", "ok", "file_missing", "file_missing", "undecodable", "unreadable"]
    assert [row["outcome"] for row in rows.values()] == ends
    assert list(rows)[1:3] == ["b.mp4", "dangling.mp4"]
    assert "link" in str(rows["dangling.mp4"]["message"])
    assert sorted(batch.files()) == ["b.mp4/prediction.json"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "outcome", "words"),
    [(SIGKILL, "crashed", "the worker process died"), (SIGSTOP, "timeout", "nothing came of it for 3 s")],
)
def test_a_video_that_kills_its_child_or_hangs_costs_itself(
    batch: Batch, videos: Path, fault: Signals, outcome: str, words: str
) -> None:
    write_video(videos / LONG, draw_wall(40, (1280, 960)) * 4, FPS)
    hurt: list[int] = []
    while not hurt:
        shutil.rmtree(batch.out, ignore_errors=True)
        with hurt_who_reads(videos / LONG, fault) as hurt:
            rows = batch.run(workers=2, timeout_s=3.0)
    assert outcomes(rows) == ENDS | {LONG: outcome}
    assert words in str(rows[LONG]["message"])
    assert f"{LONG}/prediction.json" not in batch.files()
    plan = batch.plan()
    assert due(plan) == [LONG], "the next run tries it again"
    assert outcomes(batch.run(plan, workers=2)) == ENDS | {LONG: "no_face"}


def test_when_the_pool_breaks_each_is_tried_alone(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them breaks it each time; nobody can tell which but by trying."""
    begun: list[str] = []

    class Breaking(Call):
        def __init__(self, function: Callable[..., Any], arguments: Sequence[Any], *more: Any) -> None:
            begun.append(arguments[0].name)
            super().__init__(function, arguments, *more)

        def is_over(self) -> bool:
            if "b.mp4" in begun:
                begun.clear()
                raise BrokenProcessPool("injected")
            return super().is_over()

    monkeypatch.setattr(running, "Call", Breaking)
    rows = batch.run(workers=2)
    assert outcomes(rows) == ENDS | {"b.mp4": "crashed"}
    assert due(batch.plan()) == ["b.mp4"]


def test_a_bug_that_one_video_shows_costs_that_video(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = OneVideo.finish

    def fail(asked: OneVideo, cut: Cut) -> Prediction:
        if asked.path.name == "b.mp4":
            raise IndexError("out of bounds")
        return finish(asked, cut)

    monkeypatch.setattr(OneVideo, "finish", fail)
    rows = batch.run()
    assert outcomes(rows) == ENDS | {"b.mp4": "crashed"}
    assert rows["b.mp4"]["message"] == "IndexError: out of bounds"
    monkeypatch.undo()
    assert outcomes(batch.run()) == ENDS


@pytest.mark.parametrize(
    ("draw", "workers", "outcome", "words"),
    [
        (stub_pictures.fail, 0, "ok", "timeline.png: no timeline.png"),
        (stub_pictures.remark, 0, "ok", "timeline.png: without sound"),
        (stub_pictures.die, 1, "crashed", "timeline.png: the worker process died (exit code -9)"),
        (stub_pictures.hang, 1, "timeout", "timeline.png: it took longer than 2 s"),
    ],
)
@pytest.mark.slow
def test_a_picture_that_cannot_be_drawn_costs_itself(
    batch: Batch,
    videos: Path,
    draw: Callable[..., str],
    workers: int,
    outcome: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "_DRAWING_S", -2.9)  # which leaves 2 s of a minute for 20 frames
    batch.sources = (videos / "a.mp4",)
    wishes: dict[str, Any] = {"by": "segment", "timeline": True}
    rows = batch.run(batch.plan(**wishes), workers, draw, timeout_s=60.0)
    assert rows["a.mp4"]["outcome"] == outcome
    assert str(rows["a.mp4"]["message"]).endswith(words)
    settled = outcome == "ok"
    assert ("a.mp4/prediction.json" in batch.files()) == settled
    plan = batch.plan(**wishes)
    assert due(plan) == ([] if settled else ["a.mp4"])
    assert Results(plan).counts() == {"ok" if settled else "not_tried": 1}
    assert outcomes(batch.run(plan, timeout_s=60.0)) == {"a.mp4": "ok"}


@pytest.mark.slow
def test_pictures_of_videos_and_of_an_image(videos: Path, tmp_path: Path) -> None:
    """The real ones, here and by a child: they are the same."""
    still = PrepareSettings(segment_length=1, pair="none")
    predictor = Predictor([build("spatial-only", still)], still)
    write_images(tmp_path / "named", draw_moving_face(1.0, 1), prefix="photo")
    made = []
    for workers in (0, 1):
        batch = Batch(tmp_path / f"out{workers}", predictor, videos / "a.mp4", tmp_path / "named" / "photo00000001.png")
        rows = batch.run(batch.plan(timeline=True, annotate=True), workers, draw_picture)
        assert outcomes(rows) == {"a.mp4": "ok", "photo00000001.png": "ok"}
        made.append({name: content for name, (content, _) in batch.files().items()})
    assert sorted(made[0]) == [
        *(f"a.mp4/{name}" for name in ("annotated.mp4", "prediction.json", "timeline.png")),
        *(f"photo00000001.png/{name}" for name in ("annotated.png", "prediction.json")),
    ]
    assert made[0] == made[1]
    video = Video()
    assert len(list(decode(batch.out / "a.mp4" / "annotated.mp4", video))) == 20
    assert video.width > 320, "there are bars beside the picture"


def test_an_image_that_a_model_cannot_judge_is_not_opened(batch: Batch, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_text("no picture")
    batch.sources = (tmp_path / "photo.png",)
    rows = batch.run(batch.plan(annotate=True))
    assert outcomes(rows) == {"photo.png": "too_short"}
    assert "give it a video; annotated.png: not one frame was decoded" in str(rows["photo.png"]["message"])
    assert due(batch.plan(annotate=True)) == []


def test_a_full_disk_stops_the_run_with_one_sentence(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def write(path: Path, table: pd.DataFrame) -> None:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        write_table(path, table)

    monkeypatch.setattr(making, "write_table", write)
    with pytest.raises(StorageError, match=r"out cannot be written \(No space left on device\); what is done stays"):
        batch.run(batch.plan(by="frame"))
    assert not (batch.out / TEMPORARY).exists()
    monkeypatch.undo()
    plan = batch.plan(by="frame")
    assert due(plan) == sorted(ENDS)[1:]
    assert outcomes(batch.run(plan)) == ENDS


def test_counts_add_up_all_the_while(batch: Batch) -> None:
    plan = batch.plan()
    results = Results(plan)
    assert results.counts() == {"not_tried": 5}
    assert (
        results.sentence()
        == "5 videos, 5 of them predicted now: 5 not_tried. 5 can be tried again: run the same once more."
    )
    seen = []
    for ended in predict_videos(plan.due, batch.predictor, plan.order, workers=0):
        results.add(ended.due.placed.video, ended.rows)
        assert sum(results.counts().values()) == 5
        seen.append(len(pd.read_csv(results.path)))
    assert seen == [5] * 5, "the table is there from the first video on"
    assert results.sentence() == "5 videos, 5 of them predicted now: 3 ok, 1 undecodable, 1 no_face."
    assert results.num_recognised == 3
    assert Results(batch.plan()).sentence() == "5 videos, nothing to do: 3 ok, 1 undecodable, 1 no_face."


@pytest.mark.parametrize(
    ("done", "left", "seconds", "words"),
    [
        (10, 0, 60.0, "10 a minute"),
        (10, 5, 60.0, "10 a minute, 1 min left"),
        (2, 3000, 10.0, "12 a minute, 4 h 10 min left"),
        (1, 1, 0.0, "6e+10 a minute, 0 min left"),
    ],
)
def test_the_pace_is_told(done: int, left: int, seconds: float, words: str) -> None:
    assert pace_in_words(done, left, seconds) == words


@pytest.mark.parametrize(
    ("videos", "workers", "cores", "children"),
    [(9, None, 4, 4), (3, None, 4, 3), (9, 6, 4, 6), (1, None, 1, 0), (1, 1, 1, 1), (2, None, 1, 1)],
)
def test_how_many_children_there_are(
    videos: int, workers: int | None, cores: int, children: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "whole_cores", lambda: cores)
    assert children_for(videos, workers) == children
