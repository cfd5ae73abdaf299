"""What `--output` must never destroy, and what it may replace."""

import os
from pathlib import Path

import pandas as pd
import pytest
from conftest import draw_moving_face, write_images
from matplotlib.figure import Figure

from fer_models.errors import UserError
from tasks.drawing.figures import save_figure
from tasks.inference.table_files import write_table
from tasks.report.outputs import PICTURE, PREDICTIONS, Kind, check_output, output_file

OURS = "video,outcome,message,num_segments,predicted,p_anger\na.mp4,ok,,3,anger,1.0\n"
THEIRS = "path,subject,emotion\na.mp4,anna,anger\n"


def draw(path: Path, **metadata: str) -> Path:
    """A picture that another program made."""
    Figure().savefig(path, format="png", metadata=metadata or None)
    return path


def refused(path: Path, kind: Kind, words: str, inputs: list[Path] | None = None, force: bool = False) -> None:
    content = path.read_bytes() if path.is_file() else b""
    with pytest.raises(UserError, match=words):
        check_output(path, kind, inputs or [], force)
    with pytest.raises(UserError, match=words), output_file(path, kind, inputs or [], force) as temporary:
        temporary.write_text("gone")
    assert (path.read_bytes() if path.is_file() else b"") == content


def test_a_new_name_an_empty_file_and_an_earlier_output_of_ours_are_written(tmp_path: Path) -> None:
    table = tmp_path / "predictions.csv"
    for before in (None, "", OURS):
        if before is not None:
            table.write_text(before)
        with output_file(table, PREDICTIONS) as temporary:
            temporary.write_text(OURS + "more\n")
        assert table.read_text().endswith("more\n")
    picture = save_figure(Figure(), tmp_path / "page.PNG")
    check_output(picture, PICTURE)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_somebody_else_made_needs_force(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(THEIRS)
    picture = draw(tmp_path / "holiday.png")
    named = draw(tmp_path / "named.png", Software="GIMP", Title="fer-pipeline")
    for path, kind in ((labels, PREDICTIONS), (picture, PICTURE), (named, PICTURE)):
        refused(path, kind, "was not made by this command.*--force")
        check_output(path, kind, force=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
@pytest.mark.parametrize("second", ["outcome", "segment", "frame"])
def test_tables_of_every_form_are_known_as_ours(tmp_path: Path, suffix: str, second: str) -> None:
    path = tmp_path / f"table{suffix}"
    for columns, is_ours in ((("video", second), True), (("video", "label"), False)):
        write_table(path, pd.DataFrame([["a.mp4", 1]], columns=columns))
        if is_ours:
            check_output(path, PREDICTIONS)
        else:
            refused(path, PREDICTIONS, "was not made by this command.*--force")


@pytest.mark.parametrize("force", [False, True])
def test_a_file_of_another_kind_stays_whatever_its_name(tmp_path: Path, force: bool) -> None:
    for name, content in (
        ("video.csv", b"\0\0\0\x20ftypisom" + bytes(5000)),
        ("model.csv", b"PK\x03\x04" + bytes(range(256)) * 3),
        ("excel.csv", "path,subject\n".encode("utf-16")),
        ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(100)),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, PREDICTIONS, "holds something else than a table", force=force)
    (tmp_path / "table.png").write_text(OURS)
    refused(tmp_path / "table.png", PICTURE, "holds something else than a picture", force=force)
    for name in ("clip.mp4", "model.keras", "study.yaml", "labels", "x.csv.gz"):
        (tmp_path / name).write_bytes(b"kept")
        refused(tmp_path / name, PREDICTIONS, r"should end in \.csv or \.parquet or \.jsonl", force=force)
        refused(tmp_path / name, PICTURE, r"should end in \.png", force=force)


@pytest.mark.parametrize("force", [False, True])
def test_an_input_is_known_under_every_name(tmp_path: Path, force: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    clip = folder / "clip.csv"  # a suffix proves nothing
    clip.write_text(OURS)
    (tmp_path / "hard.csv").hardlink_to(clip)
    (tmp_path / "soft.csv").symlink_to(clip)
    (tmp_path / "way").symlink_to(folder)
    monkeypatch.chdir(folder)
    for name in (clip, Path("clip.csv"), folder / ".." / "clips" / "clip.csv", tmp_path / "way" / "clip.csv"):
        refused(name, PREDICTIONS, "is one of the inputs", [clip], force)
        refused(clip, PREDICTIONS, "is one of the inputs", [name], force)
    for name in ("hard.csv", "soft.csv"):
        refused(tmp_path / name, PREDICTIONS, "is one of the inputs", [clip], force)
        refused(clip, PREDICTIONS, "is one of the inputs", [tmp_path / name], force)


@pytest.mark.parametrize("force", [False, True])
def test_images_of_a_video_are_inputs_and_no_picture_comes_among_them(tmp_path: Path, force: bool) -> None:
    folder = tmp_path / "clip"
    write_images(folder, draw_moving_face(1.0, 3))
    for source in (folder, folder / "*.png"):
        for name in ("00000002.png", "00000009.png", "page.png"):
            refused(folder / name, PICTURE, "is one of the inputs", [source], force)
    check_output(tmp_path / "page.png", PICTURE, [folder])


def test_folders_devices_and_places_that_are_not_there_are_no_outputs(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("folder.csv", "pipe.csv"):
        with pytest.raises(UserError, match="exists and is not a file"):
            check_output(tmp_path / name, PREDICTIONS, force=True)
    with pytest.raises(UserError, match="no folder"):
        check_output(tmp_path / "none" / "a.csv", PREDICTIONS)
    with pytest.raises(UserError, match=r"should end in \.csv or \.parquet or \.jsonl"):
        check_output(Path("/dev/stdout"), PREDICTIONS)
    check_output(None, PREDICTIONS)


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    table = tmp_path / "predictions.csv"
    table.write_text(OURS)
    with pytest.raises(UnicodeEncodeError), output_file(table, PREDICTIONS) as temporary:
        temporary.write_text("half\udcff", encoding="utf-8")
    assert table.read_text() == OURS
    assert list(tmp_path.iterdir()) == [table]
