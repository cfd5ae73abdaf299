"""The adapter for a CSV or Parquet table of paths, subjects and classes."""

from pathlib import Path

import pandas as pd
import pytest

from fer_models.errors import UserError
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.adapters.table import read
from tasks.outcomes import Outcome


def settings(path: Path) -> CorpusSettings:
    return CorpusSettings(adapter="table", root=path)


def read_csv(folder: Path, text: str) -> list[SourceVideo]:
    (folder / "videos.csv").write_text(text, encoding="utf-8")
    return read(settings(folder / "videos.csv"))


def read_parquet(folder: Path, **columns: list[object]) -> list[SourceVideo]:
    pd.DataFrame(columns).to_parquet(folder / "videos.parquet")
    return read(settings(folder / "videos.parquet"))


def test_paths_are_relative_to_the_table(tmp_path: Path) -> None:
    (video,) = read_csv(tmp_path, "path,subject,emotion\nclips/a.mp4,anna,Happy\n")
    path = tmp_path / "clips" / "a.mp4"
    assert video == SourceVideo("clips/a.mp4", "table", path, "anna", "happiness", "Happy")


def test_an_absolute_path_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "a.mp4"
    (tmp_path / "tables").mkdir()
    (video,) = read_csv(tmp_path / "tables", f"path,subject,emotion\n{elsewhere},anna,fear\n")
    assert video.path == elsewhere


def test_a_path_may_be_a_folder_or_a_pattern_of_images(tmp_path: Path) -> None:
    videos = read_csv(tmp_path, "path,subject,emotion\nclips/a/,anna,fear\nclips/S010_004_*.png,ben,fear\n")
    assert [video.path for video in videos] == [tmp_path / "clips" / "a", tmp_path / "clips" / "S010_004_*.png"]
    assert [video.status for video in videos] == [Outcome.OK, Outcome.OK]


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    from_csv = read_csv(tmp_path, "emotion,note,path,subject\nhappy,x,a.mp4,1\nsad,,b.mp4,2\nhappy,,c.mp4,1\n")
    from_parquet = read_parquet(
        tmp_path, path=["a.mp4", "b.mp4", "c.mp4"], subject=[1, 2, 1], emotion=["happy", "sad", "happy"]
    )
    assert from_csv == from_parquet
    assert [(video.subject, video.emotion) for video in from_csv] == [
        ("1", "happiness"),
        ("2", "sadness"),
        ("1", "happiness"),
    ]


def test_a_subject_keeps_its_leading_zeros(tmp_path: Path) -> None:
    (video,) = read_csv(tmp_path, "path,subject,emotion\na.mp4, 007,anger\n")
    assert video.subject == "007"


@pytest.mark.parametrize(
    ("row", "status", "word"),
    [
        ("a.mp4,,anger", Outcome.LABEL_MISSING, "no subject"),
        ("a.mp4,anna,", Outcome.LABEL_MISSING, "no label"),
        ("a.mp4,anna", Outcome.LABEL_MISSING, "no label"),
        ("a.mp4,anna,boredom", Outcome.OK, ""),
    ],
)
def test_what_cannot_be_used_keeps_its_row(tmp_path: Path, row: str, status: Outcome, word: str) -> None:
    (video,) = read_csv(tmp_path, f"path,subject,emotion\n{row}\n")
    assert video.status is status
    assert word in video.reason


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no column path, emotion; .* and has file, subject, label"):
        read_csv(tmp_path, "file,subject,label\na.mp4,anna,anger\n")


@pytest.mark.parametrize("name", ["videos.csv", "videos.parquet"])
def test_a_table_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"no table .*{name}.*corpus.root"):
        read(settings(tmp_path / name))


@pytest.mark.parametrize(("name", "content"), [("t.csv", b""), ("t.csv", b"path\xff\n"), ("t.parquet", b"PAR1")])
def test_a_table_that_cannot_be_read(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read as a table|save it as CSV UTF-8"):
        read(settings(tmp_path / name))


def test_an_empty_table_has_no_videos(tmp_path: Path) -> None:
    assert read_csv(tmp_path, "path,subject,emotion\n") == []


@pytest.mark.parametrize(("subject", "emotion"), [(None, "anger"), ("anna", None)])
def test_an_empty_parquet_cell_is_a_missing_label(tmp_path: Path, subject: str | None, emotion: str | None) -> None:
    videos = read_parquet(tmp_path, path=["a.mp4", "b.mp4"], subject=["ben", subject], emotion=["fear", emotion])
    assert videos[1].status is Outcome.LABEL_MISSING


def test_a_comma_at_the_end_of_a_row_moves_no_column(tmp_path: Path) -> None:
    (video,) = read_csv(tmp_path, "path,subject,emotion\na.mp4,anna,anger,\n")
    assert (video.video_id, video.subject, video.emotion) == ("a.mp4", "anna", "anger")


def test_a_path_of_windows_is_found(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("clips/a.mp4", "clips/b_1.png", "odd\\name.mp4"):
        (tmp_path / name).touch()
    rows = "clips\\a.mp4,anna,fear\nclips\\b_*.png,anna,fear\nodd\\name.mp4,anna,fear\n.\\clips\\a.mp4,anna,fear\n"
    videos = read_csv(tmp_path, f"path,subject,emotion\n{rows}")
    assert [video.video_id for video in videos] == ["clips/a.mp4", "clips/b_*.png", "odd\\name.mp4", "./clips/a.mp4"]


def test_a_path_in_other_unicode_than_the_disk_is_found(tmp_path: Path) -> None:
    for form in ("Ju\u0308rgen.mp4", "Rene\u0301.mp4", "Ren\u00e9.mp4"):
        (tmp_path / form).touch()
    videos = read_csv(
        tmp_path, "path,subject,emotion\nJ\u00fcrgen.mp4,a,fear\nRen\u00e9.mp4,b,fear\nRene\u0301.mp4,c,fear\n"
    )
    assert [video.path.name for video in videos] == ["Ju\u0308rgen.mp4", "Ren\u00e9.mp4", "Rene\u0301.mp4"]


def test_a_path_of_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for name in ("home/a.mp4", "~b.mp4"):
        (tmp_path / name).touch()
    videos = read_csv(tmp_path, "path,subject,emotion\n~/a.mp4,anna,fear\n~b.mp4,anna,fear\n~nobody/c.mp4,anna,fear\n")
    assert [video.path for video in videos] == [tmp_path / name for name in ("home/a.mp4", "~b.mp4", "~nobody/c.mp4")]


def test_a_row_without_a_path_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"videos\.csv has no path in line 5\."):
        read_csv(tmp_path, "path,subject,emotion\na.mp4,anna,fear\n\n\n,anna,fear\n")


@pytest.mark.parametrize("nobody", ["nan", "NaN", "None", "#N/A", "\u200b", "\u00a0"])
def test_what_programs_write_for_nothing_is_no_subject(tmp_path: Path, nobody: str) -> None:
    (video,) = read_csv(tmp_path, f"path,subject,emotion\na.mp4,{nobody},anger\n")
    assert (video.subject, video.status) == ("", Outcome.LABEL_MISSING)


def test_names_and_labels_are_plain(tmp_path: Path) -> None:
    (video,) = read_csv(tmp_path, "path,subject,emotion\na.mp4,\uff2a\u200bo\u00a0 se\u0301,Ha\u00adppy\n")
    assert (video.subject, video.emotion, video.label_raw) == ("Jo s\u00e9", "happiness", "Ha\u00adppy")
