"""A card's limits are those that the facts of its study tell of."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from fer_models.models.card import ClassFacts, Score
from tasks.config.resolving import resolve_settings
from tasks.study.card_limits import limits_of

CLASSES = (
    ClassFacts(name="anger", videos=100, subjects=60, recall=0.5),
    ClassFacts(name="fear", videos=90, subjects=60, recall=0.4),
)


def videos(num: int, subjects: int, nameless: bool = False) -> pd.DataFrame:
    names = [f"v{number}" for number in range(num)]
    people = names if nameless else [f"p{number % subjects}" for number in range(num)]
    return pd.DataFrame({"video_id": names, "subject": people})


def told(overrides: dict[str, Any] | None = None, **changes: Any) -> str:
    """The limits of a study with enough of everything, but for what is changed."""
    facts: dict[str, Any] = {
        "evaluation": SimpleNamespace(
            num_test_videos=40,
            num_covered_videos=40,
            scores={"video_worst_subject_uar": 0.25, "video_uar_all": 0.33},
        ),
        "classes": CLASSES,
        "train": videos(190, 60),
        "validation": videos(40, 20),
        "tested": videos(40, 25),
        "uar": Score(estimate=0.7, low=0.6, high=0.8),
    }
    return "\n".join(limits_of(resolve_settings(overrides=overrides or {}), **facts | changes))


def evaluated(covered: int) -> SimpleNamespace:
    scores = {"video_worst_subject_uar": 0.25, "video_uar_all": 0.33}
    return SimpleNamespace(num_test_videos=40, num_covered_videos=covered, scores=scores)


@pytest.mark.parametrize(
    ("overrides", "changes", "words"),
    [
        ({"corpus.draw_sample": True}, {}, "say nothing of human faces"),
        ({}, {"uar": Score(estimate=0.6, low=0.5, high=0.7)}, "not shown to be better than chance"),
        ({}, {"uar": Score(estimate=0.9)}, "not shown to be better than chance"),
        ({}, {"train": videos(90, 49)}, "learned from only 49 people"),
        ({}, {"tested": videos(40, 19)}, "like the only 19 tested ones"),
        ({}, {"tested": videos(9, 1)}, "Only one person was tested"),
        (
            {},
            {"tested": videos(40, 40, nameless=True)},
            "Nothing says who is seen in 40 videos: people may stand in",
        ),
        ({"corpus.adapter": "ckplus"}, {}, "were posed on request"),
        ({"corpus.adapter": "baum1"}, {}, "are reactions to films"),
        ({"corpus.adapter": "baum1", "corpus.subsets": ["a", "s"]}, {}, "were acted or are reactions"),
        ({"corpus.adapter": "folder"}, {}, "Whether its people acted is not known"),
        (
            {},
            {"classes": (CLASSES[0], CLASSES[1].model_copy(update={"videos": 50}))},
            "uneven, 100 of anger and 50 of fear",
        ),
        ({}, {"classes": (CLASSES[0], CLASSES[1].model_copy(update={"videos": 0}))}, "uneven, 100 of anger and 0"),
        ({}, {}, "fear worst, 40 % of its test videos; the person who is recognised worst has a UAR of 25 %"),
        ({}, {"evaluation": evaluated(36)}, "4 of 40 test videos show no usable face"),
        ({}, {"evaluation": evaluated(36)}, "counted as errors they make the UAR 33.0 %"),
        ({}, {"validation": videos(29, 9)}, "temperature was fitted on only 29 videos"),
        ({}, {}, "frontal detector"),
        ({"prepare.detector": "blazeface"}, {}, "Faces that the blazeface detector misses"),
        ({"prepare.precropped": True}, {}, "takes only crops that are made alike"),
        ({}, {}, "one label a video"),
        ({"corpus.adapter": "images", "prepare.pair": "none"}, {}, "learned from single images"),
    ],
)
def test_a_fact_is_told(overrides: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    assert words in told(overrides, **changes)


def test_what_is_not_so_is_not_told() -> None:
    text = told()
    absent = ("drawn", "chance", "only", "Nothing says", "uneven", "no usable face", "temperature", "single images")
    assert [words for words in absent if words in text] == []


def test_who_is_recognised_always_is_not_the_worst() -> None:
    right = tuple(one.model_copy(update={"recall": 1.0}) for one in CLASSES)
    unknown = tuple(one.model_copy(update={"recall": None}) for one in CLASSES)
    assert "worst" not in told(classes=right) + told(classes=unknown)
