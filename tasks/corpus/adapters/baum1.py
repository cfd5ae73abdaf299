"""BAUM-1s (spontaneous) and BAUM-1a (acted), Zhalehpour et al. 2017, with the quirks of real copies.

Files `<root>/BAUM1s_MP4 - All/s001/S001_001.mp4` (spellings of the folder vary) and annotations
`Annotations_BAUM1s.xlsx` or a CSV export of it: header in row 1, columns A-G, a legend further right that is no data.
Both subsets film the same people, so they share subject names. What the sheet contradicts is reported, never guessed.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from fer_models.errors import UserError
from fer_models.labels import canonical_emotion
from fer_models.names import plain_name, whole_number
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.about import STAND_INS, About, Signs
from tasks.corpus.adapters.sheets import sheet_lines
from tasks.corpus.adapters.source import SourceVideo, label_status, require_folder
from tasks.corpus.adapters.walking import is_of_system, is_video
from tasks.outcomes import Outcome
from tasks.storage.tables import column_names

BAUM1A_CODES: dict[int, str] = dict(
    enumerate(
        ("Anger", "Boredom", "Disgust", "Fear", "Happiness", "Interest", "Sadness", "Surprise", "Unsure"), start=1
    )
)
BAUM1S_CODES: dict[int, str] = dict(
    enumerate(
        (
            "Anger",
            "Boredom",
            "Bothered",
            "Concentrating",
            "Contempt",
            "Disgust",
            "Fear",
            "Happiness",
            "Neutral",
            "Sadness",
            "Surprise",
            "Thinking",
            "Unsure",
        ),
        start=1,
    )
)
ABOUT = About(
    title="BAUM-1",
    classes=("anger", "disgust", "fear", "happiness", "sadness", "surprise", "boredom", "contempt", "neutral"),
    num_people=31,
    size="about 1,200 spontaneous and 270 acted clips of 31 people, 720x576",
    licence="research, on request",
    ask="ask its authors, who send an agreement to sign",
    citation="Zhalehpour et al. 2017, IEEE Transactions on Affective Computing 8(3), 300-313",
    layout=("BAUM1s_MP4 - All/s001/S001_001.mp4", "Annotations_BAUM1s.xlsx (or .csv); the same with a for the acted"),
    folds="none official; kfold or loso by person is the custom",
    verified=STAND_INS,
    unconfirmed="number of clips, citation",
    signs=Signs(
        r"baum-?1[as][ _-]*mp4[^/]*/s\d{3}",
        r"S\d{3}_\d{3}\.\w+",
        labels={r"annotations?[ _-]*baum-?1[as].*\.(xlsx|csv)": "Annotations_BAUM1s.xlsx"},
    ),
)
_CODES = {"a": BAUM1A_CODES, "s": BAUM1S_CODES}
_CLIP_NAME = re.compile(r"^S(\d{3})_(\d{3})$", re.IGNORECASE)
_COLUMNS = ("Number", "Subject Label", "Clip", "Clip Name", "Emotion", "Emotion Code", "Gender")


class Options(CorpusSettings):
    """What BAUM-1 has to be told."""

    subsets: tuple[str, ...] = Field(("s",), description="`s` (spontaneous), `a` (acted) or both")


@dataclass(frozen=True)
class _Row:
    line: int
    subject: str
    clip: str
    clip_name: str
    emotion: str
    code: str


def read(corpus: Options) -> list[SourceVideo]:
    """One record per clip that is annotated, or filmed, or both, in the chosen subsets."""
    root = require_folder(corpus.root)
    unknown = [subset for subset in corpus.subsets if subset not in _CODES]
    if unknown or not corpus.subsets:
        raise UserError(f"corpus.subsets takes 's' and 'a', not {', '.join(unknown) or 'nothing'}.")
    return [video for subset in corpus.subsets for video in _read_subset(root, subset)]


def _read_subset(root: Path, subset: str) -> list[SourceVideo]:
    folder = _find_videos(root, subset)
    files = _clip_files(folder)
    rows: dict[str, list[_Row]] = defaultdict(list)
    for row in _read_sheet(_find_sheet(root, subset)):
        rows[row.clip_name.upper()].append(row)
    return [
        _source(subset, name, files.get(name, []), rows.get(name, []), folder)
        for name in sorted(files.keys() | rows.keys())
    ]


def _find_videos(root: Path, subset: str) -> Path:
    """The folder of a subset's videos: the root itself, or one or two levels below."""
    pattern = re.compile(rf"^baum-?1{subset}[ _-]*mp4[ _-]*(all)?$", re.IGNORECASE)
    for path in (root, *sorted(root.glob("*/")), *sorted(root.glob("*/*/"))):
        if pattern.match(path.name):
            return path
    raise UserError(
        f"{root} holds no folder such as 'BAUM1{subset}_MP4 - All'; set corpus.root to the folder above it."
    )


def _find_sheet(root: Path, subset: str) -> Path:
    """The annotation sheet, beside the videos or a level above or below the root."""
    pattern = re.compile(rf"^annotations?[ _-]*baum-?1{subset}.*\.(xlsx|csv)$", re.IGNORECASE)
    for folder in (root, *sorted(root.glob("*/")), *sorted(root.glob("*/*/")), root.parent):
        for path in sorted(folder.iterdir(), key=lambda path: path.suffix, reverse=True):
            if pattern.match(path.name):
                return path
    raise UserError(f"{root} holds no labels: 'Annotations_BAUM1{subset}.xlsx' (or .csv) is not there.")


def _clip_files(folder: Path) -> dict[str, list[Path]]:
    files = defaultdict(list)
    for path in sorted(folder.glob("*/*")):
        if is_video(path.name) and not is_of_system(path.parent.name):
            files[plain_name(path.stem).upper()].append(path)
    return files


def _read_sheet(path: Path) -> list[_Row]:
    lines = sheet_lines(path, [name.lower() for name in _COLUMNS])
    header = column_names(lines[0].cells) if lines else []
    missing = [name for name in _COLUMNS[1:6] if name.lower() not in header]
    if missing:
        raise UserError(
            f"{path} has no column {', '.join(missing)} in its first row; it should have {', '.join(_COLUMNS)}."
        )
    columns = [header.index(name.lower()) for name in _COLUMNS[1:6]]
    rows = []
    for number, cells in lines[1:]:
        subject, clip, clip_name, emotion, code = (plain_name(cells[i]) if i < len(cells) else "" for i in columns)
        if clip_name:  # the legend goes on below the last clip
            rows.append(_Row(number, subject, clip, clip_name, emotion, code))
    return rows


def _source(subset: str, name: str, files: list[Path], rows: list[_Row], folder: Path) -> SourceVideo:
    match = _CLIP_NAME.match(name)
    subject = f"baum1/S{match[1]}" if match else ""
    label_raw = rows[0].emotion if rows else ""
    emotion, status, reason = label_status(label_raw)
    conflicts = [problem for row in rows for problem in _contradictions(row, subset)]
    if len({canonical_emotion(row.emotion) for row in rows}) > 1:
        conflicts.append(f"rows {', '.join(str(row.line) for row in rows)} give it different labels")
    if len(files) > 1:
        conflicts.append(f"there are {len(files)} files of it: {', '.join(path.name for path in files)}")
    path = files[0] if files else None
    if not match:
        status, reason = Outcome.LABEL_MISSING, f"{name!r} names no subject (expected S001_001)"
    elif not rows:
        reason = "the sheet has no row for it"
    elif conflicts:
        status, reason = Outcome.LABEL_CONFLICT, "; ".join(conflicts)
    elif path is None and status is Outcome.OK:
        status, reason = Outcome.FILE_MISSING, f"row {rows[0].line} of the sheet names it, but there is no such file"
    elif status is Outcome.OK:
        reason = _remark(rows[0], match[2])
    expected = folder / f"s{match[1]}" / f"{name}.mp4" if match else folder / re.sub(r"[^\w.-]", "_", f"{name}.mp4")
    return SourceVideo(
        f"baum1{subset}/{name}", f"baum1{subset}", path or expected, subject, emotion, label_raw, status, reason
    )


def _contradictions(row: _Row, subset: str) -> list[str]:
    problems = []
    match = _CLIP_NAME.match(row.clip_name)
    if match and whole_number(row.subject) not in (None, int(match[1])):
        problems.append(f"row {row.line} of the sheet gives subject {row.subject} to clip {row.clip_name}")
    if row.code:
        meant = _CODES[subset].get(whole_number(row.code) or 0)
        if meant is None or canonical_emotion(meant) != canonical_emotion(row.emotion):
            problems.append(
                f"row {row.line} of the sheet says {row.emotion!r} but code {row.code} ({meant or 'no such code'})"
            )
    return problems


def _remark(row: _Row, suffix: str) -> str:
    if whole_number(row.clip) not in (None, int(suffix)):
        return f"the sheet's Clip column says {row.clip}; the clip name was used"
    return ""
