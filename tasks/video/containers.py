"""Opening video files that nobody vouches for.

A corpus is other people's files under other people's names. FFmpeg would take a name such as `concat:a|b` or `http:x`
for a protocol, a text for a playlist that names other files or addresses, and a size in a header for a promise. Here
only a regular file is opened, only as a container that holds its own pictures, and no frame may be larger than
`MAX_PIXELS`.
"""

import errno
from pathlib import Path

import av
from av.codec.context import Flags

from fer_models.errors import VideoFault
from tasks.outcomes import Outcome
from tasks.video.fingerprint import content_state
from tasks.video.truncation import breaks_off

#: FFmpeg's names of the containers that are read. Playlists, still pictures, devices and text are not among them.
VIDEO_FORMATS = (
    "mov,matroska,avi,flv,mpeg,mpegts,mpegvideo,m4v,h264,hevc,av1,obu,ivf,vc1,h263,h261,mjpeg,asf,ogg,gif,apng,"
    "nut,mxf,gxf,rm,dv,wtv,yuv4mpegpipe"
)
#: Read only to tell that there is sound and no picture.
_SOUND_FORMATS = "mp3,wav,flac,aac,ac3,aiff,amr,caf"

#: Largest frame that is decoded; 8K is half of it. A header of a few bytes may declare 16 times as much.
MAX_PIXELS = 8192 * 8192

#: Faults of a disk or a share, not of the file: another time they may be gone.
_IO_ERRORS = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ENXIO, errno.EREMOTEIO, errno.EHOSTDOWN}


def open_container(path: Path) -> av.container.InputContainer:
    """Open a video file and nothing but that file.

    Raises:
        VideoFault: when it is not there, not a regular file, empty, or no container of `VIDEO_FORMATS`.
    """
    check_file(path)
    options = {
        "format_whitelist": f"{VIDEO_FORMATS},{_SOUND_FORMATS}",
        "protocol_whitelist": "file",
        "max_pixels": str(MAX_PIXELS),
    }
    try:
        # titles in other encodings than UTF-8 are no fault of the video
        return av.open(f"file:{path.absolute()}", options=options, metadata_errors="replace")
    except av.ArgumentError as error:
        kind = "it is no video (a still picture, a playlist or a text may bear the name of one)"
        raise VideoFault(Outcome.UNDECODABLE, kind) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        check_disk(error)
        if is_cut(path):
            raise VideoFault(Outcome.TRUNCATED, "it breaks off before its first frame; copy it again") from error
        words = "its content is of no known kind" if isinstance(error, av.InvalidDataError) else av_words(error)
        raise VideoFault(Outcome.UNDECODABLE, f"it cannot be opened as a video ({words})") from error


def picture_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The first video stream that is no cover picture and can be decoded, or a `VideoFault` that says what is there."""
    streams = container.streams.video
    if not streams:
        held = sorted({stream.type for stream in container.streams})
        only = f", only {' and '.join(held)}" if held else ""
        raise VideoFault(Outcome.UNDECODABLE, f"it holds no video stream{only}")
    covers = av.stream.Disposition.attached_pic
    moving = [stream for stream in streams if not stream.disposition & covers]
    if not moving:
        raise VideoFault(Outcome.UNDECODABLE, "it holds no video stream, only a cover picture")
    known = [stream for stream in moving if stream.codec_context is not None]
    if not known:
        raise VideoFault(Outcome.UNDECODABLE, "there is no decoder for its video stream")
    known[0].codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    known[0].codec_context.flags |= Flags.unaligned  # or what is cropped at the left is so by multiples of 32 px only
    return known[0]


def is_cut(path: Path) -> bool | None:
    """Whether the end of a file is missing; None where its container does not tell.

    Raises:
        VideoFault: `unreadable`.
    """
    try:
        return breaks_off(path)
    except OSError as error:
        raise VideoFault(Outcome.UNREADABLE, f"the file cannot be read: {av_words(error)}") from error


def is_listed_beyond_end(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    """Whether the sample table of an MP4 names a last picture that would lie beyond the end of the file.

    The sizes of its boxes may be placeholders or mean `up to the end`; the table tells what was there. Other containers
    can be read without their index, which may be wrong.
    """
    if "mp4" not in container.format.name or not len(stream.index_entries):
        return False
    last = stream.index_entries[-1]
    return 0 <= container.size < last.pos + last.size


def is_short_of_frames(container: av.container.InputContainer, stream: av.VideoStream, end: int) -> bool:
    """Whether an AVI, which counts time in frames, ends (`end`) before the number of frames in its header."""
    return container.format.name == "avi" and end < stream.frames


def check_disk(error: BaseException) -> None:
    """Raise a `VideoFault` when an error tells of the disk or the share and not of what stands in the file."""
    if isinstance(error, OSError) and error.errno in _IO_ERRORS:
        raise VideoFault(Outcome.UNREADABLE, f"the file cannot be read: {av_words(error)}") from error


def av_words(error: BaseException) -> str:
    """What FFmpeg says of an error."""
    return getattr(error, "strerror", None) or str(error)


def check_file(path: Path) -> None:
    """Raise a `VideoFault` when a file cannot be read, is none such as a pipe, or is empty."""
    try:
        size_bytes, _ = content_state(path)
        with path.open("rb") as file:
            file.read(1)
    except (OSError, ValueError) as error:
        raise VideoFault(Outcome.UNREADABLE, f"the file cannot be opened: {av_words(error)}") from error
    if not size_bytes:
        raise VideoFault(Outcome.UNDECODABLE, "the file is empty")
