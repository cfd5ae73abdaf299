"""Settings from a preset, a YAML file and single keys, in that order, with errors that name the nearest valid word."""

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from fer_models.errors import UserError
from fer_models.models.arms import present_name
from fer_models.settings import TrainingSettings
from fer_models.suggest import nearest
from tasks.config.presets import FORMER_PRESETS, PRESETS
from tasks.config.settings import CorpusSettings, StudySettings, options_of
from tasks.config.several import SEVERAL, named_options_of
from tasks.config.yaml_text import MOST_OF_A_VALUE, MOST_SIGNS, read_yaml
from tasks.escaping import shortened
from tasks.progress import echo
from tasks.storage.addresses import hide_secrets
from tasks.storage.locations import local_path

DEFAULT_PRESET = "corrected"


def resolve_settings(
    preset: str | None = None, config: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> StudySettings:
    """The settings of a study.

    Args:
        preset: a key of `PRESETS`; a configuration file may name its own under `preset`.
        config: a YAML file with any of the settings, nested as in `fer config`.
        overrides: dotted keys to values, e.g. `{"training.epochs": 5}`; strings are read as YAML.

    Raises:
        UserError: an unknown preset, file, key or value.
    """
    values = _read_yaml(local_path(config)) if config else {}
    named = str(preset or values.pop("preset", None) or DEFAULT_PRESET)
    values.pop("preset", None)
    name = _renamed("preset", named, FORMER_PRESETS.get(named, named))
    if name not in PRESETS:
        raise UserError(
            f"There is no preset {shortened(name)}{nearest(name, PRESETS)}; there are {', '.join(PRESETS)}."
        )
    merged = _merge(PRESETS[name]().model_dump(mode="json"), _in_present_words(values), _WHOLE)
    for key, value in (overrides or {}).items():
        given = _nested(key, _parse(key, value) if isinstance(value, str) else value)
        merged = _merge(merged, _in_present_words(given), _WHOLE & {key})
    try:
        settings = StudySettings.model_validate(merged)
    except ValidationError as error:
        raise UserError(_sentence(error, merged)) from error
    settings.all_arms()  # a fault of their names shows here
    if settings.split.protocol == "official" and len(settings.corpus.parts) > 1:
        raise UserError(
            "split.protocol: the official folds of several corpora cannot be mixed; choose holdout, kfold or loso."
        )
    return settings


#: Words that were others before, which files and commands of users may still say.
_FORMER_FORMS = {"study": "published"}


def _in_present_words(values: dict[str, Any]) -> dict[str, Any]:
    """Settings as they are called now; a line tells of each that was called otherwise before."""
    values = {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}
    values = _with_corpora(values)
    training, model = values.get("training"), values.get("model")
    if isinstance(training, dict) and "imbalance" in training:
        if "treatment" in training:
            raise UserError("training.imbalance is the former name of training.treatment; give one of them.")
        training["treatment"] = _renamed("training.imbalance", training.pop("imbalance"), key="training.treatment")
    if isinstance(model, dict) and (form := str(model.get("form"))) in _FORMER_FORMS:
        model["form"] = _renamed("model.form", form, _FORMER_FORMS[form])
    if isinstance(arms := values.get("arms"), list | tuple):
        values["arms"] = [_renamed("arm", arm, present_name(arm)) if isinstance(arm, str) else arm for arm in arms]
    return values


def _with_corpora(values: dict[str, Any]) -> dict[str, Any]:
    """`corpora` and `label_map`, which may stand outside of `corpus`, in it; a list of corpora has an adapter."""
    inside = {name: values.pop(name) for name in ("corpora", "label_map") if name in values}
    corpus = values.get("corpus", {})
    if not isinstance(corpus, dict) or not (inside or "corpora" in corpus):
        return values | inside
    if twice := inside.keys() & corpus.keys():
        raise UserError(f"{min(twice)} is given twice, by itself and in corpus; give it once.")
    if (inside | corpus).get("corpora") is not None and corpus.get("adapter", SEVERAL) != SEVERAL:
        raise UserError(
            f"corpus.adapter is {shortened(corpus['adapter'])} beside a list of corpora, each of which has its own; "
            "remove one of the two."
        )
    adapter = {"adapter": SEVERAL} if "corpora" in inside | corpus else {}
    return values | {"corpus": corpus | inside | adapter}


def _renamed(what: str, said: Any, now: Any = None, key: str = "") -> Any:
    """The present word for one that was said, with a line about it where that is another."""
    if key:
        _echo_once(f"The setting {what} is called {key} now.")
        return said
    if now != said:
        _echo_once(f"The {what} {said!r} is called {now!r} now.")
    return now


@functools.cache
def _echo_once(line: str) -> None:
    """A study resolves its settings in each of its flows; users need to be told once."""
    echo(line)


def settings_as_yaml(settings: StudySettings) -> str:
    """The settings as a configuration file."""
    return as_yaml(settings.model_dump(mode="json"))


def as_yaml(values: Mapping[str, Any]) -> str:
    """Settings, or some of them, as a configuration file."""
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"There is no configuration file {hide_secrets(str(path))!r}; `fer init` writes one.")
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MOST_SIGNS + 1)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8; save it as UTF-8.") from error
    values = read_yaml(text, str(path)) or {}
    if not isinstance(values, dict):
        raise UserError(f"{path} should hold settings such as 'training:', not {type(values).__name__}.")
    return values


def _parse(key: str, text: str) -> Any:
    if len(text) > MOST_OF_A_VALUE:
        raise UserError(f"{key} is given a value of more than {MOST_OF_A_VALUE:,} characters; write it into a file.")
    return read_yaml(text, f"{key} = {shortened(hide_secrets(text))}")


def _nested(dotted: str, value: Any) -> dict[str, Any]:
    keys = dotted.split(".")
    if len(keys) > _MOST_LEVELS:
        raise UserError(f"There is no setting {shortened(dotted)}; `fer config` prints them all.")
    for key in reversed(keys):
        value = {key: value}
    return value


#: Of groups of settings within each other, and some more.
_MOST_LEVELS = 8
#: Settings whose keys are names that users choose; who gives one gives all of it.
_WHOLE = frozenset({"training_of_family"})


def _merge(base: dict[str, Any], top: dict[str, Any], whole: Collection[str] = ()) -> dict[str, Any]:
    """Lay one tree over another; a schedule of another kind replaces the old one whole, as do the keys named so."""
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and key not in whole:
            same_kind = "kind" not in old or value.get("kind", old["kind"]) == old["kind"]
            merged[key] = _merge(old, value) if same_kind else value
        else:
            merged[key] = value
    return merged


def _sentence(error: ValidationError, values: Mapping[str, Any]) -> str:
    """The first problem of some values as one sentence."""
    first = error.errors()[0]
    model, place = _walk([str(part) for part in first["loc"]])
    key = ".".join(place)
    if first["type"] == "extra_forbidden":
        if model is CorpusSettings:  # the adapter's own options are settings too
            model = _options_at(values["corpus"], place[1:-1])
        valid = [".".join([*place[:-1], name]) for name in model.model_fields]
        return f"There is no setting {shortened(key)}{nearest(key, valid)}; `fer config` prints them all."
    words, valid = _words(first)
    hint = nearest(str(first["input"]), valid).replace(" (", "; ", 1).removesuffix(")")
    return f"{key or 'The settings'}: {words} (it is {shortened(first['input'])}{hint})."


def _words(fault: Any) -> tuple[str, list[str]]:
    """What a value should be, as the middle of a sentence, and the words that it may be."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in _PLAIN:
        return _PLAIN[kind], []
    if kind == "union_tag_invalid":
        kinds = re.findall("'([^']*)'", context["expected_tags"])
        return f"its kind should be one of {', '.join(kinds)}", kinds
    words = fault["msg"].removeprefix("Value error, ").replace("Input should", "it should").partition(", unable to")[0]
    return f"{words[0].lower()}{words[1:]}", re.findall("'([^']*)'", words) if kind == "literal_error" else []


#: What pydantic says in words of its own.
_PLAIN = {
    "tuple_type": "it should be a list such as [a, b]",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "it should hold settings such as {a: 1}"),
    "union_tag_not_found": "it should name its kind",
    "string_pattern_mismatch": "it should be of letters, digits, dots, hyphens and underscores, and begin with one of "
    "the first two",
}


def _options_at(corpus: Mapping[str, Any], place: Sequence[str]) -> type[BaseModel]:
    """The settings of a corpus, or of one of several at a place such as `corpora.0`."""
    if not place:
        return options_of(corpus["adapter"])
    one = corpus["corpora"][int(place[1])]
    return named_options_of(one.get("adapter", "folder"))


def _walk(location: list[str]) -> tuple[type[BaseModel], list[str]]:
    """The settings group that an error lies in, and its place without the names of the kinds of a schedule."""
    model: type[BaseModel] = StudySettings
    place: list[str] = []
    groups: list[type[BaseModel]] = []
    for part in location:
        kinds = {group.model_fields["kind"].default: group for group in groups if "kind" in group.model_fields}
        if part in kinds:
            model = kinds[part]
            continue
        place.append(part)
        field = model.model_fields.get(part)
        groups = [TrainingSettings] if part in _WHOLE else _groups(field.annotation) if field else []
        model = groups[0] if groups else model
    return model, place


def _groups(annotation: Any) -> list[type[BaseModel]]:
    """The settings groups that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [group for part in get_args(annotation) for group in _groups(part)]
