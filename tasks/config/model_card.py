"""The card of a model as files beside it: `model_card.json` for programs, `model_card.md` for people."""

import hashlib
from pathlib import Path

from pydantic import ValidationError

from fer_models.models.card import ModelCard
from tasks.escaping import markdown
from tasks.progress import echo
from tasks.storage.files import is_file, write_json, write_text

CARD_FILE = "model_card.json"
CARD_TEXT_FILE = "model_card.md"


def write_card(folder: Path, card: ModelCard) -> None:
    """Write both files into the folder of the model."""
    write_text(folder / CARD_TEXT_FILE, card_text(card))
    write_json(folder / CARD_FILE, card)


def read_card(model_file: Path) -> ModelCard | None:
    """The card that lies beside a model's file, local or not; None where there is none, or it is of another file.

    A card that cannot be used is left as it is, and it is said why.
    """
    path = model_file.with_name(CARD_FILE)
    try:
        if not is_file(path):
            return None
        card = ModelCard.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        what = f"{error.error_count()} of its values are not those of a card"
        echo(f"{path} is not used: {what} of this version; `fer evaluate` of the model's study writes it anew.")
        return None
    if card.model_sha256 != file_sha256(model_file):
        echo(f"{path} is not used: it is the card of another model than {model_file.name} (their SHA-256 differ).")
        return None
    return card


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, local or not, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def card_facts(card: ModelCard) -> list[tuple[str, str]]:
    """What a card says in single values, as pairs of a name and a text."""
    seeds = ", ".join(map(str, card.seeds))
    subsets = ", ".join(f"{one.name} {one.videos} (people: {one.subjects})" for one in card.subsets)
    uar = card.scores["video_uar"].in_words()
    scaled = f"{100 * card.ece_scaled:.1f} % with the temperature {card.temperature:.3g}"
    return [
        ("model", f"{card.title} ({card.arm}), {card.num_parameters:,} parameters"),
        ("trained with", f"seed{'s' if len(card.seeds) > 1 else ''} {seeds}" + (card.fold and f", fold {card.fold}")),
        ("study", card.study),
        ("corpus", card.corpus),
        ("usable videos", subsets),
        ("training", card.trained_on),
        ("preparation", card.preparation),
        ("first weights", "; ".join(one.in_words() for one in card.origins) or "none that others trained"),
        ("UAR, test videos", f"{uar}; chance is {100 * card.chance:.1f} %"),
        ("accuracy, test videos", card.scores["video_accuracy"].in_words()),
        ("UAR, other corpora", "; ".join(one.in_words() for one in card.others) or "not tested"),
        ("coverage", f"{100 * card.coverage:.1f} % of the test videos show a usable face"),
        ("calibration error", f"{100 * card.ece:.1f} %; {scaled}"),
        ("made", f"{card.date} with fer-pipeline {card.package_version}"),
        ("model file", f"SHA-256 {card.model_sha256}"),
    ]


def card_text(card: ModelCard) -> str:
    """A card as Markdown."""
    facts = [f"| {markdown(name)} | {markdown(text)} |" for name, text in card_facts(card)]
    classes = [
        f"| {markdown(one.name)} | {one.videos} | {one.subjects} | {_recall(one.recall)} |" for one in card.classes
    ]
    lines = [
        f"# Model card: {markdown(card.title)} of {markdown(card.study)}",
        "",
        *("| | |", "|---|---|", *facts),
        "",
        *("| class | training videos | people | recall, test videos |", "|---|---:|---:|---:|", *classes),
    ]
    parts = {"Limits": card.limits, "Intended use": card.intended_use, "Not to be used for": card.excluded_use}
    for title, sentences in parts.items():
        lines += ["", f"## {title}", "", *(f"- {markdown(one)}" for one in sentences)]
    return "\n".join(lines) + "\n"


def _recall(recall: float | None) -> str:
    return "" if recall is None else f"{100 * recall:.0f} %"
