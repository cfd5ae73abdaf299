"""Bytes of a visitor into a file: no more than are allowed, under a name of ours."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from fer_models.errors import Refused, TooLarge
from tasks.corpus.adapters.walking import VIDEO_SUFFIXES
from tasks.inference.web.limits import Limits
from tasks.video.image_sequences import IMAGE_SUFFIXES

#: What the file picker of a browser is told, and a name may end in.
SUFFIXES = tuple(sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES))


def upload_name(name: str) -> str:
    """What a visitor's file is called here; of its own name nothing but a known end is used.

    Raises:
        Refused: the name ends like no video.
    """
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), None)
    if suffix is None:
        raise Refused("This is no video by its name; send one that ends in .mp4, .mov, .webm or the like.")
    return f"upload{suffix}"


def check_size(announced: str | None, limits: Limits) -> None:
    """Look at how much is to come before anything of it is read.

    Args:
        announced: the header `Content-Length`.

    Raises:
        TooLarge: it is more than is allowed.
    """
    if announced and announced.isascii() and announced.isdigit() and int(announced) > limits.upload_bytes:
        raise too_large(limits)


def too_large(limits: Limits) -> TooLarge:
    """What is said of a file that is larger than allowed."""
    return TooLarge(f"The file is larger than {limits.upload_mb} MB, the most that is taken here; send a shorter one.")


async def store(chunks: AsyncIterator[bytes], target: Path, limits: Limits) -> int:
    """Write what comes into a new file; returns its size in bytes.

    Raises:
        Refused: it is more than allowed, nothing, or nothing more came for a while; what was written is removed.
    """
    size = 0
    try:
        with target.open("xb") as file:
            while chunk := await _next(chunks, limits.silence_s):
                size += len(chunk)
                if size > limits.upload_bytes:
                    raise too_large(limits)
                await asyncio.to_thread(file.write, chunk)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if not size:
        target.unlink()
        raise Refused("The file is empty; send another one.")
    return size


async def _next(chunks: AsyncIterator[bytes], silence_s: float) -> bytes:
    """The next bytes; empty at the end."""
    try:
        async with asyncio.timeout(silence_s):
            async for chunk in chunks:
                if chunk:
                    return chunk
    except TimeoutError:
        raise Refused(f"Nothing came for {silence_s:g} s; send the video again.") from None
    return b""
