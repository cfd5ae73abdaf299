"""The adapters of corpora in the wild: official lists, several forms on disk, and nobody named."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
import stand_ins
from stand_ins import films, images, text
from test_corpus_acted import counts, videos, written

from fer_models.errors import UserError
from tasks.corpus.adapters.wild import dfew, ferv39k, mafw
from tasks.outcomes import Outcome
from tasks.video.image_sequences import sequence_images

LISTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "lists"
SEVEN = {"anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"}
needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason="the lists are not here")


@pytest.mark.parametrize("adapter", ["afew", "caer", "dfew", "ferv39k", "mafw"])
def test_nobody_is_named_and_that_is_told(tmp_path: Path, adapter: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = videos(written(tmp_path, adapter), adapter)
    assert all(video.subject == video.video_id for video in found.values())
    assert "people may stand in train and test" in capsys.readouterr().err


# DFEW


def test_dfew_has_five_folds_of_single_labelled_clips(tmp_path: Path) -> None:
    found = videos(written(tmp_path, "dfew"), "dfew")
    classes, outcomes = counts(found)
    assert (set(classes), outcomes) == (SEVEN, {"ok": 20, "label_missing": 2})
    assert Counter(video.official for video in found.values()) == {**dict.fromkeys("12345", 4), "": 2}
    assert (found["00007"].emotion, found["00007"].official) == ("happiness", "3")
    assert "no single label" in found["00021"].reason


@pytest.mark.parametrize("form", ["clip_224x224", "clip_224x224_16f"])
def test_faces_of_dfew_may_have_any_names(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    stand_ins.dfew(tmp_path, form)
    found = videos(tmp_path, "dfew")
    assert counts(found)[1] == {"ok": 20, "label_missing": 2}
    assert [image.path.name for image in sequence_images(found["00001"].path)] == ["1.jpg", "2.jpg", "10.jpg"]
    assert "prepare.precropped=true" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "Clip" / form / "00002")
    images(tmp_path / "Clip" / form / "00002", "face b.png", "face 10.png", "face 2.png")
    path = videos(tmp_path, "dfew", form="faces")["00002"].path
    assert [image.path.name for image in sequence_images(path)] == ["face 2.png", "face 10.png", "face b.png"]
    with pytest.raises(UserError, match="no videos"):
        videos(tmp_path, "dfew", form="videos")


def test_videos_of_dfew_come_before_faces(tmp_path: Path) -> None:
    stand_ins.dfew(tmp_path)
    stand_ins.dfew(tmp_path, "clip_224x224")
    assert videos(tmp_path, "dfew")["00001"].path.suffix == ".mp4"
    assert videos(tmp_path, "dfew", form="faces")["00001"].path.is_dir()


def test_what_the_lists_of_dfew_contradict_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = written(tmp_path, "dfew")
    folder = root / "EmoLabel_DataSplit" / "train(single-labeled)"
    with (folder / "set_1.csv").open("a") as file:
        file.write("00001,7\n00005,6\n00021,0\n99999,1\nrubbish\n")
    (root / "Clip" / "original" / "00003.mp4").unlink()
    found = videos(root, "dfew")
    assert (found["00001"].status, "different labels" in found["00001"].reason) == (Outcome.LABEL_CONFLICT, True)
    assert (found["00005"].status, "train and in test of fold 1" in found["00005"].reason) == (
        Outcome.LABEL_CONFLICT,
        True,
    )
    assert found["00021"].status is Outcome.LABEL_MISSING
    assert {found[name].status for name in ("00003", "99999")} == {Outcome.FILE_MISSING}
    assert "1 lines of the lists name no clip and class" in capsys.readouterr().err


def test_dfew_without_lists_reads_its_annotations(tmp_path: Path) -> None:
    root = written(tmp_path, "dfew")
    shutil.rmtree(root / "EmoLabel_DataSplit")
    assert counts(videos(root, "dfew"))[1] == {"label_missing": 22}
    header = ["1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear", "order", "label"]
    rows = [[*[0] * 7, clip, clip % 8] for clip in range(1, 23)]
    stand_ins.sheet(root / "Annotation" / "annotation.xlsx", [header, *rows])
    found = videos(root, "dfew")
    assert counts(found)[1] == {"ok": 20, "label_missing": 2}
    assert {video.official for video in found.values()} == {""}


@needs_lists
def test_real_lists_are_read_completely() -> None:
    read, missed = 0, []
    for path in sorted(LISTS.iterdir()):
        parse = {"D": dfew, "F": ferv39k, "M": mafw}[path.name[0]]._told  # type: ignore[attr-defined]
        if path.name.endswith("label_index.txt"):
            continue
        lines = path.read_text().splitlines()
        told = [parse(line) for line in lines]
        missed += [(path.name, line) for line, one in zip(lines, told, strict=True) if one is None]
        read += len([one for one in told if one])
    assert read == 7 * 60 - len(missed)
    assert {line for _, line in missed} == {"video_name,label", "path,id"}


# FERV39k, MAFW


def test_ferv39k_has_one_split_and_words(tmp_path: Path) -> None:
    root = written(tmp_path, "ferv39k")
    found = videos(root, "ferv39k")
    assert counts(found) == (dict.fromkeys(SEVEN, 4), {"ok": 28})
    assert Counter(video.official for video in found.values()) == {"train": 14, "test": 14}
    assert found["Action/Happy/0015"].official == "train"
    assert len(videos(root / "2_ClipsforFaceCrop", "ferv39k")) == 28


def test_codes_of_ferv39k_are_not_read_and_words_that_differ_are_in_conflict(tmp_path: Path) -> None:
    root = written(tmp_path, "ferv39k")
    folder = root / "4_setups" / "All_scenes"
    text(folder / "train_All.csv", "path,id", "Action/Happy/0015,5", "Action/Sad/0015 Happy", "Action/Fear/0999 Fear")
    found = videos(root, "ferv39k")
    assert (found["Action/Happy/0015"].emotion, found["Action/Happy/0015"].status) == ("happiness", Outcome.OK)
    assert found["Action/Sad/0015"].status is Outcome.LABEL_CONFLICT
    assert found["Action/Fear/0999"].status is Outcome.FILE_MISSING
    assert found["Interview/Fear/0015"].status is Outcome.LABEL_MISSING
    shutil.rmtree(root / "4_setups")
    assert counts(videos(root, "ferv39k"))[1] == {"ok": 28}


@pytest.mark.parametrize("form", ["clips", "frames", "faces"])
def test_mafw_has_five_folds_and_three_forms(tmp_path: Path, form: str) -> None:
    stand_ins.mafw(tmp_path, form)
    found = videos(tmp_path, "mafw")
    classes, outcomes = counts(found)
    assert (len(classes), outcomes) == (10, {"ok": 10, "label_missing": 1})
    assert Counter(video.official for video in found.values()) == {**dict.fromkeys("12345", 2), "": 1}
    assert (found["00001"].emotion, found["00010"].emotion) == ("anger", "helplessness")
    assert videos(tmp_path, "mafw", labels="compound")["00001"].emotion == "anger_fear"


def test_lists_of_mafw_may_lie_further_down(tmp_path: Path) -> None:
    root = written(tmp_path, "mafw")
    (root / "split").mkdir()
    (root / "Train & Test Set" / "single").rename(root / "split" / "single")
    assert counts(videos(root, "mafw"))[1] == {"ok": 10, "label_missing": 1}
    for fold in (2, 3, 4, 5):
        shutil.rmtree(root / "split" / "single" / "no_caption" / f"set_{fold}")
    assert {video.official for video in videos(root, "mafw").values()} == {"train", "test", ""}


# CAER, AFEW


def test_names_of_caer_repeat_between_its_parts(tmp_path: Path) -> None:
    root = written(tmp_path, "caer")
    found = videos(root, "caer")
    assert counts(found) == (dict.fromkeys(SEVEN, 3), {"ok": 21})
    assert Counter(video.official for video in found.values()) == {"train": 7, "validation": 7, "test": 7}
    (root / "CAER" / "train" / "Anger").rename(root / "CAER" / "train" / "ANGRY")
    assert videos(root, "caer")["train/anger/0001"].emotion == "anger"
    films(root, "CAER/Anger/0002.avi")
    assert counts(videos(root, "caer"))[1] == {"ok": 21, "label_missing": 1}


@pytest.mark.parametrize("names", [("Train_AFEW", "Val_AFEW"), ("Train", "Val")])
def test_afew_tests_on_its_validation_part(tmp_path: Path, names: tuple[str, str]) -> None:
    root = written(tmp_path, "afew")
    for before, name in zip(("Train_AFEW", "Val_AFEW"), names, strict=True):
        (root / before).rename(root / name)
    found = videos(root, "afew")
    assert counts(found) == (dict.fromkeys(SEVEN, 2), {"ok": 14})
    assert Counter(video.official for video in found.values()) == {"train": 7, "test": 7}
    assert videos(root / names[0] / "..", "afew").keys() == found.keys()


def test_faces_of_afew_have_the_class_of_their_video(tmp_path: Path) -> None:
    stand_ins.afew(tmp_path, faces=True)
    found = videos(tmp_path, "afew", form="faces")
    assert counts(found) == (dict.fromkeys(SEVEN, 2), {"ok": 14})
    assert all(video.path.is_dir() for video in found.values())
    shutil.rmtree(tmp_path / "Val_AFEW" / "Sad")
    shutil.rmtree(tmp_path / "Train_AFEW" / "AlignedFaces_LBPTOP_Points" / "Faces" / "000000001")
    found = videos(tmp_path, "afew", form="faces")
    assert found["test/000000005"].status is Outcome.LABEL_MISSING
    assert found["train/000000001"].status is Outcome.FILE_MISSING
    films(tmp_path, "Train_AFEW/Fear/000000003.avi")
    assert videos(tmp_path, "afew")["train/000000003"].status is Outcome.LABEL_CONFLICT
