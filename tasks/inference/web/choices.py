"""The models that a visitor may choose from, and what is said of each before it is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_models.models.card import EXCLUDED_USE, INTENDED_USE
from tasks.config.model_card import card_facts, read_card, write_card
from tasks.inference.pretrained import PRETRAINED_LIMITS, find_pretrained, pretrained_origin

#: Below a data root, see `tasks.config.layout.Layout`.
_RUNS = "studies/*/runs/*/model.keras"
_PRETRAINED = "Published network (Mini-Xception of FER2013)"
_WHY_OWN = (
    "Trained by others on photos from the web. A model of your own, which `fer study` trains, is tested on people and "
    "expressions like yours, and says how good it is."
)


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
    return Choice(_PRETRAINED, _WHY_OWN, (), facts, _lists(PRETRAINED_LIMITS))


def models_below(data_root: Path) -> list[Path]:
    """The models of all studies of a data root, sorted by study and run."""
    return sorted(data_root.glob(_RUNS))


def choices_of(models: Mapping[Path, Path], champions: Mapping[Path, str]) -> list[Choice]:
    """What visitors may choose from: champions first, then the others in their order.

    Args:
        models: files of models, each with a copy of it on this machine, the file itself or one in a folder of its own.
        champions: those of `models` that are champions of their study, with their versions.
    """
    ordered = sorted(models, key=lambda path: path not in champions)
    return [_choice(path, models[path], champions.get(path, "")) for path in ordered]


def _choice(path: Path, local: Path, version: str) -> Choice:
    known = [f"champion of the registry, version {version}"] if version else []
    card = read_card(path)
    if card is None:
        title, *rest = _names(path)
        return Choice(title, ", ".join([*known, *rest]), (str(local),))
    if local != path:  # what it says of the calibration is looked for beside the file
        write_card(local.parent, card)
    which = f"seed {', '.join(map(str, card.seeds))}" + (card.fold and f", fold {card.fold}")
    score = f"UAR {card.scores['video_uar'].in_words()}"
    note = "; ".join([*known, f"study {card.study}, {which}", score])
    return Choice(card.title, note, (str(local),), tuple(card_facts(card)), _lists(card.limits))


def _lists(limits: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What of a card is whole sentences."""
    return (("Limits", limits), ("Intended use", INTENDED_USE), ("Not to be used for", EXCLUDED_USE))


def _names(path: Path) -> Sequence[str]:
    """What a model is called by where it lies: a run of a study by both their names, others by their file."""
    runs = path.parent.parent
    if path.name == "model.keras" and runs.name == "runs" and runs.parent.name:
        return (path.parent.name, f"study {runs.parent.name}")
    return (path.stem if path.name != "model.keras" else path.parent.name,)
