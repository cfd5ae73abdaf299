"""Each subject under one name, each file once, whatever the corpus calls them."""

import os
import unicodedata
from pathlib import Path

import pytest

from fer_models.errors import UserError
from tasks.config.resolving import resolve_settings
from tasks.config.settings import CorpusSettings
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.manifest import build_manifest, check_labels
from tasks.corpus.reading import read_corpus
from tasks.outcomes import Outcome
from tasks.preparation.scan import scan_corpus

FAULTS = Path(os.environ.get("FER_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "faults"


def table(folder: Path, *rows: str, header: str = "path,subject,emotion") -> CorpusSettings:
    (folder / "videos.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return CorpusSettings(adapter="table", root=folder / "videos.csv")


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def read_folder(root: Path) -> list[SourceVideo]:
    return read_corpus(CorpusSettings(adapter="folder", root=root))


def only(videos: list[SourceVideo]) -> SourceVideo:
    (video,) = videos
    return video


def test_numbers_are_subjects_by_their_value_when_all_are_numbers(tmp_path: Path) -> None:
    rows = [f"{i}.mp4,{name},fear" for i, name in enumerate(("1", "1.0", "01", "\uff11", "2", "010"))]
    assert [video.subject for video in read_corpus(table(tmp_path, *rows))] == ["1", "1", "1", "1", "2", "010"]
    rows[-1] = "5.mp4,S1.0,fear"
    names = [video.subject for video in read_corpus(table(tmp_path, *rows))]
    assert names == ["1", "1.0", "01", "1", "2", "S1.0"], "they may be something else than numbers"


@pytest.mark.parametrize(
    ("names", "subject"),
    [
        (("Jose\u0301", "Jos\u00e9"), "Jos\u00e9"),
        (("Anna ", "An\u200bna", "\u202aAnna", "Anna\u00a0"), "Anna"),
        (("Anna  B", "Anna\u3000B"), "Anna B"),
        (("\uff33\uff10\uff11", "S01"), "S01"),
        (("1", "01"), "1"),
    ],
)
def test_folders_of_one_subject(tmp_path: Path, names: tuple[str, ...], subject: str) -> None:
    make(tmp_path, *(f"{emotion}/{name}/a.mp4" for name in names for emotion in ("fear", "anger")))
    videos = read_folder(tmp_path)
    assert len(videos) == 2 * len(names)
    assert {(video.subject, video.status) for video in videos} == {(subject, Outcome.OK)}
    assert all(video.path.is_file() for video in videos), "paths stay as they are"


def test_letter_case_makes_two_subjects(tmp_path: Path) -> None:
    make(tmp_path, "fear/Anna/a.mp4", "fear/anna/a.mp4")
    assert [video.subject for video in read_folder(tmp_path)] == ["Anna", "anna"]


def test_folders_of_one_class(tmp_path: Path) -> None:
    names = ("fro\u0308hlich", "fr\u00f6hlich", "Fr\u00f6hlich ", "FR\u00d6HLICH\u200b")
    make(tmp_path, *(f"{name}/{i}/a.mp4" for i, name in enumerate(names)), "traurig/1/a.mp4")
    for typed in ("fr\u00f6hlich", "fro\u0308hlich"):
        settings = resolve_settings(
            "sample",
            overrides={"corpus.root": tmp_path, "corpus.adapter": "folder", "corpus.emotions": f"[{typed}, traurig]"},
        )
        assert settings.corpus.emotions == ("fr\u00f6hlich", "traurig")
        assert [video.status for video in read_corpus(settings.corpus)] == [Outcome.OK] * 5


def test_classes_that_are_numbers(tmp_path: Path) -> None:
    corpus = table(tmp_path, "a.mp4,x,1", "b.mp4,x,1.0", "c.mp4,x,2", "d.mp4,x,02")
    settings = resolve_settings(overrides={"corpus.emotions": "[1, 2]"})
    corpus = corpus.model_copy(update={"emotions": settings.corpus.emotions})
    assert [(video.emotion, video.status) for video in read_corpus(corpus)] == [
        ("1", Outcome.OK),
        ("1", Outcome.OK),
        ("2", Outcome.OK),
        ("2", Outcome.OK),
    ]


@pytest.mark.parametrize(
    "path",
    [
        "./clips/a.mp4",
        "clips//a.mp4",
        "clips/../clips/a.mp4",
        "{}/clips/a.mp4",
        "link.mp4",
        "hard.mp4",
        "to/a.mp4",
        "clips\\a.mp4",
    ],
)
def test_one_file_under_two_paths(tmp_path: Path, path: str) -> None:
    make(tmp_path, "clips/a.mp4", "clips/b.mp4")
    (tmp_path / "link.mp4").symlink_to("clips/a.mp4")
    (tmp_path / "to").symlink_to(tmp_path / "clips")
    (tmp_path / "hard.mp4").hardlink_to(tmp_path / "clips" / "a.mp4")
    path = path.format(tmp_path)
    shown = path.replace("\\", "/")
    first, other = read_corpus(table(tmp_path, "clips/a.mp4,anna,happy", "clips/b.mp4,ben,fear", f"{path},anna,JOY"))
    also = "" if shown == "clips/a.mp4" else f", also as {shown}"
    assert (first.status, first.reason) == (Outcome.OK, f"it is listed 2 times{also}")
    assert (other.status, other.reason) == (Outcome.OK, "")
    for row, told in (
        (f"{path},anna,sad", "sad, anna"),
        (f"{path},Anna,happy", "happy, Anna"),
        (f"{path},,happy", "happy, no person"),
    ):
        video = only(read_corpus(table(tmp_path, "clips/a.mp4,anna,happy", row)))
        assert (video.video_id, video.status) == ("clips/a.mp4", Outcome.LABEL_CONFLICT)
        assert (
            video.reason == f"it is listed 2 times with different values: clips/a.mp4 (happy, anna), {shown} ({told})"
        )


def test_what_is_alike_is_not_one_file(tmp_path: Path) -> None:
    make(tmp_path, "A.mp4", "a.mp4", "b.mp4", "c/b.mp4")
    for name in ("b.mp4", "c/b.mp4"):
        (tmp_path / name).write_text("a copy")
    videos = read_corpus(table(tmp_path, *(f"{name},anna,fear" for name in ("A.mp4", "a.mp4", "b.mp4", "c/b.mp4"))))
    assert [video.reason for video in videos] == [""] * 4


def test_a_file_that_is_missing_is_one_too(tmp_path: Path) -> None:
    video = only(read_corpus(table(tmp_path, "a.mp4,anna,happy", "./a.mp4,anna,fear", "b/../a.mp4,anna,fear")))
    assert video.status is Outcome.LABEL_CONFLICT


def test_images_of_one_video_under_several_patterns(tmp_path: Path) -> None:
    make(tmp_path, *(f"clip/a{number}.png" for number in (1, 2)), "clip/b.txt")
    rows = ("clip,anna,fear", "clip/,anna,fear", "clip/a*.png,anna,fear", "clip/A*.png,anna,anger", "./clip,anna,fear")
    video = only(read_corpus(table(tmp_path, *rows)))
    assert (video.status, video.video_id) == (Outcome.LABEL_CONFLICT, "clip")


def test_links_of_a_folder_are_no_further_videos(tmp_path: Path) -> None:
    make(tmp_path, "fear/anna/a.mp4", "fear/ben/a.mp4", "anger/anna/b.mp4")
    (tmp_path / "fear" / "anna" / "again.mp4").symlink_to("a.mp4")
    (tmp_path / "anger" / "ben").symlink_to(tmp_path / "fear" / "ben")
    videos = {video.video_id: video for video in read_folder(tmp_path)}
    assert {name: video.status for name, video in videos.items()} == {
        "anger/anna/b.mp4": Outcome.OK,
        "anger/ben/a.mp4": Outcome.LABEL_CONFLICT,
        "fear/anna/a.mp4": Outcome.OK,
    }
    assert videos["fear/anna/a.mp4"].reason == "it is listed 2 times, also as fear/anna/again.mp4"


def test_a_remark_names_no_endless_list(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    rows = [f"{'./' * number}a.mp4,anna,fear" for number in range(9)]
    assert only(read_corpus(table(tmp_path, *rows))).reason.endswith(", ./././././a.mp4 and 3 more")


@pytest.mark.skipif(not FAULTS.is_dir(), reason="the faulty inputs are not here")
@pytest.mark.parametrize(
    ("name", "conflicts", "remarks"),
    [
        ("blank_lines_row_number.csv", [], []),
        ("excel_blank_rows.csv", [], []),
        ("header_case_and_spaces.csv", [], []),
        ("labels_nfd.csv", [], []),
        ("same_file_two_path_spellings.csv", ["clips/v00.mp4"], []),
        ("same_path_same_label_two_spellings.csv", [], ["clips/v00.mp4", "clips/v01.mp4", "clips/v02.mp4"]),
        ("subjects_1_and_1.0.csv", [], []),
        ("windows_paths.csv", [], []),
    ],
)
def test_the_faulty_tables_give_sixteen_videos_of_four_subjects(
    tmp_path: Path, name: str, conflicts: list[str], remarks: list[str]
) -> None:
    files = [f"clips/v{number:02d}.mp4" for number in range(16)]
    make(tmp_path, *files)
    (tmp_path / name).write_bytes((FAULTS / name).read_bytes())
    classes = ("fr\u00f6hlich", "traurig") if name == "labels_nfd.csv" else ("happiness", "sadness")
    corpus = CorpusSettings(adapter="table", root=tmp_path / name, emotions=classes)
    manifest = build_manifest(corpus, tmp_path / "manifest.parquet")
    check_labels(manifest, classes)
    assert manifest["video_id"].tolist() == files
    assert sorted(manifest["subject"].unique()) == ["1", "2", "3", "4"]
    assert manifest.loc[manifest["status"] == Outcome.LABEL_CONFLICT, "video_id"].tolist() == conflicts
    assert manifest.loc[manifest["reason"] != "", "video_id"].tolist() == conflicts + remarks


def test_what_labels_there_are_is_said(tmp_path: Path) -> None:
    make(tmp_path, *(f"{number}.mp4" for number in range(4)))
    rows = ("0.mp4,a,Fro\u0308lich", "1.mp4,b,traurig", "2.mp4,c,traurig", "3.mp4,d,")
    corpus = table(tmp_path, *rows).model_copy(update={"emotions": ("fr\u00f6hlich", "traurig")})
    manifest = build_manifest(corpus, tmp_path / "manifest.parquet")
    with pytest.raises(UserError, match=r"No video is labelled fröhlich \(the labels are: traurig 2, frölich 1\)"):
        check_labels(manifest, corpus.emotions)
    corpus = corpus.model_copy(update={"emotions": ("x", "y")})
    manifest = build_manifest(corpus, tmp_path / "manifest.parquet")
    with pytest.raises(
        UserError, match=r"None of the 4 videos can be used; .*\(the labels are: traurig 2, frölich 1\)\."
    ):
        check_labels(manifest, corpus.emotions)


def test_names_and_labels_that_look_alike_are_said_before_anything_is_decoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        f"{number}.mp4,{name},{label}"
        for number, (name, label) in enumerate(
            [("Anna", "very happy"), ("anna", "sad"), ("ben", "very_happy"), ("carl", "fear"), ("dora", "sad")]
        )
    ]
    make(tmp_path, *(f"{number}.mp4" for number in range(5)))
    corpus = table(tmp_path, *rows)
    given = {"corpus.adapter": "table", "corpus.root": corpus.root, "corpus.emotions": "[sad, very happy]"}
    scan_corpus(resolve_settings(overrides={**given, "data_root": tmp_path / "data"}))
    told = capsys.readouterr().err
    assert "These names may mean one person: 'Anna' and 'anna'." in told
    assert "The label 'very_happy' (1x) looks like the class 'very happy' and is not taken for it" in told
    assert not (tmp_path / "data" / "prepared").exists()


def test_a_file_that_grows_is_of_the_subject_as_spelled_now(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.mp4")
    corpus = table(tmp_path, "a.mp4,1.0,fear", "b.mp4,2.0,fear")
    before = build_manifest(corpus, tmp_path / "manifest.parquet")
    before.assign(subject=["1.0", "2.0"]).to_parquet(tmp_path / "manifest.parquet")
    os.utime(tmp_path / "a.mp4", (1e9, 1e9))
    (tmp_path / "b.mp4").write_text("half")
    now = build_manifest(corpus, tmp_path / "manifest.parquet", settle_s=60)
    assert now["subject"].tolist() == ["1", "2"]
    assert now["sha256"].tolist() == before["sha256"].tolist()


def test_a_path_of_windows_that_is_not_there_is_told_from_others(tmp_path: Path) -> None:
    corpus = table(tmp_path, "C:\\clips\\a.mp4,anna,fear", "b.mp4,ben,fear")
    reasons = build_manifest(corpus, tmp_path / "manifest.parquet")["reason"]
    assert "write its path with /" in reasons[0]
    assert reasons[1] == "there is no such file"


def test_a_name_stays_the_same_however_often_it_is_read(tmp_path: Path) -> None:
    """What a manifest holds is plain already."""
    make(tmp_path, "Fe\u200bar/Jose\u0301 /a.mp4")
    manifest = build_manifest(CorpusSettings(adapter="folder", root=tmp_path), tmp_path / "data" / "manifest.parquet")
    row = manifest.iloc[0]
    assert (row["subject"], row["emotion"]) == ("Jos\u00e9", "fear")
    assert row["video_id"] == "Fe\u200bar/Jose\u0301 /a.mp4"
    assert not unicodedata.is_normalized("NFC", row["uri"])
