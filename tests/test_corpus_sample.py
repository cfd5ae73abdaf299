"""The sample corpus: the same pixels for the same seed, in the layout of BAUM-1s, with its faults."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from openpyxl import load_workbook

from fer_models.errors import UserError
from tasks.corpus.adapters.baum1 import BAUM1S_CODES, Options, read
from tasks.corpus.sample import corpus as corpus_module
from tasks.corpus.sample.corpus import Clip, SampleCorpus, plan_clips, render_clip, write_corpus, write_video
from tasks.corpus.sample.expressions import CLASS_SHARES
from tasks.corpus.sample.people import draw_person
from tasks.outcomes import Outcome

SMALL = SampleCorpus(subjects=4, clips=1, seconds=0.4, size=(160, 120))
#: What `plan_clips` makes of it: name -> class, what the file holds, what the adapter says.
SMALL_CLIPS = {
    "S001_001": ("sadness", "face", Outcome.OK),
    "S001_002": ("sadness", "no_face", Outcome.OK),
    "S001_003": ("happiness", "truncated", Outcome.OK),
    "S002_001": ("disgust", "face", Outcome.OK),
    "S002_002": ("boredom", "face", Outcome.OK),
    "S003_001": ("sadness", "face", Outcome.OK),
    "S003_002": ("neutral", "face", Outcome.OK),
    "S004_001": ("happiness", "face", Outcome.OK),
    "S004_002": ("anger", "missing", Outcome.FILE_MISSING),
}
DRAWN = [name for name, (_, content, _) in SMALL_CLIPS.items() if content != "missing"]


def video_path(root: Path, name: str) -> Path:
    return root / "BAUM1s_MP4 - All" / f"s{name[1:4]}" / f"{name}.mp4"


def count_frames(path: Path) -> int:
    """Frames that can be decoded before the file ends or breaks off."""
    number = 0
    with av.open(str(path)) as container:
        try:
            for _ in container.decode(video=0):
                number += 1
        except av.FFmpegError:
            pass
    return number


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small corpus, drawn in two processes."""
    root = tmp_path_factory.mktemp("sample") / "corpus"
    assert write_corpus(root, SMALL, workers=2) == len(DRAWN)
    return root


# --- what is drawn -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["face", "no_face"])
def test_the_same_seed_gives_the_same_pixels(content: str) -> None:
    clip = Clip(2, 1, "fear", content)
    first, second = render_clip(SMALL, clip), render_clip(SMALL, clip)
    assert len(first) == 10
    assert first[0].shape == (120, 160, 3)
    assert first[0].dtype == np.uint8
    np.testing.assert_array_equal(first, second)


def test_pixels_do_not_depend_on_how_many_subjects_and_clips_there_are() -> None:
    clip = Clip(2, 1, "fear")
    many = SampleCorpus(subjects=99, clips=50, seconds=0.4, size=(160, 120), faults=False)
    np.testing.assert_array_equal(render_clip(SMALL, clip), render_clip(many, clip))


@pytest.mark.parametrize(
    ("other", "clip"),
    [
        (SampleCorpus(4, 1, 0.4, (160, 120), seed=8), Clip(2, 1, "fear")),
        (SMALL, Clip(3, 1, "fear")),
        (SMALL, Clip(2, 2, "fear")),
        (SMALL, Clip(2, 1, "anger")),
    ],
    ids=["seed", "subject", "clip", "class"],
)
def test_another_seed_subject_clip_or_class_gives_other_pixels(other: SampleCorpus, clip: Clip) -> None:
    first, second = render_clip(SMALL, Clip(2, 1, "fear"))[5], render_clip(other, clip)[5]
    differences = np.abs(first.astype(int) - second.astype(int))
    assert (differences > 20).mean() > 0.005  # more than noise


def test_a_subject_looks_alike_in_all_clips_and_unlike_others() -> None:
    subject = draw_person(7, 3)
    assert subject.skin == draw_person(7, 3).skin
    np.testing.assert_array_equal(subject.resting, draw_person(7, 3).resting)
    assert len({draw_person(7, number).skin for number in range(1, 30)}) == 29
    assert subject.skin != draw_person(8, 3).skin


def test_a_face_is_there_only_where_it_should_be() -> None:
    """Skin stands out from the green wall; without a face nothing is redder than green."""

    def red_share(clip: Clip) -> float:
        frame = render_clip(SMALL, clip)[5].astype(int)
        return float((frame[..., 0] > frame[..., 1] + 15).mean())

    assert red_share(Clip(1, 1, "fear")) > 0.08
    assert red_share(Clip(1, 1, "fear", "no_face")) < 0.01


def test_classes_have_their_shares_and_sadness_the_largest() -> None:
    clips = plan_clips(SampleCorpus(faults=False))
    counts = Counter(clip.emotion for clip in clips)
    assert len(clips) == 32 * 9
    assert sum(CLASS_SHARES.values()) == pytest.approx(1.0)
    for emotion, share in CLASS_SHARES.items():
        assert counts[emotion] / len(clips) == pytest.approx(share, abs=0.01)
    assert counts.most_common(1)[0][0] == "sadness"


def test_everyone_shows_several_classes() -> None:
    shown: dict[int, set[str]] = {}
    for clip in plan_clips(SampleCorpus(faults=False)):
        shown.setdefault(clip.subject, set()).add(clip.emotion)
    assert len(shown) == 32
    assert min(map(len, shown.values())) >= 4


def test_faults_come_on_top_of_the_good_clips() -> None:
    good, all_clips = plan_clips(SampleCorpus(faults=False)), plan_clips(SampleCorpus())
    assert all_clips[: len(good)] == good
    assert [(clip.name, clip.emotion, clip.content) for clip in all_clips[len(good) :]] == [
        ("S001_010", "sadness", "no_face"),
        ("S001_011", "happiness", "truncated"),
        ("S002_010", "boredom", "face"),
        ("S003_010", "neutral", "face"),
        ("S004_010", "anger", "missing"),
    ]


@pytest.mark.parametrize("subjects", [4, 32])
def test_every_clip_has_its_own_name(subjects: int) -> None:
    assert set(Counter(clip.name for clip in plan_clips(SampleCorpus(subjects, 2))).values()) == {1}


@pytest.mark.parametrize("subjects", [1, 2, 3])
def test_every_clip_of_a_few_subjects_has_its_own_name(subjects: int) -> None:
    assert set(Counter(clip.name for clip in plan_clips(SampleCorpus(subjects, 2))).values()) == {1}


# --- what is written -----------------------------------------------------------------------------------------------


def test_the_layout_is_that_of_baum1s(drawn: Path) -> None:
    files = sorted(path.relative_to(drawn).as_posix() for path in drawn.rglob("*") if path.is_file())
    videos = [f"BAUM1s_MP4 - All/s{name[1:4]}/{name}.mp4" for name in DRAWN]
    assert files == sorted(["Annotations_BAUM1s.xlsx", "sample.json", *videos])


def test_the_sheet_has_columns_a_to_g_and_a_legend(drawn: Path) -> None:
    sheet = load_workbook(drawn / "Annotations_BAUM1s.xlsx")["Sheet1"]
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert rows[0][:7] == ["Number", "Subject Label", "Clip", "Clip Name", "Emotion", "Emotion Code", "Gender"]
    data = {row[3]: row for row in rows[1:] if row[3]}
    assert set(data) == set(SMALL_CLIPS)
    codes = {word.lower(): code for code, word in BAUM1S_CODES.items()}
    for name, (emotion, _, _) in SMALL_CLIPS.items():
        assert data[name][1:6] == [int(name[1:4]), int(name[5:]), name, emotion.title(), codes[emotion]]
        assert data[name][6] == draw_person(SMALL.seed, int(name[1:4])).gender
    totals = Counter(emotion for emotion, _, _ in SMALL_CLIPS.values())
    legend = [row[8:11] for row in rows[1:] if row[8]]
    assert legend == [[word, code, totals[word.lower()]] for code, word in BAUM1S_CODES.items()]


def test_the_adapter_reads_it_with_its_faults(drawn: Path) -> None:
    videos = read(Options(adapter="baum1", root=drawn))
    found = {video.video_id.removeprefix("baum1s/"): (video.emotion, video.status) for video in videos}
    assert found == {name: (emotion, status) for name, (emotion, _, status) in SMALL_CLIPS.items()}
    assert all(video.path == video_path(drawn, video.video_id.removeprefix("baum1s/")) for video in videos)
    assert {video.subject for video in videos} == {f"baum1/S{number:03d}" for number in (1, 2, 3, 4)}


def test_videos_are_whole_except_the_truncated_one(drawn: Path) -> None:
    frames = {name: count_frames(video_path(drawn, name)) for name in DRAWN}
    assert frames.pop("S001_003") < 10
    assert set(frames.values()) == {10}
    with av.open(str(video_path(drawn, "S002_001"))) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (160, 120, 25)


def test_a_truncated_clip_of_usual_size_begins_to_play(tmp_path: Path) -> None:
    corpus = SampleCorpus()
    truncated = next(clip for clip in plan_clips(corpus) if clip.content == "truncated")
    corpus_module._write_clip(tmp_path, corpus, truncated)
    assert 0 < count_frames(truncated.path(tmp_path)) < 40


def test_a_second_time_draws_nothing(drawn: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in drawn.rglob("*") if path.is_file()}
    assert write_corpus(drawn, SMALL, workers=2) == 0
    assert {path: path.stat().st_mtime_ns for path in drawn.rglob("*") if path.is_file()} == before


def test_a_removed_clip_is_drawn_again_alone(drawn: Path) -> None:
    path = video_path(drawn, "S003_001")
    before = {name: video_path(drawn, name).stat().st_mtime_ns for name in DRAWN}
    path.unlink()
    assert write_corpus(drawn, SMALL, workers=1) == 1
    assert count_frames(path) == 10
    assert [name for name in DRAWN if video_path(drawn, name).stat().st_mtime_ns != before[name]] == ["S003_001"]


# --- when drawing is interrupted; nothing is drawn here, a clip is a line of text ----------------------------------


class InlinePool:
    """Stands in for the pool of processes."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __enter__(self) -> "InlinePool":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


@pytest.fixture
def write_lines(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`write_corpus` with lines of text for videos; breaks off after `most` clips."""
    left = [0]

    def write_clip(root: Path, corpus: SampleCorpus, clip: Clip) -> str:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        clip.path(root).parent.mkdir(parents=True, exist_ok=True)
        clip.path(root).write_text(f"seed {corpus.seed}")
        return clip.name

    def write(root: Path, corpus: SampleCorpus, most: int = 1000) -> int:
        left[0] = most
        return write_corpus(root, corpus)

    monkeypatch.setattr(corpus_module, "ProcessPoolExecutor", InlinePool)
    monkeypatch.setattr(corpus_module, "_write_clip", write_clip)
    return write


def seeds_in(root: Path) -> set[str]:
    return {video_path(root, name).read_text() for name in DRAWN}


def test_a_corpus_that_was_broken_off_is_finished(tmp_path: Path, write_lines: Callable[..., int]) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_lines(tmp_path, SMALL, most=3)
    assert not (tmp_path / "Annotations_BAUM1s.xlsx").exists()
    assert write_lines(tmp_path, SMALL) == len(DRAWN) - 3
    assert (tmp_path / "Annotations_BAUM1s.xlsx").is_file()
    assert write_lines(tmp_path, SMALL) == 0


def test_other_values_draw_every_clip_again(tmp_path: Path, write_lines: Callable[..., int]) -> None:
    write_lines(tmp_path, SMALL)
    assert write_lines(tmp_path, SampleCorpus(4, 1, 0.4, (160, 120), seed=8)) == len(DRAWN)
    assert seeds_in(tmp_path) == {"seed 8"}


def test_other_values_that_were_broken_off_leave_no_old_clip(tmp_path: Path, write_lines: Callable[..., int]) -> None:
    other = SampleCorpus(4, 1, 0.4, (160, 120), seed=8)
    write_lines(tmp_path, SMALL)
    with pytest.raises(KeyboardInterrupt):
        write_lines(tmp_path, other, most=3)
    write_lines(tmp_path, other)
    assert seeds_in(tmp_path) == {"seed 8"}


def test_a_smaller_corpus_leaves_no_clip_of_the_larger_one(tmp_path: Path, write_lines: Callable[..., int]) -> None:
    write_lines(tmp_path, SampleCorpus(6, 1, 0.4, (160, 120)))
    write_lines(tmp_path, SMALL)
    assert sorted(path.stem for path in tmp_path.rglob("*.mp4")) == DRAWN


def test_a_lost_sheet_is_written_again(tmp_path: Path, write_lines: Callable[..., int]) -> None:
    write_lines(tmp_path, SMALL)
    (tmp_path / "Annotations_BAUM1s.xlsx").unlink()
    assert write_lines(tmp_path, SMALL) == 0
    assert (tmp_path / "Annotations_BAUM1s.xlsx").is_file()
    assert not list(tmp_path.rglob(".part-*"))


def test_what_somebody_put_beside_the_clips_stays(tmp_path: Path, write_lines: Callable[..., int]) -> None:
    write_lines(tmp_path, SMALL)
    mine = video_path(tmp_path, DRAWN[0]).with_name("mine.mp4")
    mine.write_text("mine")
    write_lines(tmp_path, SampleCorpus(4, 1, 0.4, (160, 120), seed=8))
    assert mine.read_text() == "mine"
    (tmp_path / corpus_module._MARKER).write_text('{"people": 3}')
    with pytest.raises(UserError, match="was not drawn by `fer sample`"):
        write_lines(tmp_path, SMALL)


def test_a_corpus_as_it_was_drawn_before_there_were_cameras_is_left() -> None:
    before = '{"subjects": 4, "clips": 1, "seconds": 0.4, "size": [160, 120], "fps": 25, "seed": 7, "faults": true}'
    assert SMALL.marker == before
    assert SampleCorpus(noise=9.0).marker != SampleCorpus().marker


def test_another_camera_is_noisier_and_coarser_and_weaker_faces_stay_nearer_to_rest(tmp_path: Path) -> None:
    clip = Clip(1, 1, "surprise")

    def frames_of(**camera: float) -> np.ndarray:
        return np.stack(render_clip(replace(SMALL, **camera), clip)).astype(float)

    still = np.s_[:, :10, :10]  # a corner of the wall
    usual, noisy = frames_of(), frames_of(noise=10.0)
    assert noisy[still].std(axis=0).mean() > 3 * usual[still].std(axis=0).mean()
    rest, weak, strong = (frames_of(noise=0.0, strength=strength) for strength in (0.0, 0.5, 1.0))
    assert abs(strong - rest).mean() > 1.2 * abs(weak - rest).mean() > 0
    sizes = {}
    for crf in (21, 40):
        write_video(tmp_path / f"{crf}.mp4", render_clip(SMALL, clip), 25, crf)
        sizes[crf] = (tmp_path / f"{crf}.mp4").stat().st_size
    assert sizes[40] < sizes[21] / 2
