"""What a video costs: CPU seconds of its preparation and bytes of its shard; part of `make bench-capacity`.

Clips of the sample corpus, as long as they are assumed to be in `docs/lab.md`, on one thread. Prints a table.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import cv2

from tasks.config.prepare_settings import PrepareSettings
from tasks.corpus.sample.corpus import SampleCorpus, plan_clips, render_clip, write_video
from tasks.preparation.prepare_file import prepare_file
from tasks.preparation.shards import shard_path
from tasks.video.fingerprint import VideoFile, content_sha256, content_state

STRIDES = (2, 16)


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=12, help="each of another person")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a clip")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    corpus = SampleCorpus(subjects=arguments.clips, clips=1, seconds=arguments.seconds, faults=False)
    with tempfile.TemporaryDirectory() as name:
        videos = []
        for clip in plan_clips(corpus):
            path = Path(name) / f"{clip.name}.mp4"
            write_video(path, render_clip(corpus, clip), corpus.fps)
            videos.append(VideoFile(path, content_sha256(path), *content_state(path)))
        num_bytes = statistics.mean(video.size_bytes for video in videos)
        print(
            f"{len(videos)} clips of {arguments.seconds:g} s, {corpus.size} px, {corpus.fps} fps, {num_bytes:.0f} bytes"
        )
        print("| stride | segments a video | bytes a segment | MB a shard | CPU s a video (median) |")
        print("|---:|---:|---:|---:|---:|")
        for stride in STRIDES:
            print(measure(videos, Path(name) / str(stride), PrepareSettings(segment_stride=stride)))


def measure(videos: list[VideoFile], shards: Path, settings: PrepareSettings) -> str:
    """A row of the table."""
    seconds, sizes, segments = [], [], []
    for video in videos:
        shard = shard_path(shards, video.sha256)
        start = time.process_time()
        report = prepare_file(video, shard, settings)
        seconds.append(time.process_time() - start)
        sizes.append(shard.stat().st_size)
        segments.append(report.num_covered)
    figures = (
        f"{statistics.mean(segments):.1f}",
        f"{sum(sizes) / sum(segments):.0f}",
        f"{statistics.mean(sizes) / 1e6:.3f}",
        f"{statistics.median(seconds):.3f}",
    )
    return f"| {settings.segment_stride} | {' | '.join(figures)} |"


if __name__ == "__main__":
    main()
