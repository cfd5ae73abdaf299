"""Many videos at once: children cut them and draw their pictures, this process holds the model and asks it.

However many there are and however long they are, no more of them is held than some blocks of as many videos as there
are children, and their tables. A video whose child dies, or gives no sign of life, costs only itself.
"""

import os
import shutil
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fer_models.errors import FerError, StorageError, VideoFault
from tasks.inference.batch.blocks import BlockReader
from tasks.inference.batch.cutting import CutVideo, cut_into_blocks, cut_video
from tasks.inference.batch.drawing import draw_picture
from tasks.inference.batch.making import Ended, Made, is_transient, lost
from tasks.inference.batch.planning import Due, Order
from tasks.inference.one_video import OneVideo
from tasks.inference.predictor import Predictor
from tasks.outcomes import Outcome
from tasks.processes.calls import Call, await_cancelled
from tasks.processes.pool import DIED
from tasks.video.fingerprint import VideoFile, content_state

#: A video of which nothing comes for so many seconds ends as `timeout`; at work, a child sends a block every few ones.
TIMEOUT_S = 300.0
#: A child reads the whole file too, from where at least so many bytes a second come.
_SLOWEST_BYTES_A_S = 10e6
#: A picture may take so many seconds more for each frame of the video.
_DRAWING_S = 0.5
_LOOK_S = 0.01
#: A pause between two looks counts as this at most: this process may have asked the model, or been asleep.
_MOST_PAUSE_S = 1.0

#: Draws a picture, see `tasks.inference.batch.drawing`.
Draw = Callable[[str, Path, Path, Sequence[str], Path], str]
#: Says at each step whether something went on, and at the end what came of it.
_Steps = Generator[bool, None, Any]


def predict_videos(
    due: Sequence[Due],
    predictor: Predictor,
    order: Order,
    workers: int,
    timeout_s: float = TIMEOUT_S,
    draw: Draw = draw_picture,
) -> Iterator[Ended]:
    """Try each video, and yield its rows as soon as all that was ordered of it is there, or cannot be.

    Args:
        workers: children at once; with 0 all is done in this process, which a video may take along then.
        timeout_s: see `TIMEOUT_S`.

    Raises:
        StorageError: nothing more can be written; what is done stays.
    """
    run = _Run(predictor, order, workers, timeout_s, draw)
    try:
        yield from run.rows(due)
    finally:
        run.end()


@dataclass(eq=False)
class _Try:
    """A video that is tried; `alone`: no other is, so that it is its fault when the pool breaks."""

    due: Due
    steps: _Steps
    alone: bool


class _Run:
    """Keeps as many children at work as there may be."""

    def __init__(self, predictor: Predictor, order: Order, workers: int, timeout_s: float, draw: Draw) -> None:
        self._predictor, self._order, self._draw = predictor, order, draw
        self._workers, self._timeout_s = workers, timeout_s
        wishes = order.wishes
        preparing = predictor.preparing(wishes.stride, wishes.precropped, wishes.faces)
        self._preparing = replace(preparing, trained=preparing.trained.anywhere())
        self._active: list[_Try] = []
        self._cancelled: list[Call] = []

    def rows(self, due: Sequence[Due]) -> Iterator[Ended]:
        """Work until nothing is left.

        When the pool breaks nobody knows whose fault it is: those that were under way are tried again, one by one.
        """
        waiting, suspects = deque(due), deque[Due]()
        while waiting or suspects or self._active:
            if suspects and not self._active:
                self._begin(suspects.popleft(), alone=True)
            while waiting and not suspects and not self._is_crowded():
                self._begin(waiting.popleft(), alone=False)
            moved = False
            for one in list(self._active):
                try:
                    moved |= next(one.steps)
                    continue
                except StopIteration as end:
                    yield end.value
                except BrokenProcessPool:
                    if one.alone:
                        yield lost(one.due, self._predictor, VideoFault(Outcome.CRASHED, DIED))
                    else:
                        suspects.append(one.due)
                self._active.remove(one)
                moved = True
            if not moved:
                time.sleep(_LOOK_S)

    def _is_crowded(self) -> bool:
        """Whether there is work enough for all children, and for each the next already."""
        return len(self._active) >= max(2 * self._workers, 1) or any(one.alone for one in self._active)

    def _begin(self, due: Due, alone: bool) -> None:
        self._active.append(_Try(due, self._steps(due), alone))

    def end(self) -> None:
        """Nobody wants more rows."""
        for one in self._active:
            one.steps.close()
        await_cancelled(self._cancelled)
        shutil.rmtree(self._order.temporary, ignore_errors=True)

    def _steps(self, due: Due) -> _Steps:
        """The way of one video; its value is what it came to, whatever happens on it."""
        folder = self._order.temporary / uuid.uuid4().hex[:12]
        try:
            folder.mkdir(parents=True)
            return (yield from self._make(due, folder))
        except VideoFault as fault:
            return lost(due, self._predictor, fault)
        except OSError as error:
            raise StorageError(
                f"{self._order.out} cannot be written ({error.strerror or error}); what is done stays, so correct that "
                "and run the same once more."
            ) from error
        except (FerError, BrokenProcessPool):
            raise
        except Exception as error:  # a bug that one video shows must not end the others
            return lost(due, self._predictor, VideoFault(Outcome.CRASHED, f"{type(error).__name__}: {error}"))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _make(self, due: Due, folder: Path) -> _Steps:
        """Make all that was ordered of a video."""
        asked = OneVideo(self._predictor, due.placed.video, self._preparing)
        found = yield from self._cut(asked, folder)
        made = Made(due, self._order, found.video, asked.finish(found.cut))
        for name in made.pictures:
            try:
                remark = yield from self._drawn(made, name, folder)
                made.add_picture(folder / name, remark)
            except VideoFault as fault:
                if is_transient(fault):
                    return made.give_up(name, fault)
                made.add_fault(name, fault)
        return made.finish()

    def _cut(self, asked: OneVideo, folder: Path) -> _Steps:
        """Have a video cut while the model is asked about it."""
        if refused := self._predictor.refuse(asked.path):
            return CutVideo(VideoFile.of(asked.path), refused)
        if not self._workers:
            return cut_video(asked.path, self._preparing, asked.keep, asked.watch)
        reader = BlockReader(folder, self._preparing.settings_of(asked.path))
        patience = _Patience(self._timeout_s, asked.path)
        with self._call(cut_into_blocks, [_absolute(asked.path), self._preparing, folder]) as call:
            while True:
                is_over = call.is_over()  # asked first: when it is, all blocks are there
                if block := reader.next():
                    block.hand_over(asked.keep, asked.watch)
                    patience.renew()
                elif is_over:
                    return call.result()
                elif call.is_begun():
                    patience.wait()
                yield block is not None

    def _drawn(self, made: Made, name: str, folder: Path) -> _Steps:
        """Have a picture drawn into that folder, from where it is put in its place here: not by a child whose parent
        was killed, and which another run knows nothing of.
        """
        limit_s = self._timeout_s + _DRAWING_S * made.num_frames
        video, frames = made.due.placed.video, made.write_frames(folder)
        if not self._workers:
            return self._draw(name, video, frames, made.labels, folder)
        with self._call(self._draw, [name, _absolute(video), frames, made.labels, folder], limit_s) as call:
            while not call.is_over():
                yield False
            return call.result()

    @contextmanager
    def _call(
        self, function: Callable[..., Any], arguments: Sequence[Any], timeout_s: float | None = None
    ) -> Iterator[Call]:
        """A call that nobody waits for any more when the block ends."""
        call = Call(function, arguments, self._workers, timeout_s)
        try:
            yield call
        finally:
            if call.cancel():
                self._cancelled.append(call)


class _Patience:
    """How long nothing may be heard of a video.

    Args:
        limit_s: in seconds, beside the time in which the whole file is read, which comes before its first block and,
            where its end is missing, after the last one.
    """

    def __init__(self, limit_s: float, video: Path) -> None:
        self._limit_s = limit_s
        with suppress(OSError, VideoFault, ValueError):  # which the child will tell
            self._limit_s += content_state(video)[0] / _SLOWEST_BYTES_A_S
        self.renew()

    def renew(self) -> None:
        """Something was heard."""
        self._left_s, self._looked_s = self._limit_s, time.monotonic()

    def wait(self) -> None:
        """Nothing was; raises `VideoFault` (`timeout`) when that has been so for too long."""
        now_s = time.monotonic()
        self._left_s -= min(now_s - self._looked_s, _MOST_PAUSE_S)
        self._looked_s = now_s
        if self._left_s < 0:
            raise VideoFault(Outcome.TIMEOUT, f"nothing came of it for {self._limit_s:.0f} s")


def _absolute(path: Path) -> Path:
    """For a child, which may work in another folder."""
    return Path(os.path.abspath(path))
