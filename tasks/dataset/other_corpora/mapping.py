"""Which classes of another corpus a study's models know, and under which word."""

from collections.abc import Sequence

import pandas as pd
from pydantic import BaseModel

from fer_models.errors import UserError
from fer_models.suggest import nearest
from tasks.config.test_on_settings import OtherCorpus
from tasks.outcomes import Outcome
from tasks.preparation.ledger import is_usable

_LABEL_FAULTS = (Outcome.LABEL_MISSING, Outcome.LABEL_CONFLICT)
#: Videos that nobody has come to with these settings; a ledger of an older version calls those of other classes so.
_UNTRIED = (Outcome.NOT_TRIED, Outcome.OUT_OF_SCOPE)


class ClassUse(BaseModel):
    """What becomes of a class of another corpus.

    Args:
        word: its word there.
        emotion: the models' class that its videos are tested as; empty where they are left out.
        videos: that are labelled so, and of these `untried`: not prepared with the study's settings.
        why: they are left out.
    """

    word: str
    emotion: str
    videos: int
    untried: int
    why: str = ""

    @property
    def tested(self) -> int:
        """Videos that are tested, those without a usable face included."""
        return self.videos - self.untried if self.emotion else 0


def map_classes(other: OtherCorpus, name: str, ledger: pd.DataFrame, emotions: Sequence[str]) -> list[ClassUse]:
    """What becomes of every class of another corpus, in the order of the models' classes, those left out last.

    Args:
        name: of that corpus.
        ledger: its own, for no study in particular.
        emotions: the models' classes.

    Raises:
        UserError: the labels in the settings name a class that is not there, or none of the models'.
    """
    labelled = ledger[(ledger["emotion"] != "") & ~ledger["outcome"].isin(_LABEL_FAULTS)]
    counts = labelled["emotion"].value_counts()
    _check_labels(other, name, sorted(counts.index), emotions)
    untried = labelled.loc[labelled["outcome"].isin(_UNTRIED), "emotion"].value_counts()
    uses = [
        _use(other, str(word), int(counts[word]), int(untried.get(word, 0)), emotions) for word in sorted(counts.index)
    ]
    order = [*emotions, ""]
    return sorted(uses, key=lambda use: (order.index(use.emotion), use.word))


def _check_labels(other: OtherCorpus, name: str, words: Sequence[str], emotions: Sequence[str]) -> None:
    for word, ours in other.labels.items():
        if word not in words:
            raise UserError(
                f"test_on gives a label for {word!r}{nearest(word, words)}, which no video of {name} has; it has "
                f"{', '.join(words)}."
            )
        if ours and ours not in emotions:
            raise UserError(
                f"test_on makes {word!r} of {name} {ours!r}{nearest(ours, emotions)}, which is none of the study's "
                f"classes ({', '.join(emotions)}); an empty word leaves its videos out."
            )


def _use(other: OtherCorpus, word: str, videos: int, untried: int, emotions: Sequence[str]) -> ClassUse:
    ours = other.emotion_of(word)
    why = "left out by test_on" if not ours else "" if ours in emotions else "the models have no such class"
    return ClassUse(word=word, emotion="" if why else ours, videos=videos, untried=untried, why=why)


def tested_videos(ledger: pd.DataFrame, uses: Sequence[ClassUse]) -> pd.DataFrame:
    """The rows of another corpus's ledger that are tested, with the models' words as `emotion`."""
    ours = {use.word: use.emotion for use in uses if use.emotion}
    wanted = ledger["emotion"].isin(list(ours)) & ~ledger["outcome"].isin([*_LABEL_FAULTS, *_UNTRIED])
    wanted &= ledger["subject"] != ""
    return ledger[wanted].assign(emotion=ledger.loc[wanted, "emotion"].map(ours))


def shared_classes(videos: pd.DataFrame, emotions: Sequence[str]) -> tuple[str, ...]:
    """The models' classes of which another corpus has a usable video, in their order; `videos` as `tested_videos`."""
    there = set(videos.loc[is_usable(videos), "emotion"])
    return tuple(emotion for emotion in emotions if emotion in there)
