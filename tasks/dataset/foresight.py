"""What a study will have of a corpus, as far as that can be told before a video is decoded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from tasks.config.split_settings import SplitSettings
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.reading import are_missing
from tasks.dataset.folds import draw_folds, with_corpora
from tasks.outcomes import Outcome


@dataclass(frozen=True)
class Foreseen:
    """Videos and people of a study.

    Args:
        outcomes: how many videos have a label and a person (`ok`), and what stands against the others.
        classes: videos of each class, of those that are `ok`.
        num_people: in these; each video that names nobody counts as one.
        num_nameless: videos of these that name nobody.
        folds: people of each subset, fold by fold; those of a split that is drawn after preparation may differ, for
            who has no usable video is in none.
    """

    outcomes: Mapping[str, int]
    classes: Mapping[str, int]
    num_people: int
    num_nameless: int
    folds: tuple[Mapping[str, int], ...]


def foresee(
    videos: Sequence[SourceVideo], emotions: Sequence[str], split: SplitSettings, is_several: bool = False
) -> Foreseen:
    """What a study of these classes will have of these videos.

    Args:
        is_several: they are of several corpora, which their data sets name.

    Raises:
        UserError: too few people for the split, or a table of folds that does not fit them.
    """
    outcomes = [
        Outcome.FILE_MISSING if outcome is Outcome.OK and missing else outcome
        for outcome, missing in zip((_outcome(one, emotions) for one in videos), are_missing(videos), strict=True)
    ]
    wanted = [video for video, outcome in zip(videos, outcomes, strict=True) if outcome is Outcome.OK]
    subjects, labels = [one.subject for one in wanted], [one.emotion for one in wanted]
    counts = pd.crosstab(pd.Series(subjects, dtype=object), pd.Series(labels, dtype=object))
    corpora = pd.Series([one.dataset if is_several else "" for one in wanted], dtype=object)
    counts = with_corpora(counts, pd.Series(subjects, dtype=object), corpora, pd.Series(labels, dtype=object))
    official = {one.subject: one.official for one in wanted if one.official}
    folds = draw_folds(counts.sort_index(), split, official) if wanted else []
    of_class = Counter(labels)
    return Foreseen(
        outcomes=Counter(str(one) for one in outcomes),
        classes={emotion: of_class[emotion] for emotion in emotions},
        num_people=len(set(subjects)),
        num_nameless=sum(one.subject == one.video_id for one in wanted),
        folds=tuple(Counter(fold.subsets.values()) for fold in folds),
    )


def _outcome(video: SourceVideo, emotions: Sequence[str]) -> Outcome:
    if video.status is Outcome.OK and not video.subject:
        return Outcome.LABEL_MISSING
    if video.status is Outcome.OK and video.emotion not in emotions:
        return Outcome.OUT_OF_SCOPE
    return video.status
