"""What the shell proposes after the first letters of a word. No function here loads Keras, and none fails.

A key of `--set` is followed by its values where it has a few: `fer train --set training.loss=<Tab>` (in zsh and fish;
bash takes what follows `=` for a word of its own).
"""

import typing
from collections.abc import Iterable, Iterator
from typing import Any

#: A word, and what it means.
Proposals = list[tuple[str, str]]


def complete_preset(incomplete: str) -> Proposals:
    """Names of presets."""
    from tasks.config.presets import PRESETS, summary_of

    return _beginning(incomplete, ((name, summary_of(name)) for name in PRESETS))


def complete_adapter(incomplete: str) -> Proposals:
    """Layouts of corpora."""
    from tasks.config.registries import ADAPTERS

    return _beginning(incomplete, ((name, "") for name in ADAPTERS))


def complete_corpus(incomplete: str) -> Proposals:
    """Layouts of the corpora that are read as they come."""
    from tasks.corpus.catalogue import known_corpora

    return _beginning(incomplete, ((name, about.title) for name, about in known_corpora().items()))


def complete_arm(incomplete: str) -> Proposals:
    """What `fer models` can be asked for."""
    from fer_models.models.arms import ARMS

    families = dict.fromkeys(arm.family for arm in ARMS.values())
    of_arms = ((name, arm.title) for name, arm in ARMS.items())
    return _beginning(incomplete, (*((name, "all arms of this family") for name in families), *of_arms))


def complete_weights(incomplete: str) -> Proposals:
    """Names of weights that can be fetched."""
    from tasks.weights.registry import WEIGHTS

    return _beginning(incomplete, ((name, record.purpose) for name, record in WEIGHTS.items()))


def complete_reason(incomplete: str) -> Proposals:
    """Outcomes of videos that may be tried again."""
    from tasks.outcomes import Outcome

    return _beginning(incomplete, ((str(one), "") for one in Outcome if one is not Outcome.OK))


def complete_setting(incomplete: str) -> Proposals:
    """Settings by dotted key; after `=` the words that the setting can be."""
    from tasks.config.settings import StudySettings

    key, equals, _ = incomplete.partition("=")
    known = dict(_settings_below(StudySettings, ""))
    if equals:
        return _beginning(incomplete, ((f"{key}={word}", "") for word in _words_for(key, known)))
    return _beginning(incomplete, ((f"{name}=", field.description or "") for name, field in known.items()))


def _settings_below(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    from tasks.config.annotations import kinds

    for name, field in group.model_fields.items():
        inner = [one for one in kinds(field.annotation) if hasattr(one, "model_fields")]
        if not inner:
            yield f"{prefix}{name}", field
        for one in inner:
            yield from _settings_below(one, f"{prefix}{name}.")


def _words_for(key: str, known: dict[str, Any]) -> Iterable[str]:
    """What a setting can be, as far as that is a few words."""
    from fer_models.models.arms import ARMS
    from fer_models.treatments import TREATMENTS
    from tasks.config.annotations import kinds
    from tasks.config.registries import ADAPTERS, DETECTORS

    registries = {
        "arms": [f"[{name}]" for name in ARMS],
        "corpus.adapter": ADAPTERS,
        "prepare.detector": DETECTORS,
        "training.treatment": TREATMENTS,
    }
    if key in registries:
        return registries[key]
    found: list[str] = []
    for kind in kinds(known[key].annotation) if key in known else ():
        if typing.get_origin(kind) is typing.Literal:
            found += map(str, typing.get_args(kind))
        elif kind is bool:
            found += ["true", "false"]
    return found


def _beginning(incomplete: str, proposals: Iterable[tuple[str, str]]) -> Proposals:
    return [one for one in proposals if one[0].startswith(incomplete)]
