"""What a model was not shown to do, as far as facts of its study tell."""

from collections.abc import Sequence

import pandas as pd

from fer_models.models.card import ClassFacts, OtherScore, Score
from tasks.config.settings import CorpusSettings, StudySettings
from tasks.study.evaluation import Evaluation

#: People below which a subset is called small.
_FEW_TRAINED, _FEW_TESTED = 50, 20
#: Videos below which a temperature is little more than a guess.
_FEW_VALIDATED = 30
#: Videos of the most frequent class over those of the rarest, from which on classes are called uneven.
_UNEVEN = 2.0
#: Whether expressions were acted, by the corpus's adapter.
_ACTED = {
    "ckplus": "were posed on request in a laboratory",
    "ckplus48": "were posed on request in a laboratory",
    **dict.fromkeys(("oulucasia", "mmi"), "were posed on request in a laboratory"),
    **dict.fromkeys(("ravdess", "cremad", "savee", "enterface", "rml", "mead"), "were acted"),
    **dict.fromkeys(("dfew", "ferv39k", "mafw", "caer", "afew"), "were mostly acted, in films and on television"),
}
#: The same by the subset of BAUM-1.
_ACTED_OF_BAUM1 = {"a": "were acted", "s": "are reactions to films and pictures in a laboratory"}


def limits_of(
    settings: StudySettings,
    evaluation: Evaluation,
    classes: Sequence[ClassFacts],
    train: pd.DataFrame,
    validation: pd.DataFrame,
    tested: pd.DataFrame,
    uar: Score,
    others: Sequence[OtherScore] = (),
) -> tuple[str, ...]:
    """The limits of a model, in sentences.

    Args:
        train, validation, tested: its usable videos.
        uar: on the tested ones.
        others: how it did on other corpora.
    """
    sentences = [
        _drawn(settings),
        _chance(uar, 1 / len(classes)),
        _people(train["subject"].nunique(), tested["subject"].nunique(), others),
        _nameless(settings, pd.concat([train, tested])),
        _acted(settings),
        _uneven(classes),
        _worst(evaluation, classes),
        _coverage(evaluation),
        _temperature(validation),
        _faces(settings),
        _moments(settings),
    ]
    return tuple(filter(None, sentences))


def _drawn(settings: StudySettings) -> str:
    if not settings.corpus.draw_sample:
        return ""
    return "The people of its corpus are drawn: its scores show that the pipeline works and say nothing of human faces."


def _chance(uar: Score, chance: float) -> str:
    return "" if uar.low is not None and uar.low > chance else "It is not shown to be better than chance."


def _people(num_trained: int, num_tested: int, others: Sequence[OtherScore]) -> str:
    if num_tested < 2:
        tested = "Only one person was tested, and no score goes beyond that person."
    else:
        few = "only " if num_tested < _FEW_TESTED else ""
        tested = f"Its scores speak of people like the {few}{num_tested} tested ones, filmed as they were."
    few = "only " if num_trained < _FEW_TRAINED else ""
    learned = f"It learned from {few}{num_trained} people. {tested}"
    if not others:
        return f"{learned} Other ages, cameras, light, poses of the head and cultures were not tested."
    worst = min(others, key=lambda one: one.uar.estimate)
    home = "" if worst.home is None else f", on its own test people {100 * worst.home:.0f} % over the same classes"
    return (
        f"{learned} Of other people and cameras only those of {', '.join(one.corpus for one in others)} were tested: "
        f"on {worst.corpus} its UAR is {100 * worst.uar.estimate:.0f} %{home}."
    )


def _nameless(settings: StudySettings, videos: pd.DataFrame) -> str:
    """Where nothing says who is seen, a video is called a subject of its own."""
    count = int((videos["subject"] == videos["video_id"]).sum())
    if not count:
        return ""
    what = "images" if settings.corpus.is_of_stills else "videos"
    return f"Nothing says who is seen in {count} {what}: people may stand in train and test, and scores be too high."


def _acted(settings: StudySettings) -> str:
    corpus = settings.corpus
    if corpus.draw_sample:
        return ""
    ways = dict.fromkeys(way for one in corpus.parts for way in _ways(one))
    if not all(ways):
        people = "all of its people" if any(ways) else "its people"
        return f"Whether {people} acted is not known here; acted expressions are stronger than those of daily life."
    return f"The expressions that it learned {' or '.join(ways)}; those of daily life are weaker."


def _ways(corpus: CorpusSettings) -> list[str]:
    """How expressions of a corpus came about; empty where that is not known."""
    of_baum1 = [_ACTED_OF_BAUM1[part] for part in getattr(corpus, "subsets", ()) if part in _ACTED_OF_BAUM1]
    return of_baum1 or [_ACTED.get(corpus.adapter, "")]


def _uneven(classes: Sequence[ClassFacts]) -> str:
    most, least = (choose(classes, key=lambda one: one.videos) for choose in (max, min))
    if most.videos < _UNEVEN * least.videos:
        return ""
    return (
        f"Its training videos are uneven, {most.videos} of {most.name} and {least.videos} of {least.name}: what is "
        "rare is recognised less surely."
    )


def _worst(evaluation: Evaluation, classes: Sequence[ClassFacts]) -> str:
    known = [(one.recall, one.name) for one in classes if one.recall is not None]
    recall, name = min(known, default=(1.0, ""))
    if recall == 1:
        return ""
    subject = 100 * evaluation.scores["video_worst_subject_uar"]
    return (
        f"It recognises {name} worst, {100 * recall:.0f} % of its test videos; the person who is recognised worst has "
        f"a UAR of {subject:.0f} %."
    )


def _temperature(validation: pd.DataFrame) -> str:
    """Two videos fit any temperature."""
    if len(validation) >= _FEW_VALIDATED:
        return ""
    return f"Its temperature was fitted on only {len(validation)} videos, so its probabilities may be far off."


def _coverage(evaluation: Evaluation) -> str:
    lost = evaluation.num_test_videos - evaluation.num_covered_videos
    if not lost:
        return ""
    counted = 100 * evaluation.scores["video_uar_all"]
    return (
        f"{lost} of {evaluation.num_test_videos} test videos show no usable face and are not in the scores; counted as "
        f"errors they make the UAR {counted:.1f} %."
    )


def _moments(settings: StudySettings) -> str:
    if settings.corpus.is_of_stills:
        return "It learned from single images: videos were not tested, and it never saw how expressions move."
    return "It learned one label a video, though expressions come and go: of single moments it was not tested."


def _faces(settings: StudySettings) -> str:
    prepare = settings.prepare
    if prepare.precropped:
        return "How faces were cut out is the corpus's doing: it takes only crops that are made alike."
    if prepare.detector == "haar":
        return "Faces are found by a frontal detector: profiles and strong tilt count as no face."
    return f"Faces that the {prepare.detector} detector misses count as no face."
