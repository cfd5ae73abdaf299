"""The one outcome that every video of a manifest ends with."""

from enum import StrEnum


class Outcome(StrEnum):
    """What became of a video."""

    OK = "ok"
    NO_FACE = "no_face"
    FACE_TOO_SMALL = "face_too_small"
    TOO_SHORT = "too_short"
    UNDECODABLE = "undecodable"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    FILE_MISSING = "file_missing"
    LABEL_MISSING = "label_missing"
    LABEL_CONFLICT = "label_conflict"
    OUT_OF_SCOPE = "out_of_scope"


#: May go otherwise next time: such a video is tried again by the next run.
TRANSIENT = frozenset({Outcome.TIMEOUT, Outcome.CRASHED})
