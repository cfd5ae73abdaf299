"""Made-up ledgers, for the tests of splits and folds."""

from collections.abc import Iterable, Sequence

import pandas as pd

from tasks.outcomes import Outcome

CLASSES = ("anger", "fear", "sadness")
Video = tuple[str, str]  # subject, emotion


def make_ledger(videos: Iterable[Video], outcome: str = "ok", prefix: str = "v") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "video_id": f"{prefix}{number}",
                "sha256": f"content of {prefix}{number}",
                "subject": subject,
                "emotion": emotion,
                "outcome": outcome,
                "num_covered": 3 if outcome == Outcome.OK else 0,
            }
            for number, (subject, emotion) in enumerate(videos)
        ]
    )


def subjects(number: int, classes: Sequence[str] = CLASSES, first: int = 0) -> list[Video]:
    """So many subjects, each of whom shows every class."""
    return [(f"p{i:03d}", emotion) for i in range(first, first + number) for emotion in classes]


def subsets_of_subjects(split: pd.DataFrame) -> dict[str, set[str]]:
    return {str(subject): set(rows["side"]) for subject, rows in split.groupby("subject")}
