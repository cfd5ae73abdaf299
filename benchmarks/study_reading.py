"""The published study's way to feed its models: image files read and augmented one by one, for both streams.

Keras's own `ImageDataGenerator`, as the study used it: shear 0.2, zoom 0.2 and mirroring, the same seed for both
streams, one thread that reads ahead. Keras 3 keeps the class for old code.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from fer_models.segments import SegmentArrays

Batch = tuple[list[np.ndarray], np.ndarray]


def write_pictures(folder: Path, segments: SegmentArrays) -> None:
    """PNG files `<stream>/<class>/<number>.png` of 48x48, the smallest that the study could have read."""
    for number, (face, optical_flow, label) in enumerate(
        zip(segments.faces, segments.optical_flows, segments.labels, strict=True)
    ):
        motion = np.zeros_like(face)
        motion[..., :2] = np.clip(128 + 255 * optical_flow, 0, 255)
        for stream, picture in (("spatial", face), ("temporal", motion)):
            path = folder / stream / str(label) / f"{number:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture)


def read_batches(folder: Path, batch_size: int, seed: int = 1) -> Iterator[Batch]:
    """Batches for ever: [faces uint8 (n, 48, 48, 3), optical flow float32 (n, 48, 48, 2)] and labels.

    The study's models took the motion as a picture; ours take two components of it, so that the step is the same.
    """
    streams = [
        ImageDataGenerator(shear_range=0.2, zoom_range=0.2, horizontal_flip=True).flow_from_directory(
            str(folder / name), target_size=(48, 48), batch_size=batch_size, class_mode="sparse", seed=seed
        )
        for name in ("spatial", "temporal")
    ]
    while True:
        (faces, labels), (motion, _) = (next(stream) for stream in streams)
        yield [faces.astype(np.uint8), (motion[..., :2] - 128) / 255], labels


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same, with the next batch in the making while one is used, as `fit_generator` did with its one worker."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches)
        while True:
            batch = coming.result()
            coming = reader.submit(next, batches)
            yield batch
