"""A camera, or a video file in its place, as frames that come live; read by OpenCV."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from fer_models.errors import UserError
from tasks.progress import echo

if TYPE_CHECKING:
    from tasks.inference.live.stream import TimedFrame


@contextmanager
def open_camera(source: str) -> Iterator[cv2.VideoCapture]:
    """A camera that is open as long as the block lasts.

    Args:
        source: its number, 0 for the first one, or a video file.

    Raises:
        UserError: there is no such camera or file, or it cannot be opened.
    """
    number = _number(source)
    if number is None and not Path(source).is_file():
        raise UserError(f"There is no video at {source!r}; --camera takes the number of a camera, or a video file.")
    capture = cv2.VideoCapture(source if number is None else number)
    try:
        if not capture.isOpened():
            raise UserError(_unusable(source))
        yield capture
    finally:
        capture.release()


def read_frames(capture: cv2.VideoCapture, source: str, is_stopped: Callable[[], bool]) -> Iterator["TimedFrame"]:
    """The frames of a camera as they come, with the seconds since the first, until it is stopped or gives no more.

    Frames of a camera that come while nobody asks for one are lost; those of a file have the times that it gives them.

    Raises:
        UserError: there is not one.
    """
    number, begin_s, last_s = _number(source), None, 0.0
    while not is_stopped():
        is_there, picture = capture.read()
        if not is_there:
            if begin_s is None:
                raise UserError(_unusable(source))
            if number is not None:
                echo(f"Camera {source} gives no more pictures.")
            return
        now_s = time.monotonic() if number is not None else capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        begin_s = now_s if begin_s is None else begin_s
        last_s = max(now_s - begin_s, last_s)
        yield last_s, picture[..., ::-1]


def name_of(source: str) -> str:
    """What a camera, or the file in its place, is called."""
    return source if _number(source) is None else f"camera {source}"


def _number(source: str) -> int | None:
    """Of a camera; None for a file."""
    return int(source) if source.isascii() and source.isdigit() else None


def _unusable(source: str) -> str:
    if _number(source) is None:
        return f"{source!r} cannot be read as a video; name another one, or the number of a camera."
    return (
        f"Camera {source} is missing or gives no picture; see that it is connected and that no other program uses it, "
        "or name another one with --camera."
    )
