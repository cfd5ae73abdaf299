"""The BAUM-1 adapter on stand-ins: the real names, sheets and quirks, with empty files for videos."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from openpyxl import Workbook

from fer_models.errors import UserError
from fer_models.labels import EMOTIONS
from tasks.corpus.adapters.baum1 import BAUM1A_CODES, BAUM1S_CODES, Options, read
from tasks.corpus.adapters.source import SourceVideo
from tasks.outcomes import Outcome

HEADER = ("Number", "Subject Label", "Clip", "Clip Name", "Emotion", "Emotion Code", "Gender")
CODES = {"a": BAUM1A_CODES, "s": BAUM1S_CODES}
Row = tuple[object, object, str, str, object]  # subject, clip, clip name, emotion, code


def clip_row(name: str, emotion: str, subset: str = "s", **other: object) -> Row:
    """A row that contradicts nothing, except where `other` says so."""
    code = next((code for code, word in CODES[subset].items() if word == emotion), None)
    values: dict[str, object] = {"subject": int(name[1:4]), "clip": int(name[5:]), "code": code} | other
    return values["subject"], values["clip"], name, emotion, values["code"]


def sheet_cells(rows: Sequence[Row], subset: str = "s", header: Sequence[str] = HEADER) -> list[list[object]]:
    """The cells A-K of a sheet: data in A-G, the legend in I-K, which goes on below the last row of data."""
    legend = list(enumerate(CODES[subset].values(), start=1))
    cells: list[list[object]] = [[*header, None, "Emotion", "Emotion Code", "Total"]]
    for number in range(max(len(rows), len(legend))):
        data = [number + 1, *rows[number], "Female"] if number < len(rows) else [None] * 7
        code, word = legend[number] if number < len(legend) else (None, None)
        cells.append([*data, None, word, code, 11 if word else None])
    return cells


def write_sheet(path: Path, cells: Iterable[Sequence[object]]) -> None:
    book = Workbook()
    book.active.title = "Sheet1"
    for row in cells:
        book.active.append(list(row))
    book.save(path)


def write_videos(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        path = folder / f"s{name[1:4]}" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    folder.mkdir(parents=True, exist_ok=True)


def make_copy(root: Path, files: Iterable[str], rows: Sequence[Row], subset: str = "s", folder: str = "") -> Path:
    """A copy of one subset; returns its folder of videos."""
    videos = root / (folder or f"BAUM1{subset}_MP4 - All")
    write_videos(videos, files)
    write_sheet(root / f"Annotations_BAUM1{subset}.xlsx", sheet_cells(rows, subset))
    return videos


def settings(root: Path, *subsets: str, emotions: tuple[str, ...] = EMOTIONS) -> Options:
    return Options(adapter="baum1", root=root, subsets=subsets or ("s",), emotions=emotions)


def read_one(root: Path, *subsets: str, emotions: tuple[str, ...] = EMOTIONS) -> SourceVideo:
    (video,) = read(settings(root, *subsets, emotions=emotions))
    return video


@pytest.mark.parametrize("inside", [False, True], ids=["root-above", "root-is-the-videos"])
@pytest.mark.parametrize("spelling", ["BAUM1{}_MP4 - All", "BAUM1{}_MP4_all"])
@pytest.mark.parametrize("subset", ["a", "s"])
def test_every_spelling_of_the_roots_is_read(tmp_path: Path, subset: str, spelling: str, inside: bool) -> None:
    rows = [clip_row("S001_001", "Anger", subset)]
    videos = make_copy(tmp_path, ["S001_001"], rows, subset, spelling.format(subset))
    video = read_one(videos if inside else tmp_path, subset)
    assert video == SourceVideo(
        f"baum1{subset}/S001_001",
        f"baum1{subset}",
        videos / "s001" / "S001_001.mp4",
        "baum1/S001",
        "anger",
        "Anger",
    )


def test_the_sheet_may_lie_among_the_videos(tmp_path: Path) -> None:
    videos = make_copy(tmp_path, ["S001_001"], [clip_row("S001_001", "Fear")])
    (tmp_path / "Annotations_BAUM1s.xlsx").rename(videos / "Annotations_BAUM1s.xlsx")
    assert read_one(videos).emotion == read_one(tmp_path).emotion == "fear"


def test_subtitles_beside_a_clip_are_no_clips(tmp_path: Path) -> None:
    videos = make_copy(tmp_path, ["S001_001"], [clip_row("S001_001", "Anger")])
    (videos / "s001" / "S001_001.srt").touch()
    (videos / "s001" / "S001_002.srt").touch()
    assert read_one(tmp_path).path.suffix == ".mp4"


def test_a_name_in_both_subsets_is_two_videos_of_one_subject(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [clip_row("S001_001", "Anger", "a")], "a")
    make_copy(tmp_path, ["S001_001"], [clip_row("S001_001", "Sadness", "s")], "s")
    videos = {video.video_id: video for video in read(settings(tmp_path, "s", "a"))}
    assert sorted(videos) == ["baum1a/S001_001", "baum1s/S001_001"]
    assert {video.subject for video in videos.values()} == {"baum1/S001"}
    assert (videos["baum1a/S001_001"].emotion, videos["baum1s/S001_001"].emotion) == ("anger", "sadness")
    assert len({video.path for video in videos.values()}) == 2


def test_only_the_chosen_subset_is_read(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [clip_row("S001_001", "Anger", "a")], "a")
    make_copy(tmp_path, ["S002_001"], [clip_row("S002_001", "Anger", "s")], "s")
    assert read_one(tmp_path, "a").video_id == "baum1a/S001_001"


def test_the_legend_is_no_data(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [clip_row("S001_001", "Happiness")])
    video = read_one(tmp_path)
    assert (video.emotion, video.status, video.reason) == ("happiness", Outcome.OK, "")


@pytest.mark.parametrize("subset", ["a", "s"])
def test_every_code_agrees_with_its_label(tmp_path: Path, subset: str) -> None:
    words = list(CODES[subset].values())
    names = [f"S001_{number:03d}" for number in range(1, len(words) + 1)]
    rows = [clip_row(name, word, subset) for name, word in zip(names, words, strict=True)]
    make_copy(tmp_path, names, rows, subset)
    videos = read(settings(tmp_path, subset, emotions=tuple(word.lower() for word in words)))
    assert [(video.emotion, video.status) for video in videos] == [(word.lower(), Outcome.OK) for word in words]


def test_a_misspelt_interest_is_interest(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [(1, 1, "S001_001", "Intrest", 6)], "a")
    video = read_one(tmp_path, "a", emotions=("anger", "interest"))
    assert (video.emotion, video.label_raw, video.status) == ("interest", "Intrest", Outcome.OK)


def test_the_clip_name_wins_over_the_clip_column(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S019_004"], [clip_row("S019_004", "Anger", clip=5)])
    video = read_one(tmp_path)
    assert (video.video_id, video.subject, video.status) == ("baum1s/S019_004", "baum1/S019", Outcome.OK)
    assert "Clip column says 5" in video.reason


def test_a_clip_of_another_subject_is_a_conflict(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S019_023"], [clip_row("S019_023", "Anger", "a", subject=20)], "a")
    video = read_one(tmp_path, "a")
    assert (video.status, video.subject) == (Outcome.LABEL_CONFLICT, "baum1/S019")
    assert "row 2" in video.reason
    assert "subject 20" in video.reason
    assert "S019_023" in video.reason


def test_one_contradicting_row_of_two_is_a_conflict(tmp_path: Path) -> None:
    rows = [clip_row("S019_023", "Anger", "a"), clip_row("S019_023", "Anger", "a", subject=20)]
    make_copy(tmp_path, ["S019_023"], rows, "a")
    assert read_one(tmp_path, "a").status is Outcome.LABEL_CONFLICT


def test_rows_with_different_labels_are_a_conflict(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [clip_row("S001_001", "Anger"), clip_row("S001_001", "Fear")])
    video = read_one(tmp_path)
    assert video.status is Outcome.LABEL_CONFLICT
    assert "rows 2, 3" in video.reason


@pytest.mark.parametrize(("code", "meant"), [(10, "Sadness"), (99, "no such code")])
def test_a_label_that_its_code_contradicts_is_a_conflict(tmp_path: Path, code: int, meant: str) -> None:
    make_copy(tmp_path, ["S015_007"], [clip_row("S015_007", "Happiness", code=code)])
    video = read_one(tmp_path)
    assert video.status is Outcome.LABEL_CONFLICT
    assert "'Happiness'" in video.reason
    assert f"code {code} ({meant})" in video.reason


def test_an_annotated_file_that_is_not_there(tmp_path: Path) -> None:
    videos = make_copy(tmp_path, [], [clip_row("S001_001", "Anger")])
    video = read_one(tmp_path)
    assert (video.status, video.emotion) == (Outcome.FILE_MISSING, "anger")
    assert video.path == videos / "s001" / "S001_001.mp4"
    assert "row 2" in video.reason


def test_a_file_without_a_row(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001", "S001_002"], [clip_row("S001_001", "Anger")])
    video = read(settings(tmp_path))[1]
    assert (video.video_id, video.status, video.emotion) == ("baum1s/S001_002", Outcome.LABEL_MISSING, "")
    assert "no row" in video.reason


def test_a_file_whose_name_names_no_subject(tmp_path: Path) -> None:
    videos = make_copy(tmp_path, [], [])
    (videos / "s001").mkdir()
    (videos / "s001" / "holiday.mp4").touch()
    video = read_one(tmp_path)
    assert (video.status, video.subject) == (Outcome.LABEL_MISSING, "")
    assert "names no subject" in video.reason


def test_a_class_outside_the_study_is_for_the_study_to_judge(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [clip_row("S001_001", "Thinking")])
    video = read_one(tmp_path)
    assert (video.status, video.emotion) == (Outcome.OK, "thinking")


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_csv_export_says_the_same_as_the_sheet(tmp_path: Path, delimiter: str) -> None:
    rows = [
        clip_row("S001_001", "Anger"),
        clip_row("S001_002", "Boredom"),
        clip_row("S015_007", "Happiness", code=10),
        clip_row("S019_004", "Fear", clip=5),
        clip_row("S020_001", "Disgust"),
    ]
    make_copy(tmp_path, ["S001_001", "S001_002", "S015_007", "S019_004", "S021_001"], rows)
    from_sheet = read(settings(tmp_path))
    (tmp_path / "Annotations_BAUM1s.xlsx").unlink()
    with (tmp_path / "Annotations_BAUM1s.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(sheet_cells(rows))
    assert read(settings(tmp_path)) == from_sheet
    assert [video.status for video in from_sheet] == [
        Outcome.OK,
        Outcome.OK,
        Outcome.LABEL_CONFLICT,
        Outcome.OK,
        Outcome.FILE_MISSING,
        Outcome.LABEL_MISSING,
    ]


def test_a_csv_export_with_decimal_points(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [])
    (tmp_path / "Annotations_BAUM1s.xlsx").unlink()
    text = ",".join(HEADER) + "\n1.0,1.0,1.0,S001_001,Anger,1.0,Female\n"
    (tmp_path / "Annotations_BAUM1s.csv").write_text(text, encoding="utf-8")
    assert read_one(tmp_path).status is Outcome.OK


def test_two_files_of_one_clip_are_reported(tmp_path: Path) -> None:
    videos = make_copy(tmp_path, ["S001_001"], [clip_row("S001_001", "Anger")])
    (videos / "s001" / "S001_001.avi").touch()
    found = read(settings(tmp_path))
    assert len(found) == 2 or found[0].reason


def refused(root: Path, *subsets: str) -> str:
    """The message of the `UserError`, which is one line."""
    with pytest.raises(UserError) as caught:
        read(settings(root, *subsets))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_no_sheet(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [])
    (tmp_path / "Annotations_BAUM1s.xlsx").unlink()
    assert "'Annotations_BAUM1s.xlsx' (or .csv) is not there" in refused(tmp_path)


def test_the_sheet_of_the_other_subset_does_not_count(tmp_path: Path) -> None:
    videos = make_copy(tmp_path, ["S001_001"], [])
    (tmp_path / "Annotations_BAUM1s.xlsx").rename(tmp_path / "Annotations_BAUM1a.xlsx")
    assert "Annotations_BAUM1s.xlsx" in refused(videos)


def test_a_sheet_without_a_column_names_it(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [])
    header = [name for name in HEADER if name not in ("Clip Name", "Emotion Code")]
    write_sheet(tmp_path / "Annotations_BAUM1s.xlsx", [header, [1, 1, 1, "Anger", "Female"]])
    assert "has no column Clip Name, Emotion Code in its first row" in refused(tmp_path)


def test_an_empty_sheet_names_the_columns(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [])
    write_sheet(tmp_path / "Annotations_BAUM1s.xlsx", [])
    assert "has no column Subject Label" in refused(tmp_path)


def test_a_damaged_sheet(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [clip_row("S001_001", "Anger")])
    sheet = tmp_path / "Annotations_BAUM1s.xlsx"
    sheet.write_bytes(sheet.read_bytes()[:1000])
    message = refused(tmp_path)
    assert str(sheet) in message
    assert "cannot be read as a sheet" in message


def test_no_folder_of_videos(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [])
    assert "holds no folder such as 'BAUM1a_MP4 - All'" in refused(tmp_path, "a")


def test_no_root(tmp_path: Path) -> None:
    assert "set corpus.root" in refused(tmp_path / "nowhere")


def test_an_unknown_subset(tmp_path: Path) -> None:
    make_copy(tmp_path, ["S001_001"], [])
    assert "not x" in refused(tmp_path, "s", "x")
