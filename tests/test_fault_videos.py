"""Bad video files through the real code: every one ends in exactly one outcome, with a sentence that says why.

A handful runs by default; all of them with `-m ""` or `-m faults`. `faulty_videos` makes the files.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Tally, images_of, report_of
from cv2.data import haarcascades
from odd_usable_videos import ODD, Case
from test_real_clips import DATA
from unusable_videos import BAD
from video_surgery import cut

from fer_models.errors import VideoFault
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.settings import CorpusSettings
from tasks.corpus.manifest import build_manifest
from tasks.outcomes import Outcome
from tasks.preparation.prepare_file import prepare_file
from tasks.preparation.shards import read_rows
from tasks.video.boxes import Box, overlap
from tasks.video.cutting import prepare_video
from tasks.video.decoding import Video, decode
from tasks.video.fingerprint import VideoFile
from tasks.video.segments import VideoReport
from tasks.video.truncation import breaks_off

ROOT = Path(__file__).resolve().parent.parent
#: Neighbours, for what is drawn moves so many px a frame, at whatever times the frames are shown.
SETTINGS = PrepareSettings(segment_stride=4, pair="neighbours")
#: No file of the suite may take longer; the slowest, 20 frames of 8K, takes a few seconds.
LIMIT_S = 60.0
#: One of each kind; cutting all of them would show nothing more.
REAL_CLIPS = [
    DATA / name
    for name in (
        "mead24/M030_front_angry_level3_001.mp4",
        "mead24/W011_front_happy_level3_001.mp4",
        "asl20/milk.mkv",
        "asl20/yes.mkv",
        "clips/no_face.mp4",
        "clips/face_noface.mov",
        "clips/portrait_640x360.mp4",
    )
]
CASES = [*ODD, *BAD]


def settle(path: Path, folder: Path) -> VideoReport:
    """What becomes of the only file of a folder: the manifest's word, or that of its preparation.

    Args:
        folder: the shard is put here, named after its content.
    """
    corpus = CorpusSettings(adapter="videos", root=path.parent)
    (video,) = build_manifest(corpus, folder / "manifest.parquet").itertuples()
    if video.status != Outcome.OK:
        return VideoReport(outcome=Outcome(video.status), message=video.reason)
    file = VideoFile(Path(video.uri), video.sha256, video.size_bytes, video.mtime_ns)
    shard = folder / f"{video.sha256}.parquet"
    try:
        report = prepare_file(file, shard, SETTINGS)
    except VideoFault as fault:  # a transient one leaves no shard
        return VideoReport(outcome=Outcome(fault.outcome), message=fault.message)
    assert report_of(shard) == report
    return report


@contextmanager
def counted(tally: Tally, kind: str) -> Iterator[None]:
    """Count the fault that a block injects as survived, unless the block raises."""
    survived = 0
    try:
        yield
        survived = 1
    finally:
        tally.add(kind, 1, survived)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=() if case.quick else pytest.mark.faults) for case in CASES]
)
def test_every_file_ends_in_its_outcome(tmp_path: Path, case: Case, tally: Tally) -> None:
    path = tmp_path / "corpus" / case.file_name
    path.parent.mkdir()
    case.write(path)
    with counted(tally, f"video files: {case.name.partition('/')[0]}"):
        start = time.monotonic()
        report = settle(path, tmp_path)
        assert time.monotonic() - start < LIMIT_S
        assert report.outcome in case.outcomes, report
        assert case.says in report.message
        assert_users_understand(report)
        if case.num_frames is not None:
            assert report.num_frames == case.num_frames
        if case.shows:
            assert_shows_the_face(case, report, tmp_path / f"{report.sha256}.parquet")
        if case.max_extra_mb:
            assert peak_mb(path) - peak_mb(None) < case.max_extra_mb


def assert_users_understand(report: VideoReport) -> None:
    assert "\n" not in report.message
    assert not any(word in report.message for word in ("Error", "Errno", "Traceback", "None", "0x"))
    assert report.message or report.outcome is Outcome.OK
    assert len(report.message) < 150


def assert_shows_the_face(case: Case, report: VideoReport, shard: Path) -> None:
    """What was stored is the drawn face, in its place, upright, in its colours, moving as it was drawn."""
    assert case.shows
    drawn = case.shows()
    assert len(drawn) == report.num_frames
    assert (report.height, report.width) == drawn[0].shape[:2]
    assert report.num_covered >= max(case.coverage * report.num_segments, 2)
    faces, optical_flows = images_of(shard)
    for row, stored, motion in zip(read_rows(shard).to_pylist(), faces, optical_flows, strict=True):
        frame, box = drawn[row["frame"]], Box(*row["box"])
        assert overlap(box, drawn_face(frame)) > 0.6
        wanted = cv2.resize(frame[box.y : box.y + box.height, box.x : box.x + box.width], (48, 48))
        if case.grey:
            wanted = cv2.cvtColor(cv2.cvtColor(wanted, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        assert np.abs(stored.astype(int) - wanted).mean() < case.tolerance
        dx, dy = (np.median(motion[14:38, 14:34, axis].astype(float)) * box.width / 48 for axis in (0, 1))
        assert dx == pytest.approx(case.step_px, rel=0.1, abs=0.3)
        assert abs(dy) < 0.1 * case.step_px


def drawn_face(frame: np.ndarray) -> Box:
    """The largest face that the cascade itself sees in a drawn frame."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    cascade = cv2.CascadeClassifier(haarcascades + "haarcascade_frontalface_default.xml")
    scale = min(720 / max(grey.shape), 1.0)
    found = cascade.detectMultiScale(cv2.resize(grey, None, fx=scale, fy=scale), 1.1, 3, minSize=(24, 24))
    return Box(*(round(value / scale) for value in max(found, key=lambda box: box[2])))


def peak_mb(path: Path | None) -> float:
    """Most memory that a process ever holds which prepares a video, or none; Linux only."""
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    code = (
        "import re, sys\nfrom pathlib import Path\nimport cv2\n"
        "from tasks.video.cutting import prepare_video\nfrom tasks.config.settings import PrepareSettings\n"
        "cv2.setNumThreads(1)\n"
        "[prepare_video(Path(name), PrepareSettings(segment_stride=4)) for name in sys.argv[1:]]\n"
        "print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    return int(in_child(code, *([str(path)] if path else []))) / 1024


def in_child(code: str, *arguments: str, timeout_s: float = LIMIT_S) -> str:
    """What code prints in a process of its own, which may not hang."""
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=timeout_s
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_what_a_decoder_finds_damaged_is_left_out_and_the_rest_is_right(tmp_path: Path) -> None:
    """Twelve bits of an H.264 file turned over, with 20 seeds: the motion of all that is kept is that of the face."""
    flipped = [case for case in CASES if case.name.startswith("flips/mp4-")]
    kept, told = [], 0
    for case in flipped:
        path = tmp_path / "clip.mp4"
        case.write(path)
        segments, report = prepare_video(path, SETTINGS)
        told += "frames are damaged" in report.message
        kept += [np.median(s.optical_flow[14:38, 14:34, 0].astype(float)) * s.box[2] / 48 for s in segments]
    assert told == len(flipped) == 20
    assert 20 < len(kept) < 5 * len(flipped)
    assert kept == pytest.approx([3.0] * len(kept), abs=0.5)


@pytest.mark.faults
@pytest.mark.skipif(not DATA.is_dir(), reason="the real clips are not here")
@pytest.mark.parametrize("clip", REAL_CLIPS, ids=lambda path: path.name)
def test_a_real_clip_is_whole_until_it_is_cut(tmp_path: Path, clip: Path, tally: Tally) -> None:
    content, path = clip.read_bytes(), tmp_path / clip.name
    video = Video()
    assert sum(frame.damaged for frame in decode(clip, video)) == 0
    assert (video.complete, breaks_off(clip)) == (True, False)
    for number in range(20):
        with counted(tally, "real clips: cut"):
            path.write_bytes(cut((number + 0.5) / 20)(content))
            assert prepare_video(path, SETTINGS)[1].outcome is Outcome.TRUNCATED


def test_the_suite_is_as_large_as_it_claims() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) > 400
    assert 20 < sum(case.quick for case in CASES) < 60


def test_json_of_a_report_holds_any_message(tmp_path: Path) -> None:
    """The report is written into the shard as JSON, whatever FFmpeg had to say."""
    path = tmp_path / "corpus" / "clip.mp4"
    path.parent.mkdir()
    path.write_bytes("ÿ\n\x00\"{'".encode())
    report = settle(path, tmp_path)
    assert json.loads(report.model_dump_json())["outcome"] == "undecodable"
