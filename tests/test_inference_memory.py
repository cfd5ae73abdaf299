"""Memory of `fer predict` with all that it makes does not grow with the length of a video."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import psutil
import pytest
from conftest import FPS, draw_moving_face
from test_inference_batch_command import FER
from test_inference_predictor import OVERLAPPING, build

from tasks.corpus.sample.corpus import write_video

#: A table of so many frames has a row each, which is what may grow: some hundred bytes.
_MOST_MB, _LOOK_S = 60, 0.1


def repeat(clip: Path, times: int, path: Path) -> None:
    """The pictures of a clip over and over, as they are encoded."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        packets = [(bytes(one), one.pts, one.dts, one.is_keyframe) for one in source.demux(stream) if one.size]
        length = round(Fraction(len(packets), FPS) / stream.time_base)
        copied = target.add_stream_from_template(stream)
        for number in range(times):
            for content, pts, dts, is_key in packets:
                packet = av.Packet(content)
                packet.pts, packet.dts, packet.time_base = (
                    pts + number * length,
                    dts + number * length,
                    stream.time_base,
                )
                packet.is_keyframe, packet.stream = is_key, copied
                target.mux(packet)


def peaks_mb(folder: Path, video: str) -> tuple[float, float]:
    """Peak of the command itself, and the largest of those of its children, MB."""
    command = ("predict", "model.keras", video, "--annotate", "--by", "frame", "--out", f"{video}-results")
    peaks: dict[int, float] = {}
    with psutil.Popen(
        [sys.executable, *FER, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while True:
            for one in (process, *process.children(recursive=True)):
                try:
                    status = Path(f"/proc/{one.pid}/status").read_text()
                except OSError:
                    continue  # it has ended
                mb = [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")]
                peaks[one.pid] = max([peaks.get(one.pid, 0.0), *mb])
            try:
                assert process.wait(_LOOK_S) == 0
                break
            except psutil.TimeoutExpired:
                continue
    own = peaks.pop(process.pid)
    return own, max(peaks.values())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="peaks are read from /proc")
def test_three_minutes_take_no_more_than_ten_seconds(tmp_path: Path) -> None:
    build("gap-sum", OVERLAPPING).save(tmp_path / "model.keras")
    write_video(tmp_path / "ten.mp4", draw_moving_face(0.4, 10 * FPS), FPS)
    repeat(tmp_path / "ten.mp4", 18, tmp_path / "long.mp4")
    few, many = (peaks_mb(tmp_path, name) for name in ("ten.mp4", "long.mp4"))
    assert len((tmp_path / "long.mp4-results" / "long.mp4" / "frames.csv").read_text().splitlines()) == 1 + 180 * FPS
    assert many[0] - few[0] < _MOST_MB, (few, many)
    assert many[1] - few[1] < _MOST_MB, (few, many)
