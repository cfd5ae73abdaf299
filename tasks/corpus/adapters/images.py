"""Single images: `<root>/<expression>/<image>`, also in folders such as `train` and `test`; needs `prepare.pair: none`.

So FER2013, RAF-DB and AffectNet are passed on. Where folders stand in that of an expression the first is its subject's,
as with the adapter `folder`; else `corpus.subject_pattern` says what in a file's name is, and names of CK+
(`S010_004_00000017.png`) are known. Of whom nothing of all this tells counts as a subject of his or her own.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from fer_models.errors import UserError
from fer_models.names import plain_name, whole_number
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.source import SourceVideo, label_status, require_folder
from tasks.corpus.adapters.walking import images_below, tell_of_passed
from tasks.outcomes import Outcome
from tasks.progress import echo

#: What folders that are numbers mean in a corpus.
CODES: dict[str, dict[int, str]] = {
    "fer2013": dict(enumerate(("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"))),
    "rafdb": dict(enumerate(("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"), start=1)),
    "affectnet": dict(enumerate(("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt"))),
}
#: Folders above those of the expressions, without what is no letter.
_PARTS = frozenset(
    ("train", "training", "trainset", "val", "valid", "validation", "valset", "test", "testing", "testset")
    + ("publictest", "privatetest")
)
#: Of a regular expression; thousands of signs may take long to read alone.
_MOST_SIGNS = 1000
#: For a million names a plain pattern needs a tenth of it.
_PATIENCE_S = 20.0
#: Reads a pattern and names, and writes the first group of each name, null where the pattern is not found.
_FIND = """
import json, re, sys
pattern, names = json.load(sys.stdin)
found = [re.search(pattern, name) for name in names]
json.dump([match and (match[1] or "") for match in found], sys.stdout)
"""
_CKPLUS = re.compile(r"(S\d{3})_\d{3}_\d+\.", re.IGNORECASE)


class Options(CorpusSettings):
    """What a corpus of single images may have to be told."""

    codes: Literal["none", "fer2013", "rafdb", "affectnet"] = Field(
        "none", description=f"the corpus whose numbers the folders of expressions are: {', '.join(CODES)}"
    )
    subject_pattern: str | None = Field(
        None,
        max_length=_MOST_SIGNS,
        description="a regular expression whose first group is the subject in a file's name, such as "
        r"^([A-Z]{2})\. for KA.AN1.39.tiff",
    )

    @property
    def is_of_stills(self) -> bool:
        """They are."""
        return True

    @field_validator("subject_pattern")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        try:
            num_groups = re.compile(pattern).groups if pattern is not None else 1
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"it is no regular expression: {error}") from error
        if not num_groups:
            raise ValueError("it has no group; put brackets around what names the subject")
        return pattern


def read(corpus: Options) -> list[SourceVideo]:
    """One record per image below the root."""
    root = require_folder(corpus.root)
    passed: list[Path] = []
    paths = list(images_below(root, passed))
    named = _named_subjects(corpus.subject_pattern, [path.name for path in paths])
    sources = [_source(corpus, path.relative_to(root), path, who) for path, who in zip(paths, named, strict=True)]
    tell_of_passed(root, passed)
    _tell(corpus, sources)
    return sources


def _named_subjects(pattern: str | None, names: Sequence[str]) -> Sequence[str | None]:
    """Who is seen by the pattern, per name: empty where it is not found, None where there is no pattern.

    Some patterns try more ways through a name than a computer ever can, and cannot be stopped in this process; so
    another one searches.

    Raises:
        UserError: it took too long.
    """
    if pattern is None:
        return [None] * len(names)
    command = [sys.executable, "-I", "-S", "-c", _FIND]
    try:
        done = subprocess.run(
            command,
            input=json.dumps([pattern, names]),
            stdout=subprocess.PIPE,
            timeout=_PATIENCE_S,
            text=True,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"corpus.subject_pattern takes longer than {_PATIENCE_S:g} s for the names of {len(names):,} images; write "
            "it more simply, without a repetition within a repetition such as (a+)+."
        ) from error
    return [plain_name(name or "") for name in json.loads(done.stdout)]


def _source(corpus: Options, relative: Path, path: Path, named: str | None) -> SourceVideo:
    video_id = relative.as_posix()
    folders = [plain_name(name) for name in relative.parts[:-1]]
    if folders and re.sub(r"[^a-z]", "", folders[0].lower()) in _PARTS:
        del folders[0]
    label_raw = folders[0] if folders else ""
    number = whole_number(label_raw)
    emotion, status, reason = label_status(label_raw if number is None else _word(corpus.codes, number, label_raw))
    subject = _subject(folders[1:], path.name) if named is None else named
    if subject is None:
        subject = video_id
    if not folders:
        reason = "it is in no expression's folder (<expression>/<image>)"
    elif status is Outcome.OK and not subject:
        status, reason = Outcome.LABEL_MISSING, "corpus.subject_pattern finds no subject in its name"
    return SourceVideo(video_id, "images", path, subject, emotion, label_raw, status, reason)


def _word(codes: str, number: int, label_raw: str) -> str:
    return CODES.get(codes, {}).get(number, label_raw)


def _subject(below: Sequence[str], name: str) -> str | None:
    """Who is seen where no pattern says so; None where nothing tells."""
    if below:
        return below[0]
    match = _CKPLUS.match(name)
    return f"ckplus/{match[1].upper()}" if match else None


def _tell(corpus: Options, sources: Sequence[SourceVideo]) -> None:
    """Say what is taken for granted: who is seen, and what numbers mean."""
    nameless = sum(source.subject == source.video_id for source in sources)
    if nameless:
        echo(
            f"Nothing tells who is seen in {nameless} of {len(sources)} images, so each counts as a person of its own, "
            "and somebody who is there twice may be in two subsets; corpus.subject_pattern can say what names a person."
        )
    if corpus.codes == "none" and any(whole_number(source.label_raw) is not None for source in sources):
        known = ", ".join(CODES)
        echo(f"Folders that are numbers are classes of those names; corpus.codes can say whose they are: {known}.")
