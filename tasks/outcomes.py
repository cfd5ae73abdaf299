"""The one outcome that every video of a manifest ends with."""

from enum import StrEnum


class Outcome(StrEnum):
    """What became of a video. `not_tried`: no run has come to it yet, the next one does."""

    OK = "ok"
    NO_FACE = "no_face"
    FACE_TOO_SMALL = "face_too_small"
    TOO_SHORT = "too_short"
    UNDECODABLE = "undecodable"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    UNREADABLE = "unreadable"
    NOT_TRIED = "not_tried"
    FILE_MISSING = "file_missing"
    LABEL_MISSING = "label_missing"
    LABEL_CONFLICT = "label_conflict"
    OUT_OF_SCOPE = "out_of_scope"


#: Says nothing about the data: such a video leaves no shard and is tried again by the next run.
TRANSIENT = frozenset({Outcome.TIMEOUT, Outcome.CRASHED, Outcome.UNREADABLE})

#: Tried again in the same run, after a pause. Not `timeout`: what took too long once does so again.
RETRIED = frozenset({Outcome.CRASHED, Outcome.UNREADABLE})

#: Settled by the corpus, before any decoding.
UNPREPARED = frozenset({Outcome.FILE_MISSING, Outcome.LABEL_MISSING, Outcome.LABEL_CONFLICT, Outcome.OUT_OF_SCOPE})

#: The study does not want these videos; they are no failures. `out_of_scope` is written down of labels alone that a
#: corpus itself leaves out: manifest and ledger are shared by studies of other classes (`tasks.corpus.scope`).
UNWANTED = frozenset({Outcome.OUT_OF_SCOPE, Outcome.LABEL_MISSING})
