"""The models that a visitor may choose from, and what is said of each before it is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.inference.pretrained import PRETRAINED_LIMITS, find_pretrained, pretrained_origin

#: Below a data root, see `tasks.config.layout.Layout`.
_RUNS = "studies/*/runs/*/model.keras"
_PRETRAINED = "Published network (Mini-Xception of FER2013)"
_PRETRAINED_LISTS = (("Limits", PRETRAINED_LIMITS),)


@dataclass(frozen=True)
class Choice:
    """A model of the web page. Everything but `files` is shown to visitors.

    Args:
        title: what it is called.
        note: a line on where it comes from.
        files: of the model; none for the network that others trained.
        facts: of its card, name and text.
        lists: of its card, a heading and sentences.
    """

    title: str
    note: str = ""
    files: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()


def pretrained_choice() -> Choice:
    """The network that others trained; raises `UserError` when its weights are not on this machine."""
    find_pretrained()
    facts = (("what it is", pretrained_origin().in_words()),)
    return Choice(_PRETRAINED, "trained by others, knows the seven classes of FER2013", (), facts, _PRETRAINED_LISTS)


def models_below(data_root: Path) -> list[Path]:
    """The models of all studies of a data root, sorted by study and run."""
    return sorted(data_root.glob(_RUNS))


def choices_of(models: Mapping[Path, Path], champions: Mapping[Path, str]) -> list[Choice]:
    """What visitors may choose from: champions first, then the others in their order.

    Args:
        models: files of models, each with a local copy of it.
        champions: those of `models` that are champions of their study, with their versions.
    """
    ordered = sorted(models, key=lambda path: path not in champions)
    return [_choice(path, models[path], champions.get(path, "")) for path in ordered]


def _choice(path: Path, local: Path, version: str) -> Choice:
    known = [f"champion of the registry, version {version}"] if version else []
    title, *rest = _names(path)
    return Choice(title, ", ".join([*known, *rest]), (str(local),))


def _names(path: Path) -> Sequence[str]:
    """What a model is called by where it lies: a run of a study by both their names, others by their file."""
    runs = path.parent.parent
    if path.name == "model.keras" and runs.name == "runs" and runs.parent.name:
        return (path.parent.name, f"study {runs.parent.name}")
    return (path.stem if path.name != "model.keras" else path.parent.name,)
