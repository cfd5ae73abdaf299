"""What became of a video in plain words, and what can be done about it."""

from tasks.outcomes import Outcome

#: For each outcome what it means and what to do; both empty where all is well.
EXPLANATIONS: dict[Outcome, tuple[str, str]] = {
    Outcome.OK: ("", ""),
    Outcome.NO_FACE: (
        "No usable face",
        "Profiles, strong tilt and hidden faces are missed; the frames below show what there was to find.",
    ),
    Outcome.FACE_TOO_SMALL: ("The face is too small", "Lower prepare.min_face_px to use it."),
    Outcome.TOO_SHORT: ("The video is too short", ""),
    Outcome.UNDECODABLE: ("No readable video", "Play the file; if no player can, fetch or convert it again."),
    Outcome.TRUNCATED: ("Damaged, not used", "Fetch or convert the file again, then run `fer prepare`."),
    Outcome.TIMEOUT: ("Preparing it took too long", "Try again with `fer retry --set execution.timeout_s=3600`."),
    Outcome.CRASHED: (
        "Preparing it broke off",
        "Try again with `fer retry`; convert the file if it always breaks off.",
    ),
    Outcome.UNREADABLE: ("The file could not be read", "Check disk and share, then try again with `fer retry`."),
    Outcome.NOT_TRIED: ("Not tried yet", "Run `fer prepare` again."),
    Outcome.FILE_MISSING: ("The file is missing", "Put it back or correct its path, then run `fer prepare` again."),
    Outcome.LABEL_MISSING: ("Not used: it has no label", "Give it one, then run `fer prepare` again."),
    Outcome.LABEL_CONFLICT: ("Not used: its labels differ", "Correct them, then run `fer prepare` again."),
    Outcome.OUT_OF_SCOPE: ("Not used: another class", "Add its class to corpus.emotions to use it."),
}
