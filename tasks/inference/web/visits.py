"""Videos that were sent to the web page: one is worked on, some wait, those that are done are kept for a while."""

import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fer_models.errors import Busy, Refused
from tasks.inference.cutting import Faces
from tasks.inference.web.child import Child
from tasks.inference.web.choices import Choice
from tasks.inference.web.folders import private_folder
from tasks.inference.web.limits import Limits

Start = Callable[[Sequence[str], str | None, Limits, Path], Awaitable[Child]]
State = Literal["coming", "waiting", "working", "done", "failed"]

#: Processes that stay after their video is done, to explain moments of it.
_MOST_STAYING = 1
_SWEEP_S = 5.0
#: What has to be free on the disk, in files of the largest size.
_FREE_FILES = 3


@dataclass
class Visit:
    """A video and what became of it.

    Args:
        key: whoever knows it may look at the video and remove it; nobody guesses it.
        folder: of this visit alone.
        choice: of the model.
        upload: name of the video's file in the folder.
        faces: whether one face is followed or all.
        message: why it failed.
        step, share: what is being done and how far it is, 0..1.
        used_at: when somebody last looked, on the clock `time.monotonic`.
    """

    key: str
    folder: Path
    choice: Choice
    upload: str
    faces: Faces = "one"
    state: State = "coming"
    message: str = ""
    step: str = ""
    share: float | None = None
    used_at: float = field(default_factory=time.monotonic)
    child: Child | None = None
    task: "asyncio.Task[None] | None" = None

    def tell(self, step: str, share: float | None) -> None:
        """Note how far it is."""
        self.step, self.share = step, share


class Visits:
    """All visits; `open` for as long as the server runs.

    Args:
        choices: of models, the first by default.
        start: starts a process; see `Child.start`.
    """

    def __init__(
        self,
        choices: Sequence[Choice],
        limits: Limits,
        detector_model: Path | None = None,
        start: Start = Child.start,
    ) -> None:
        self.choices, self.limits = choices, limits
        self._folder, self._start = Path(), start
        self._detector_model = str(detector_model) if detector_model else None
        self._visits: dict[str, Visit] = {}
        self._turn = asyncio.Lock()  # those who wait get it in their order
        self._spare: asyncio.Task[Child] | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hold a process ready, and remove what nobody looks at any more; in the end remove all."""
        with private_folder() as self._folder:
            self._ready_spare()
            sweeping = asyncio.create_task(self._sweep())
            try:
                yield
            finally:
                sweeping.cancel()
                for key in list(self._visits):
                    await self.remove(key)
                await self._end_spare()

    async def admit(self, choice: int, upload: str, faces: Faces = "one") -> Visit:
        """A place for a video that is about to come.

        Args:
            choice: number of the model.
            upload: name of its file.
            faces: whether one face is followed or all.

        Raises:
            Refused: there is no such model.
            Busy: too many wait already, or the disk is full.
        """
        if not 0 <= choice < len(self.choices):
            raise Refused("There is no such model here any more; load the page again.")
        self.check_room()
        for done in sorted(self._done(), key=lambda visit: visit.used_at)[: -self.limits.kept]:
            await self.remove(done.key)
        key = secrets.token_urlsafe(18)
        visit = Visit(key, self._folder / secrets.token_hex(8), self.choices[choice], upload, faces)
        visit.folder.mkdir(mode=0o700)
        self._visits[key] = visit
        return visit

    def check_room(self) -> None:
        """Raise `Busy` when no other video is taken now."""
        busy = sum(visit.state in ("coming", "waiting", "working") for visit in self._visits.values())
        if busy > self.limits.waiting:
            raise Busy(f"{busy} videos are worked on or wait already; try again in a few minutes.")
        if shutil.disk_usage(self._folder).free < _FREE_FILES * self.limits.file_bytes:
            raise Busy("There is no room for another video at the moment; try again later.")

    def begin(self, visit: Visit) -> None:
        """Its video is there: it waits for its turn from now on."""
        visit.state = "waiting"
        visit.task = asyncio.create_task(self._work(visit))

    def find(self, key: str) -> Visit | None:
        """The visit of that key, if it is still kept."""
        if visit := self._visits.get(key):
            visit.used_at = time.monotonic()
        return visit

    def place(self, visit: Visit) -> int:
        """How many are before one that waits, the one that is worked on among them."""
        waiting = [one for one in self._visits.values() if one.state == "waiting"]
        return waiting.index(visit) + any(one.state == "working" for one in self._visits.values())

    async def explain(self, visit: Visit, track: int, time_s: float) -> None:
        """Have a moment of a video that is done explained; what is found out lies in its folder then.

        Raises:
            Refused: it cannot be explained.
        """
        async with self._turn:
            if not (visit.child and visit.child.is_alive):
                visit.child = await self._take_spare()
            asked = {"folder": str(visit.folder), "models": visit.choice.files, "track": track, "time_s": time_s}
            await visit.child.ask("explain", asked, self.limits.moment_s)
            await self._end_staying()
            self._ready_spare()

    async def remove(self, key: str) -> None:
        """Forget a visit, whatever it is at, with its process and all its files."""
        visit = self._visits.pop(key)
        if visit.task:
            visit.task.cancel()
        await self._clear(visit)

    async def _clear(self, visit: Visit) -> None:
        """End its process, then remove its files: else it could write another one."""
        child, visit.child = visit.child, None
        if child:
            await child.end()
        await asyncio.to_thread(shutil.rmtree, visit.folder, ignore_errors=True)

    async def _work(self, visit: Visit) -> None:
        async with self._turn:
            visit.state = "working"
            try:
                visit.tell("Getting ready", None)
                visit.child = await self._take_spare()
                asked = {"folder": str(visit.folder), "upload": visit.upload, "models": visit.choice.files}
                how = {"minutes": self.limits.minutes, "faces": visit.faces}
                await visit.child.ask("answer", asked | how, self.limits.work_s, visit.tell)
                visit.state = "done"
            except Refused as error:
                visit.state, visit.message = "failed", str(error)
                await self._clear(visit)
            visit.used_at = time.monotonic()
            await self._end_staying()
            self._ready_spare()

    async def _take_spare(self) -> Child:
        """The process that was held ready."""
        self._ready_spare()
        spare, self._spare = self._spare, None
        assert spare
        try:
            return await spare
        except asyncio.CancelledError:
            spare.cancel()
            raise

    def _ready_spare(self) -> None:
        """Have a process ready that knows the first model, for whoever comes next."""
        if self._spare and self._spare.done() and (self._spare.cancelled() or self._spare.exception()):
            self._spare = None
        if self._spare is None:
            begun = self._start(self.choices[0].files, self._detector_model, self.limits, self._folder)
            self._spare = asyncio.ensure_future(begun)

    async def _end_spare(self) -> None:
        if self._spare:
            self._spare.cancel()
            with suppress(Refused, asyncio.CancelledError):
                await (await self._spare).end()

    async def _end_staying(self) -> None:
        """End the processes of those that were looked at longest ago."""
        staying = sorted((visit for visit in self._done() if visit.child), key=lambda visit: visit.used_at)
        for visit in staying[:-_MOST_STAYING]:
            child, visit.child = visit.child, None
            if child:
                await child.end()

    def _done(self) -> list[Visit]:
        return [visit for visit in self._visits.values() if visit.state in ("done", "failed")]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            oldest = time.monotonic() - 60 * self.limits.keep_minutes
            for visit in self._done():
                if visit.used_at < oldest and visit.key in self._visits:
                    await self.remove(visit.key)
