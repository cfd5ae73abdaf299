"""Corpora with a sheet of coded clips: which frames are onset, apex and offset, and which of them make the video."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from fer_models.errors import UserError
from fer_models.names import whole_number
from tasks.corpus.adapters import forms
from tasks.corpus.adapters.finding import clip_of_images, files_in, find_files
from tasks.corpus.adapters.named import Named, source_of
from tasks.corpus.adapters.sheets import read_sheet
from tasks.corpus.adapters.source import SourceVideo
from tasks.outcomes import Outcome
from tasks.storage.tables import Row
from tasks.video.image_sequences import chosen_images, images_between, is_image, split_name

_COLUMNS = ("subject", "filename", "onset frame", "apex frame", "offset frame", "estimated emotion")


class Options(forms.Options):
    """What a corpus of micro-expressions has to be told."""

    frames: Literal["onset_apex", "onset_offset", "all"] = Field(
        "onset_apex",
        description="`onset_apex`: two images, the pair that motion lies between (needs prepare.segment_length=2 and "
        "pair=first_last); `onset_offset`: all from onset to offset; `all`: all that lie there",
    )

    @property
    def is_of_pairs(self) -> bool:
        """Whether each of its videos is a pair of images."""
        return self.frames == "onset_apex"


@dataclass(frozen=True)
class Coded:
    """One row of a sheet; frames are numbers of images, None where the row gives none.

    Args:
        position: of the row among those with a clip, from 1 on.
    """

    place: str
    position: int
    subject: int
    clip: str
    onset: int | None
    apex: int | None
    offset: int | None
    emotion: str
    remark: str = ""

    @property
    def is_ordered(self) -> bool:
        """Whether its offset does not stand before onset or apex."""
        return self.offset is None or all(one is None or one <= self.offset for one in (self.onset, self.apex))


#: Rows that are known to be wrong: their position, the mended offset. A sheet that was mended already stays as it is.
Errata = Mapping[int, int]


def read_coded(root: Path, sheet: str, errata: Errata) -> list[Coded]:
    """The rows of the sheet, with known errors mended; raises `UserError` when it is not there or not readable.

    Args:
        sheet: a regular expression of its whole name.
    """
    found = find_files(root, sheet, depth=3) or find_files(root.absolute().parent, sheet, depth=0)
    if not found:
        raise UserError(f"{root} holds no sheet of labels (such as {sheet}); put it there.")
    rows = [row for row in read_sheet(found[-1], _COLUMNS) if row.cells["subject"] and row.cells["filename"]]
    return [_mended(coded, errata) for coded in _coded(rows)]


def _coded(rows: list[Row]) -> Iterator[Coded]:
    for position, (place, cells) in enumerate(rows, start=1):
        subject = whole_number(cells["subject"].lower().removeprefix("sub"))
        if subject is None:
            continue  # a legend below the rows
        onset, apex, offset = (_frame(cells[f"{name} frame"]) for name in ("onset", "apex", "offset"))
        yield Coded(place, position, subject, cells["filename"], onset, apex, offset, cells["estimated emotion"])


def _frame(cell: str) -> int | None:
    number = whole_number(cell)
    return number or None  # 0 and -1 stand for none


def _mended(row: Coded, errata: Errata) -> Coded:
    """A row whose offset contradicts its own onset or apex, where it is one that is known to be wrong."""
    offset = next((offset for position, offset in errata.items() if abs(position - row.position) <= 1), None)
    if row.is_ordered or offset is None or not replace(row, offset=offset).is_ordered:
        return row
    return replace(
        row, offset=offset, remark=f"{row.place} gives the offset {row.offset}, which is known to be {offset}"
    )


def sources_of_rows(
    dataset: str,
    rows: list[Coded],
    folders: Mapping[str, Path],
    key_of: Callable[[Coded], str],
    expected: Callable[[Coded], Path],
    frames: str,
) -> list[SourceVideo]:
    """One record per clip that has a row, or lies there, or both.

    Args:
        folders: those of the clips, by key; a key begins with the subject.
        expected: where the clip of a row would lie.
        frames: as `Options.frames`.
    """
    by_key: dict[str, list[Coded]] = {}
    for row in rows:
        by_key.setdefault(key_of(row), []).append(row)
    sources = []
    for key in sorted(folders.keys() | by_key.keys()):
        subject = f"{dataset}/{key.split('/')[0]}"
        path: Path | None
        if key not in by_key:
            path = clip_of_images(folders[key]) or folders[key]
            named = Named(key, subject, "", fault=Outcome.LABEL_MISSING, why="the sheet has no row for it")
        else:
            same = by_key[key]
            path, fault, why = _video(same[0], folders.get(key), frames)
            if len({(row.onset, row.apex, row.offset, row.emotion) for row in same}) > 1:
                fault, why = Outcome.LABEL_CONFLICT, f"{', '.join(row.place for row in same)} differ about it"
            named = Named(key, subject, same[0].emotion, fault=fault, why=why or same[0].remark)
        sources.append(source_of(dataset, path or expected(by_key[key][0]), named))
    return sources


def _video(row: Coded, folder: Path | None, frames: str) -> tuple[Path | None, Outcome, str]:
    """The chosen images of a clip, or why there are none."""
    if folder is None:
        return None, Outcome.FILE_MISSING, f"{row.place} of the sheet names it, but there is no folder of its images"
    whole = clip_of_images(folder)
    if whole is None:
        return folder, Outcome.FILE_MISSING, f"{row.place} of the sheet names it, but its folder holds no images"
    if frames == "all":
        return whole, Outcome.OK, ""
    last, name = (row.apex, "apex") if frames == "onset_apex" else (row.offset, "offset")
    if row.onset is None or last is None:
        which = "onset" if row.onset is None else name
        why = f"{row.place} of the sheet gives no usable {which}, which corpus.frames={frames} needs"
        return whole, Outcome.LABEL_MISSING, why
    if last <= row.onset:
        why = f"{row.place} of the sheet has the onset {row.onset} and the {name} {last}, which must come later"
        return whole, Outcome.LABEL_CONFLICT, why
    images = {
        parts[1]: path.name for path in files_in(folder) if is_image(path.name) and (parts := split_name(path.name))
    }
    if missing := [number for number in (row.onset, last) if number not in images]:
        return whole, Outcome.FILE_MISSING, f"its image {missing[0]} is not there, which {row.place} of the sheet names"
    sample = images[row.onset]
    if frames == "onset_apex":
        return chosen_images(folder, sample, (row.onset, last)), Outcome.OK, ""
    return images_between(folder, sample, row.onset, last), Outcome.OK, ""
