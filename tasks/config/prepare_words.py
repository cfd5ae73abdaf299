"""How videos were prepared, in sentences: those of a report's methods section and of a model's card."""

from collections.abc import Collection

from tasks.config.prepare_settings import FIRST_LAST, NEIGHBOURS, NOBODY, PrepareSettings


def preparation_in_words(settings: PrepareSettings, is_of_stills: bool, streams: Collection[str]) -> str:
    """Where faces came from, and what a segment gives.

    Args:
        is_of_stills: the videos are single images.
        streams: of input pictures that models have, as `fer_models.models.building.streams_of` names them.
    """
    return f"{_faces(settings, is_of_stills)} {_segments(settings, is_of_stills, streams)}."


def _faces(settings: PrepareSettings, is_of_stills: bool) -> str:
    if settings.precropped:
        return "The frames are face crops already; each was used whole, no face was searched."
    words = f"Faces were found by the {settings.detector} detector (at least {settings.min_face_px} px wide)"
    if not is_of_stills:
        words += " and followed through each video"
    if settings.confirm != NOBODY:
        words += f"; what the {settings.confirm} detector did not confirm was left out"
    if settings.align == "eyes":
        words += "; both crops of a pair were turned alike until the eyes were level"
    return f"{words}."


def _segments(settings: PrepareSettings, is_of_stills: bool, streams: Collection[str]) -> str:
    size = f"{settings.face_size_px}x{settings.face_size_px} px"
    if is_of_stills:
        return f"Each image gives a face of {size}"
    given = []
    if faces_seen := "spatial" in streams or "frames" in streams:
        given.append(f"{_faces_of_segment(settings)} of {size}")
    if "temporal" in streams:
        alone = not faces_seen and settings.frames_per_segment == 1
        first = " from the first frame of each" if alone else ""
        given.append(f"the optical flow ({settings.flow_method}){first} {_motion(settings)}")
    words = f"Segments of {settings.segment_length} frames start every {settings.segment_stride} frames"
    return "; ".join(filter(None, (words, ", and ".join(given))))


def _faces_of_segment(settings: PrepareSettings) -> str:
    if settings.frames_per_segment > 1:
        return f"{settings.frames_per_segment} evenly spaced frames of each give faces"
    which = "later frame of the pair" if settings.face == "last" else "first frame"
    return f"the {which} of each gives a face"


def _motion(settings: PrepareSettings) -> str:
    if settings.pair == NEIGHBOURS:
        return "to the next frame of the file is kept in px a frame"
    if settings.pair == FIRST_LAST:
        return "to the last frame of the segment is kept in px"
    return (
        f"to the frame nearest to {settings.pair:.3g} s later that shows another picture is scaled to px in 1/30 s by "
        "their time stamps"
    )
