"""What a trained run is evaluated on: the test subset of its own fold, or any other set of the same form."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fer_models.segments import SegmentSource
from tasks.config.digests import digest
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.dataset.folds import TEST
from tasks.dataset.index import index_digest, read_subset
from tasks.dataset.splits import KEY, read_split, split_of_study
from tasks.preparation.ledger import read_ledger
from tasks.study.runs import Run, run_arrays


@dataclass(frozen=True)
class TestSet:
    """Labelled segments that a run has not seen.

    Args:
        rows: of an index, numbered from 0, in the order of the segments.
        videos: all videos of the set, those without a usable face included: video_id, sha256, subject, emotion.
        prepared: the folder above their shards.
        load: reads the segments.
    """

    __test__ = False  # for pytest

    rows: pd.DataFrame
    videos: pd.DataFrame
    prepared: Path
    load: Callable[[], SegmentSource]

    def digest(self, code_version: int) -> str:
        """Changes when what is tested on does, or the code that evaluates."""
        named = ",".join(sorted(self.videos["video_id"]))
        return digest(index_digest(self.rows), named, {"code": code_version})


def own_test_set(settings: StudySettings, run: Run) -> TestSet:
    """The test subset of a run's fold.

    Raises:
        UserError: there is none yet.
    """
    layout = Layout.of(settings)
    rows = read_subset(layout.index, run.split_fold, TEST, settings.corpus.emotions)
    ledger = read_ledger(layout.ledger, settings.corpus.emotions)
    split = split_of_study(read_split(layout.split), ledger, settings.corpus.emotions)
    members = split[(split["fold"] == run.split_fold) & (split["side"] == TEST)]
    videos = members[KEY].merge(ledger[[*KEY, "subject", "emotion"]], on=KEY)
    ordered = videos.sort_values("video_id", ignore_index=True)
    return TestSet(rows, ordered, layout.prepared, lambda: run_arrays(settings, run, TEST))
