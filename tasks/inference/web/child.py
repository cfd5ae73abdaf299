"""A process that looks into one visitor's video, seen from the server: what it is asked, told and allowed.

Orders and answers are lines of JSON, which nothing is executed from. What a process does in its worst case costs the
request that it works for: it is ended when it takes too long, says something else, or dies.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fer_models.errors import Refused
from tasks.inference.web.limits import Limits
from tasks.progress import echo

#: Is told what is being done, and how far it is: 0..1, or None where nobody knows.
Tell = Callable[[str, float | None], None]

#: What a process finds in its environment: how to run, and no password, token or address of a store.
_ENVIRONMENT = (
    ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    + ("KERAS_BACKEND", "KERAS_HOME", "FER_WEIGHTS", "XDG_CACHE_HOME", "CUDA_VISIBLE_DEVICES")
    + ("TF_CPP_MIN_LOG_LEVEL", "OMP_NUM_THREADS", "OPENCV_IO_MAX_IMAGE_PIXELS", "OPENCV_LOG_LEVEL")
)
_MODULE = "tasks.inference.web.worker"
_UNKNOWN = "Something went wrong with this video; whoever runs this server sees what in its terminal."


class Child:
    """A process that was started; `start` makes one."""

    def __init__(
        self, process: asyncio.subprocess.Process, answers: asyncio.StreamReader, hearing: asyncio.BaseTransport
    ) -> None:
        self._process, self._answers, self._hearing = process, answers, hearing

    @classmethod
    async def start(cls, models: Sequence[str], detector_model: str | None, limits: Limits, folder: Path) -> "Child":
        """Start one and wait until it has loaded a model.

        Args:
            models: files; none for the network that others trained.
            folder: where it may put what it needs for itself.

        Raises:
            Refused: it cannot be started, or the model cannot be loaded.
        """
        read_end, write_end = os.pipe()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", _MODULE, str(write_end)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=[write_end],
                env=environment | {"TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
                start_new_session=True,
            )
        finally:
            os.close(write_end)
        answers = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(answers), os.fdopen(read_end, "rb")
        )
        child = cls(process, answers, transport)
        order = {"models": models, "detector_model": detector_model}
        limited = {"memory_mb": limits.memory_mb, "file_bytes": limits.file_bytes}
        await child.ask("begin", order | limited, limits.start_s)
        return child

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.returncode is None

    async def ask(self, order: str, details: Mapping[str, Any], seconds: float, tell: Tell | None = None) -> None:
        """Have it do something, and wait until it is done. When that does not end well the process is ended.

        Raises:
            Refused: it was not done; the message says why.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._ask({"order": order, **details}, tell)
        except TimeoutError:
            await self.end()
            raise Refused(f"This took longer than {seconds:g} s and was given up; try a shorter video.") from None
        except BaseException:
            await self.end()
            raise

    async def _ask(self, order: Mapping[str, Any], tell: Tell | None) -> None:
        assert self._process.stdin
        with suppress(OSError):  # it died, which reading tells
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()
        while True:
            message = await self._hear()
            if "step" in message and tell:
                share = message.get("share")
                tell(str(message["step"])[:80], float(share) if isinstance(share, int | float) else None)
            elif "refused" in message:
                raise Refused(str(message["refused"])[:600])
            elif "failed" in message:
                echo(f"A process of the web page failed: {str(message['failed'])[:600]}")
                raise Refused(_UNKNOWN)
            elif "done" in message:
                return

    async def _hear(self) -> dict[str, Any]:
        """Its next message.

        Raises:
            Refused: there is none, or it is no message.
        """
        try:
            message = json.loads(await self._answers.readuntil())
            assert isinstance(message, dict)
        except asyncio.IncompleteReadError:
            code = await self._process.wait()
            raise Refused(_words_of(code)) from None
        except (ValueError, AssertionError, asyncio.LimitOverrunError):
            raise Refused(_UNKNOWN) from None
        return message

    async def end(self) -> None:
        """End it with all that it started, at once."""
        self._hearing.close()
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await asyncio.shield(self._process.wait())


def _words_of(code: int) -> str:
    """What the end of a process means for the visitor."""
    how = "more memory than it may take here" if code == -signal.SIGKILL else "something in it that could not be read"
    return f"Looking into this video was ended by {how}; try another file."
