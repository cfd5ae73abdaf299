"""Single frames of a video, shrunk to pictures to look at. Never holds more than a few of them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
from pebble import ProcessExpired, ProcessPool

from fer_models.errors import VideoFault
from tasks.outcomes import Outcome
from tasks.progress import echo, progress
from tasks.video.containers import open_container, picture_stream
from tasks.video.decoding import Video, decode
from tasks.video.fingerprint import content_state
from tasks.video.frames import Frame, StreamDisplay
from tasks.video.image_sequences import is_image_sequence

#: Longer side of a picture, in px.
MAX_SIDE_PX = 720
#: A file of unknown length is read for this long.
LIMIT_S = 30.0
#: Fewer frames than this are decoded before anybody asks how far it is.
_NUM_QUICK_FRAMES = 1000
#: Frames are of one time when their times differ by less, for clocks of containers are rounded.
_SAME_TIME_S = 0.002
#: How long before the wanted time is jumped to, until it is not too late.
_MARGINS_S = (0.0, 2.0, 10.0)
#: A frame that does not come within so many after a jump is not looked for.
_MOST_AFTER_JUMP = 1500


@dataclass(frozen=True)
class Still:
    """One frame.

    Args:
        frame: its number, from 0.
        pts_s: its time of presentation.
        picture: uint8 RGB (h, w, 3).
        scale: px of the picture for one px of the video.
    """

    frame: int
    pts_s: float
    picture: np.ndarray
    scale: float


def look_into(path: Path, frames: Sequence[int], number: int, dangerous: bool) -> tuple[dict[int, Still], list[str]]:
    """The stills that a video gives, by frame, and in sentences why it gives none.

    Args:
        path: of a file, a folder of images or a pattern of them, which need not be there.
        frames: those that are wanted; empty for `number` of them from anywhere.
        dangerous: a worker hung or died over it.
    """
    if not _is_there(path):
        return {}, [f"There is no {str(path)!r}" + ("; this is drawn from the shard alone." if frames else ".")]
    try:
        if frames:
            return read_stills(path, frames), []
        read = read_spread_stills_in_child if dangerous else read_spread_stills
        return {still.frame: still for still in read(path, number)}, []
    except VideoFault as fault:
        return {}, [f"No picture of it can be shown: {fault.message}.", _beginning(path)]


def _is_there(path: Path) -> bool:
    try:
        content_state(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except VideoFault as fault:
        return fault.outcome != Outcome.FILE_MISSING
    except OSError:  # it is there and cannot be read
        return True
    return True


def _beginning(path: Path) -> str:
    """Size and first bytes of a file, which often tell what it is instead of a video."""
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            first = file.read(32)
        return f"It has {path.stat().st_size:,} bytes and begins with {str(first)[1:]}." if first else "It is empty."
    except OSError as error:
        return f"It cannot be read: {error.strerror}."


def read_stills(path: Path, frames: Sequence[int]) -> dict[int, Still]:
    """The frames with these numbers, by number; those that the file does not hold (any more) are left out.

    Raises:
        VideoFault: not one frame can be decoded.
    """
    wanted, last = set(frames), max(frames)
    stills: dict[int, Still] = {}
    shown = progress("Decoding", last + 1) if last >= _NUM_QUICK_FRAMES else nullcontext(lambda note: None)
    with shown as advance:
        for frame in decode(path, Video()):
            if frame.index in wanted:
                stills[frame.index] = _still(frame)
            advance("")
            if frame.index >= last:
                break
    return stills


def pick_frames(path: Path, moments: Mapping[int, float]) -> Iterator[tuple[int, Frame]]:
    """Frames of a video that was decoded before, by number and time, in the order in which they are shown.

    Late ones are sought by their times, so that little of a long video is decoded. Those that the file does not give
    (any more) are left out.

    Args:
        moments: number of each frame -> when it is shown, seconds since the first.

    Raises:
        VideoFault: not one frame can be decoded.
    """
    last = max(moments)
    if last >= _NUM_QUICK_FRAMES and not is_image_sequence(path):
        found = False
        for picked in _sought(path, moments):
            found = True
            yield picked
        if found:
            return
    shown = progress("Decoding", last + 1) if last >= _NUM_QUICK_FRAMES else nullcontext(lambda note: None)
    with shown as advance:
        for frame in decode(path, Video()):
            if frame.index in moments:
                yield frame.index, frame
            advance("")
            if frame.index >= last:
                break


def _sought(path: Path, moments: Mapping[int, float]) -> Iterator[tuple[int, Frame]]:
    """Each by a jump to a frame before it from which can be decoded."""
    with open_container(path) as container:
        stream = picture_stream(container)
        stream.codec_context.thread_count = 1
        display = StreamDisplay(path, stream)
        start_s = next((frame.time for frame in _decodable(container, stream)), None)
        if start_s is None:
            return
        for number, time_s in sorted(moments.items()):
            frame = _jump(container, stream, start_s + time_s)
            if frame:
                yield number, Frame(number, time_s, frame, display=display.of(frame))


def _jump(container: av.container.InputContainer, stream: av.VideoStream, time_s: float) -> av.VideoFrame | None:
    """The frame that is shown at a time by the clock of the file; None where it cannot be had."""
    for margin_s in _MARGINS_S:  # not every container knows where to jump to
        try:
            container.seek(int((time_s - margin_s) / float(stream.time_base or 1)), stream=stream)
        except (av.FFmpegError, OverflowError):
            return None
        for frame in islice(_decodable(container, stream), _MOST_AFTER_JUMP):
            if frame.time is None:
                return None
            if frame.time > time_s - _SAME_TIME_S:
                if frame.time < time_s + _SAME_TIME_S:
                    return frame
                break
    return None


def _decodable(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """The next frames, up to where the file cannot be read on."""
    with suppress(av.FFmpegError, ValueError):
        yield from container.decode(stream)


def read_spread_stills(path: Path, number: int, limit_s: float = LIMIT_S) -> list[Still]:
    """Up to `number` frames spread over a file of unknown length, in one pass.

    Every `step`-th frame is kept; when too many are, every other one goes and the step doubles.

    Args:
        limit_s: what is not decoded by then is not looked at.

    Raises:
        VideoFault: not one frame can be decoded.
    """
    kept: list[Still] = []
    step, start, told = 1, time.monotonic(), False
    for frame in decode(path, Video()):
        if frame.index % step == 0:
            kept.append(_still(frame))
        if len(kept) >= 4 * number:
            kept, step = kept[::2], 2 * step
        passed_s = time.monotonic() - start
        if passed_s > 2.0 and not told:
            echo(f"Looking through the file, for {limit_s:g} s at most.")
            told = True
        if passed_s > limit_s:
            break
    return [kept[i] for i in spread(len(kept), number)]


def read_spread_stills_in_child(path: Path, number: int, limit_s: float = LIMIT_S) -> list[Still]:
    """The same in a child process, for files that made a worker hang or die.

    Raises:
        VideoFault: `timeout` or `crashed` when it does so again; `undecodable` as above.
    """
    with ProcessPool(max_workers=1, context=get_context("spawn")) as pool:
        future = pool.schedule(read_spread_stills, args=[path, number, limit_s], timeout=limit_s + 15.0)
        try:
            return future.result()
        except FutureTimeoutError as error:
            raise VideoFault(Outcome.TIMEOUT, "decoding it does not come to an end") from error
        except ProcessExpired as error:
            raise VideoFault(Outcome.CRASHED, f"it crashes the decoder (exit code {error.exitcode})") from error


def spread(total: int, number: int) -> list[int]:
    """Up to `number` of the positions 0 .. total - 1: the middles of as many equal parts."""
    parts = min(number, total)
    return [int((part + 0.5) * total / parts) for part in range(parts)]


def _still(frame: Frame) -> Still:
    picture = frame.picture(MAX_SIDE_PX)
    return Still(frame.index, frame.pts_s, picture, picture.shape[1] / frame.size[1])
