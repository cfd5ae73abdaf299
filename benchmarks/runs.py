"""Whole preparation runs: the flow against a bare pool, two workers against one, memory, a run with nothing to do.

Part of `make bench-prepare`; wall-clock seconds, because several processes are at work.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import cv2

from flows.environment import prepare_environment
from tasks.config.layout import Layout
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.resolving import resolve_settings
from tasks.corpus.sample.corpus import Clip, SampleCorpus, render_clip, write_video
from tasks.outcomes import Outcome
from tasks.preparation.prepare_file import prepare_file
from tasks.preparation.shards import open_shard, shard_path
from tasks.video.cutting import prepare_video
from tasks.video.fingerprint import VideoFile, content_sha256, content_state
from tasks.video.segments import VideoReport

EMOTIONS = ["anger", "happiness"]


def two_workers_speedup(path: Path, min_face_px: int, rounds: int, jobs: int = 12) -> float:
    """Throughput of two worker processes over one."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    pools = {workers: _pool(workers) for workers in seconds}
    for workers, pool in pools.items():
        list(pool.map(_prepare_dense, [path] * workers, [min_face_px] * workers))  # start the workers
    for _ in range(rounds):
        for workers, pool in pools.items():
            start = time.perf_counter()
            list(pool.map(_prepare_dense, [path] * jobs, [min_face_px] * jobs))
            seconds[workers].append(time.perf_counter() - start)
    for pool in pools.values():
        pool.shutdown()
    return statistics.median(seconds[1]) / statistics.median(seconds[2])


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,))


def _prepare_dense(path: Path, min_face_px: int) -> int:
    return len(prepare_video(path, PrepareSettings(min_face_px=min_face_px, segment_stride=2))[0])


def flow_over_pool(rounds: int, num_clips: int = 200) -> dict[str, float]:
    """`fer-prepare` on clips of 3 s and of BAUM-1's size, against a process pool that calls the same function."""
    prepare_environment(quiet=True)
    from flows.prepare import prepare

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _copies(folder / "videos", num_clips)
        overrides: dict[str, Any] = {
            "corpus.adapter": "folder",
            "corpus.root": str(folder / "videos"),
            "corpus.emotions": EMOTIONS,
            "execution.workers": 2,
        }
        settings = resolve_settings(None, None, overrides).prepare
        start = time.perf_counter()
        _run_flow(prepare, folder, overrides, ["anger/p0/0.mp4"])  # starts Prefect's server and the workers
        first_s = time.perf_counter() - start
        files = [_video_file(path) for path in sorted((folder / "videos").rglob("*.mp4"))]
        flow_s, pool_s = [], []
        with _pool(2) as pool:
            for number in range(rounds + 1):
                shards = [shard_path(folder / f"pool{number}" / "shards", video.sha256) for video in files]
                start = time.perf_counter()
                list(pool.map(prepare_file, files, shards, [settings] * len(files)))
                pool_s.append(time.perf_counter() - start)
                start = time.perf_counter()
                _run_flow(prepare, folder, overrides, None)
                flow_s.append(time.perf_counter() - start)
        flow, bare = statistics.median(flow_s[1:]), statistics.median(pool_s[1:])  # the first round warms up
        return {
            "flow_over_pool": flow / bare,
            "flow_s": flow,
            "pool_s": bare,
            "first_flow_with_prefect_start_s": first_s,
        }


def _run_flow(prepare: Any, folder: Path, overrides: dict[str, Any], videos: list[str] | None) -> None:
    shutil.rmtree(folder / "data", ignore_errors=True)
    prepare(overrides=overrides | {"data_root": str(folder / "data")}, videos=videos)


def _copies(folder: Path, number: int) -> None:
    """So many clips of different content, of 10 subjects; each is one of 10 films with a number behind its end."""
    corpus = SampleCorpus(seconds=3.0, size=(720, 576))
    films = []
    for subject in range(10):
        path = folder.parent / f"film{subject}.mp4"
        write_video(path, render_clip(corpus, Clip(subject, 1, "happiness")), corpus.fps)
        films.append(path.read_bytes())
    for i in range(number):
        path = folder / EMOTIONS[i % 2] / f"p{i % 10}" / f"{i}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(films[i % 10] + b"\0\0\0\x10free" + f"{i:08d}".encode())


def worker_memory() -> dict[str, float]:
    """Peak memory of a process that prepares 10 s and 20 minutes of 1280x720, a segment every second frame; MB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = SampleCorpus(seconds=10.0, size=(1280, 720))
        write_video(folder / "short.mp4", render_clip(corpus, Clip(3, 1, "happiness")), corpus.fps)
        _repeat(folder / "short.mp4", folder / "long.mp4", 120)
        peaks = {}
        for length in ("short", "long"):
            with _pool(1) as pool:  # a new process each, for the peak is that of its whole life
                peaks[length] = pool.submit(_peak_mb, folder / f"{length}.mp4", folder / f"{length}.parquet").result()
        return {"memory_10_s_mb": peaks["short"], "memory_20_min_mb": peaks["long"]}


def _peak_mb(path: Path, shard: Path) -> float:
    report = prepare_file(_video_file(path), shard, PrepareSettings(segment_stride=2))
    assert report.outcome is Outcome.OK, report
    return peak_of_this_process_mb()


def peak_of_this_process_mb() -> float:
    """Linux: the high-water mark of the process itself; `getrusage` would count its parent's from before the start."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _repeat(source: Path, target: Path, times: int) -> None:
    """The film of a file, so many times over; packets are copied, not encoded."""
    with av.open(str(target), "w") as output:
        stream = None
        for number in range(times):
            with av.open(str(source)) as container:
                film = container.streams.video[0]
                stream = stream or output.add_stream_from_template(film)
                for packet in container.demux(film):
                    if packet.dts is not None and packet.pts is not None:
                        packet.pts += number * (film.duration or 0)
                        packet.dts += number * (film.duration or 0)
                        packet.stream = stream
                        output.mux(packet)


def rerun_seconds(num_videos: int = 10_000) -> float:
    """`fer prepare` as a command, on a corpus that is prepared already; its files are no films, so none is decoded."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = [
            "--set",
            "corpus.adapter=folder",
            "--set",
            "corpus.root=videos",
            "--set",
            "corpus.emotions=[anger, fear]",
        ]
        shards = Layout.of(resolve_settings(None, None, {"data_root": folder / "data"})).shards
        for i in range(num_videos):
            path = folder / "videos" / ("anger", "fear")[i % 2] / f"p{i % 100}" / f"{i}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"video {i}")
            _write_empty_shard(shards, content_sha256(path))
        command = [sys.executable, "-c", "from flows.cli import main; main()", "prepare", "--data-root", "data", *data]
        seconds = []
        for _ in range(4):
            start = time.perf_counter()
            subprocess.run(command, cwd=folder, check=True, stderr=subprocess.DEVNULL, env=_without_server())
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds[1:])  # the first reads and hashes every file


def _write_empty_shard(shards: Path, sha256: str) -> None:
    with open_shard(shard_path(shards, sha256), 48) as writer:
        writer.close(VideoReport(sha256=sha256, outcome=Outcome.OK))


def _without_server() -> dict[str, str]:
    root = str(Path(__file__).parent.parent)
    return {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"} | {"PYTHONPATH": root}


def _video_file(path: Path) -> VideoFile:
    return VideoFile(path, content_sha256(path), *content_state(path))
