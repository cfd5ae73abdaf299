"""Corpora that lie on disk as videos, as frames or as cropped faces, in some copies as several of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from fer_models.errors import UserError
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.finding import clip_of_images, find_folder, folders_in
from tasks.corpus.adapters.source import require_folder
from tasks.corpus.adapters.walking import VIDEO_SUFFIXES
from tasks.progress import echo

Form = Literal["any", "videos", "frames", "faces"]
FACES = "faces"


class Options(CorpusSettings):
    """What a corpus that lies there in several forms has to be told."""

    form: Form = Field(
        "any",
        description="`videos`, `frames` or `faces` (cropped: needs prepare.precropped); `any`: the first of these "
        "that lies there",
    )


def choose_form(corpus: Options, places: Mapping[str, str]) -> tuple[str, Path]:
    """The form that is read, and its folder.

    Args:
        places: regular expressions of the whole names of the folders, by form.

    Raises:
        UserError: the chosen form is not there, or none is.
    """
    root = require_folder(corpus.root)
    wanted = list(places) if corpus.form == "any" else [corpus.form]
    for form in wanted:
        if form in places and (folder := find_folder(root, places[form])):
            if form == FACES:
                echo(f"{folder.name} holds cropped faces: they need prepare.precropped=true.")
            return form, folder
    what = "videos, frames or faces" if corpus.form == "any" else corpus.form
    raise UserError(
        f"{str(root)!r} holds no {what} of {corpus.adapter}: there is no folder {' or '.join(places.values())}; "
        "set corpus.root to the folder above it."
    )


def clips_in(folder: Path, form: str) -> dict[str, Path]:
    """The clips right in a folder, by their names without suffix; a folder of images without any is left out."""
    if form == "videos":
        files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        return {path.stem: path for path in files if path.suffix.lower() in VIDEO_SUFFIXES}
    clips = {child.name: clip_of_images(child) for child in folders_in(folder)}
    return {name: clip for name, clip in clips.items() if clip}
