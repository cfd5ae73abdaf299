"""The manifest names every video, and hashes a file only when it is new or changed."""

import hashlib
import os
from pathlib import Path

import pandas as pd
import pytest

from fer_models.errors import UserError
from tasks.config.settings import CorpusSettings
from tasks.corpus import manifest
from tasks.corpus.manifest import SCHEMA, build_manifest, check_labels, read_manifest

CONTENTS = {"anger/anna/1.mp4": b"one", "fear/ben/1.mp4": b"two", "boredom/anna/1.mp4": b"three", "loose.mp4": b"four"}


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusSettings:
    """A folder corpus: two good videos, one outside the classes, one without a label."""
    for name, content in CONTENTS.items():
        write(tmp_path / "videos" / name, content)
    return CorpusSettings(adapter="folder", root=tmp_path / "videos")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "manifest.parquet"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are hashed from now on."""
    names: list[str] = []
    original = manifest.content_sha256

    def count(path: Path) -> str:
        names.append("/".join(path.parts[-3:]))
        return original(path)

    monkeypatch.setattr(manifest, "content_sha256", count)
    return names


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def row_of(table: pd.DataFrame, video_id: str) -> pd.Series:
    return table.set_index("video_id").loc[video_id]


def test_every_video_has_a_row_with_its_content(corpus: CorpusSettings, target: Path) -> None:
    table = build_manifest(corpus, target)
    assert table["video_id"].tolist() == sorted(CONTENTS)
    for video_id, content in CONTENTS.items():
        row = row_of(table, video_id)
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert row["size_bytes"] == len(content)
        assert Path(row["uri"]) == corpus.root / video_id
        assert row["dataset"] == "folder"
    good = row_of(table, "anger/anna/1.mp4")
    assert good[["subject", "emotion", "label_raw", "status", "reason"]].tolist() == [
        "anna",
        "anger",
        "anger",
        "ok",
        "",
    ]
    statuses = dict(zip(table["video_id"], table["status"], strict=True))
    assert (statuses["boredom/anna/1.mp4"], statuses["loose.mp4"]) == ("ok", "label_missing")


def test_what_is_written_is_what_is_returned(corpus: CorpusSettings, target: Path) -> None:
    table = build_manifest(corpus, target)
    assert list(table.columns) == SCHEMA.names
    pd.testing.assert_frame_equal(read_manifest(target), table, check_dtype=False)


def test_uris_are_absolute(corpus: CorpusSettings, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(corpus.root.parent)
    table = build_manifest(corpus.model_copy(update={"root": Path("videos")}), target)
    assert Path(row_of(table, "loose.mp4")["uri"]) == corpus.root / "loose.mp4"


def test_an_unchanged_file_is_not_hashed_again(corpus: CorpusSettings, target: Path, hashed: list[str]) -> None:
    first = build_manifest(corpus, target)
    assert len(hashed) == len(CONTENTS)
    hashed.clear()
    second = build_manifest(corpus, target)
    assert hashed == []
    pd.testing.assert_frame_equal(first, second, check_dtype=False)


def test_only_what_changed_or_is_new_is_hashed(corpus: CorpusSettings, target: Path, hashed: list[str]) -> None:
    build_manifest(corpus, target)
    hashed.clear()
    write(corpus.root / "anger/anna/1.mp4", b"longer than before")
    write(corpus.root / "anger/carl/1.mp4", b"new")
    touched = corpus.root / "fear/ben/1.mp4"
    os.utime(touched, ns=(0, touched.stat().st_mtime_ns + 1))
    table = build_manifest(corpus, target)
    assert sorted(hashed) == ["anger/anna/1.mp4", "anger/carl/1.mp4", "fear/ben/1.mp4"]
    assert row_of(table, "anger/anna/1.mp4")["sha256"] == hashlib.sha256(b"longer than before").hexdigest()
    assert row_of(table, "fear/ben/1.mp4")["sha256"] == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_may_grow_keeps_its_former_row_or_gets_none_yet(
    corpus: CorpusSettings, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"All videos were written to within the last 60 s"):
        build_manifest(corpus, target, settle_s=60)
    before = build_manifest(corpus, target)
    assert build_manifest(corpus, target, settle_s=60).equals(before), "as they were at the last look"
    write(corpus.root / "loose.mp4", b"four, half of it")
    write(corpus.root / "anger/anna/2.mp4", b"half")
    capsys.readouterr()
    now = build_manifest(corpus, target, settle_s=60)
    assert "2 of 5 videos may still be growing; the next run takes them." in capsys.readouterr().err
    pd.testing.assert_frame_equal(now.sort_values("video_id", ignore_index=True), before)
    for name in ("loose.mp4", "anger/anna/2.mp4"):
        os.utime(corpus.root / name, (1e9, 1e9))
    assert len(build_manifest(corpus, target, settle_s=60)) == 5


def test_a_video_that_left_has_no_row(corpus: CorpusSettings, target: Path) -> None:
    build_manifest(corpus, target)
    (corpus.root / "loose.mp4").unlink()
    assert "loose.mp4" not in set(build_manifest(corpus, target)["video_id"])


def test_a_named_file_that_is_not_there_keeps_its_row(tmp_path: Path, target: Path) -> None:
    write(tmp_path / "a.mp4", b"a")
    (tmp_path / "videos.csv").write_text("path,subject,emotion\na.mp4,anna,anger\nb.mp4,ben,fear\nc.mp4,ben,boredom\n")
    table = build_manifest(CorpusSettings(adapter="table", root=tmp_path / "videos.csv"), target)
    missing = row_of(table, "b.mp4")
    assert missing[["status", "reason", "sha256", "size_bytes"]].tolist() == [
        "file_missing",
        "there is no such file",
        "",
        0,
    ]
    assert table["status"].tolist() == ["ok", "file_missing", "file_missing"]


def test_a_file_that_cannot_be_read_keeps_its_row(tmp_path: Path, target: Path) -> None:
    write(tmp_path / "a.mp4", b"a")
    (tmp_path / "b.mp4").mkdir()
    (tmp_path / "videos.csv").write_text("path,subject,emotion\na.mp4,anna,anger\nb.mp4,ben,fear\n")
    table = build_manifest(CorpusSettings(adapter="table", root=tmp_path / "videos.csv"), target)
    assert row_of(table, "b.mp4")["status"] == "undecodable"
    assert "cannot be read" in row_of(table, "b.mp4")["reason"]


@pytest.fixture
def image_corpus(tmp_path: Path) -> CorpusSettings:
    """A table of two clips of numbered images in one folder, one in a folder of its own, and what is none."""
    for name in ("all/a_1.png", "all/a_2.png", "all/b_1.png", "all/b_3.png", "clip/1.png", "clip/2.png", "no/x.png"):
        write(tmp_path / name, name.encode())
    rows = [f"{path},anna,fear" for path in ("all/a_*.png", "all/b_*.png", "clip", "all", "no", "all/c_*.png", "gone")]
    (tmp_path / "videos.csv").write_text("\n".join(["path,subject,emotion", *rows]))
    return CorpusSettings(adapter="table", root=tmp_path / "videos.csv")


def test_numbered_images_are_one_video(image_corpus: CorpusSettings, target: Path) -> None:
    table = build_manifest(image_corpus, target).set_index("video_id")
    assert table["status"].tolist() == ["ok"] * 3 + ["undecodable"] * 2 + ["file_missing"] * 2
    assert table["size_bytes"].tolist() == [22, 22, 20, 0, 0, 0, 0]
    assert table["sha256"].iloc[:3].nunique() == 3
    assert table["reason"].tolist()[:3] == ["", "1 number is missing among its images, the first after 1", ""]
    assert "2 sequences" in table.loc["all", "reason"]


def test_images_are_hashed_again_when_one_changed(image_corpus: CorpusSettings, target: Path) -> None:
    def hashes() -> list[str]:
        return build_manifest(image_corpus, target)["sha256"].tolist()[:3]

    root = image_corpus.root.parent
    seen = [hashes()]
    for name, content in (("all/a_3.png", b"new"), ("all/a_3.png", b"old"), ("clip/2.png", b"CLIP/2.PNG")):
        write(root / name, content)
        seen.append(hashes())
    (root / "all/a_3.png").unlink()
    (root / "clip").rename(root / "moved")
    image_corpus.root.write_text(image_corpus.root.read_text().replace("clip,", "moved,"))
    seen.append(hashes())
    first, added, changed, other, last = seen
    assert first[0] != added[0] != changed[0] != first[0] == last[0]
    assert {hashes[1] for hashes in seen} == {first[1]}
    assert first[2] == changed[2] != other[2] == last[2]


def test_unchanged_images_are_not_hashed_again(
    image_corpus: CorpusSettings, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build_manifest(image_corpus, target)
    monkeypatch.setattr(manifest, "content_sha256", lambda path: pytest.fail(f"{path} is hashed again"))
    pd.testing.assert_frame_equal(build_manifest(image_corpus, target), first, check_dtype=False)


def test_another_corpus_is_refused_and_nothing_is_written(corpus: CorpusSettings, target: Path, tmp_path: Path) -> None:
    build_manifest(corpus, target)
    (target.parent / "prepared").mkdir()
    before = target.read_bytes()
    write(tmp_path / "other" / "anger/anna/1.mp4", b"something else")
    with pytest.raises(UserError, match=r"holds another corpus \(4 videos.*--data-root"):
        build_manifest(CorpusSettings(adapter="folder", root=tmp_path / "other"), target)
    assert target.read_bytes() == before


def test_a_corpus_that_moved_is_the_same_corpus(corpus: CorpusSettings, target: Path, tmp_path: Path) -> None:
    build_manifest(corpus, target)
    corpus.root.rename(tmp_path / "moved")
    table = build_manifest(corpus.model_copy(update={"root": tmp_path / "moved"}), target)
    assert row_of(table, "loose.mp4")["uri"] == str(tmp_path / "moved" / "loose.mp4")


def test_no_videos(tmp_path: Path, target: Path) -> None:
    (tmp_path / "videos").mkdir()
    with pytest.raises(UserError, match=r"No videos were found in .*videos.* with the adapter 'folder'"):
        build_manifest(CorpusSettings(adapter="folder", root=tmp_path / "videos"), target)
    assert not target.exists()


def test_no_manifest(target: Path) -> None:
    with pytest.raises(UserError, match="run `fer prepare` first"):
        read_manifest(target)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("ok", "anger", "a"), ("ok", "fear", "b")], "show 2 people"),
        ([("ok", "anger", "a"), ("ok", "anger", "b"), ("ok", "anger", "c")], "No video is labelled fear"),
        ([("label_missing", "", "")], "None of the 1 videos can be used"),
    ],
)
def test_a_corpus_that_cannot_become_a_study_is_refused_before_it_is_decoded(
    rows: list[tuple[str, str, str]], words: str
) -> None:
    manifest = pd.DataFrame(rows, columns=["status", "emotion", "subject"]).assign(video_id="v", reason="why")
    with pytest.raises(UserError, match=words):
        check_labels(manifest, ("anger", "fear"))
