"""The adapters of acted corpora read their stand-ins completely, and say what is odd."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
import stand_ins
from stand_ins import films, images, text

from tasks.config.resolving import resolve_settings
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.reading import read_corpus
from tasks.outcomes import Outcome

MEAD24 = Path(__file__).resolve().parents[2] / "shared" / "data" / "mead24"


def videos(root: Path, adapter: str, **options: object) -> dict[str, SourceVideo]:
    """The records of a corpus by id, without the name of the corpus, as a study gets them."""
    given = {f"corpus.{name}": value for name, value in options.items()}
    settings = resolve_settings(overrides={"corpus.adapter": adapter, "corpus.root": str(root), **given})
    found = read_corpus(settings.corpus)
    assert len({video.video_id for video in found}) == len(found)
    assert {video.dataset for video in found} == {adapter}
    return {video.video_id.removeprefix(f"{adapter}/"): video for video in found}


def written(tmp_path: Path, adapter: str) -> Path:
    stand_ins.STAND_INS[adapter](tmp_path / "corpus")
    return tmp_path / "corpus"


def counts(found: dict[str, SourceVideo]) -> tuple[dict[str, int], dict[str, int]]:
    """Classes of the usable ones, and outcomes of all."""
    usable = [video for video in found.values() if video.status is Outcome.OK]
    return Counter(video.emotion for video in usable), Counter(str(video.status) for video in found.values())


def people(found: dict[str, SourceVideo]) -> set[str]:
    return {video.subject for video in found.values()}


def only(found: dict[str, SourceVideo]) -> SourceVideo:
    (video,) = found.values()
    return video


# RAVDESS


def test_ravdess_uses_each_spoken_performance_once(tmp_path: Path) -> None:
    found = videos(written(tmp_path, "ravdess"), "ravdess")
    words = ["neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"]
    assert counts(found) == (dict.fromkeys(words, 2), {"ok": 16})
    assert people(found) == {"ravdess/01", "ravdess/02"}
    assert all(video.path.name.startswith("01-") for video in found.values())
    video = found["01-05-01-01-01-02"]
    assert (video.label_raw, video.emotion, video.path.parent.name) == ("angry", "anger", "Actor_02")


def test_ravdess_takes_pictures_only_where_there_are_no_others_and_song_when_asked(tmp_path: Path) -> None:
    films(tmp_path, "Actor_24/02-01-03-01-01-01-24.MP4", "Actor_24/01-02-04-01-01-01-24.mp4")
    assert list(videos(tmp_path, "ravdess")) == ["01-03-01-01-01-24"]
    assert len(videos(tmp_path, "ravdess", channels=["speech", "song"])) == 2


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("Actor_01/03-01-05-01-01-01-01.mp4", Outcome.UNDECODABLE, "sound only"),
        ("Actor_01/01-01-09-01-01-01-01.mp4", Outcome.LABEL_CONFLICT, "emotion 09"),
        ("Actor_02/01-01-05-01-01-01-01.mp4", Outcome.LABEL_CONFLICT, "folder of 02"),
        ("Actor_01/01-01-05-01-01-01-01 (1).mp4", Outcome.LABEL_MISSING, "no name of RAVDESS"),
        ("Actor_01/angry.mp4", Outcome.LABEL_MISSING, "no name of RAVDESS"),
        ("all/01-01-05-01-01-01-01.mp4", Outcome.OK, ""),
        ("01-01-05-01-01-01-01.avi", Outcome.OK, ""),
        ("a/Video_Speech_Actor_01/Actor_01/01-01-05-01-01-01-01.mp4", Outcome.OK, ""),
    ],
)
def test_ravdess_says_what_is_odd(tmp_path: Path, name: str, status: Outcome, words: str) -> None:
    films(tmp_path, name)
    video = only(videos(tmp_path, "ravdess"))
    assert video.status is status
    assert words in video.reason


def test_copies_of_a_clip_are_used_once_and_different_ones_not_at_all(tmp_path: Path) -> None:
    films(tmp_path, "Actor_01/01-01-05-01-01-01-01.mp4", "copy/Actor_01/01-01-05-01-01-01-01.mp4")
    video = only(videos(tmp_path, "ravdess"))
    assert (video.status, "2 copies" in video.reason) == (Outcome.OK, True)
    (tmp_path / "copy" / "Actor_01" / "01-01-05-01-01-01-01.mp4").write_bytes(b"other")
    video = only(videos(tmp_path, "ravdess"))
    assert (video.status, "2 different files" in video.reason) == (Outcome.LABEL_CONFLICT, True)


# CREMA-D


def test_cremad_has_six_classes_five_folds_and_four_bad_clips(tmp_path: Path) -> None:
    found = videos(written(tmp_path, "cremad"), "cremad")
    words = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
    assert counts(found) == (dict.fromkeys(words, 7), {"ok": 42, "undecodable": 4})
    folds = {video.subject.removeprefix("cremad/"): video.official for video in found.values()}
    assert folds == {
        "1001": "1",
        "1018": "1",
        "1019": "2",
        "1064": "4",
        "1072": "4",
        "1073": "5",
        "1076": "5",
        "1090": "5",
        "1091": "5",
    }


def test_the_folds_of_cremad_have_18_actors_and_the_last_19(tmp_path: Path) -> None:
    for actor in range(1001, 1092):
        (tmp_path / f"{actor}_iom_sad_x.MP4").touch()
    folds = Counter(video.official for video in videos(tmp_path, "cremad").values())
    assert folds == {"1": 18, "2": 18, "3": 18, "4": 18, "5": 19}


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("1001_DFA_SUR_XX.flv", Outcome.LABEL_CONFLICT),
        ("1092_DFA_ANG_XX.flv", Outcome.LABEL_MISSING),
        ("1001_DFA_ANG.flv", Outcome.LABEL_MISSING),
        ("deep/down/1001_ieo_ang_lo.mp4", Outcome.OK),
    ],
)
def test_cremad_says_what_is_odd(tmp_path: Path, name: str, status: Outcome) -> None:
    films(tmp_path, name)
    assert only(videos(tmp_path, "cremad")).status is status


# SAVEE, eNTERFACE'05, RML


def test_savee_tells_sadness_and_surprise_from_single_letters(tmp_path: Path) -> None:
    found = videos(written(tmp_path, "savee"), "savee")
    classes, outcomes = counts(found)
    assert outcomes == {"ok": 52}
    assert classes == {
        "anger": 4,
        **dict.fromkeys(("disgust", "fear", "happiness", "neutral", "sadness", "surprise"), 8),
    }
    assert people(found) == {"savee/DC", "savee/JE", "savee/JK", "savee/KL"}
    assert found["DC/a01"].path.name == "a1.avi"
    assert found["JE/a01"].path.name == "a01.avi"


@pytest.mark.parametrize(
    ("name", "root", "status", "subject"),
    [
        ("dc/SA3.avi", "", Outcome.OK, "savee/DC"),
        ("DC_sa03.mp4", "", Outcome.OK, "savee/DC"),
        ("a1.avi", "JK", Outcome.OK, "savee/JK"),
        ("a1.avi", "", Outcome.LABEL_MISSING, ""),
        ("x1.avi", "JK", Outcome.LABEL_MISSING, ""),
        ("KL/DC_a01.avi", "", Outcome.LABEL_CONFLICT, "savee/KL"),
    ],
)
def test_savee_needs_to_know_who_speaks(tmp_path: Path, name: str, root: str, status: Outcome, subject: str) -> None:
    films(tmp_path / root, name)
    video = only(videos(tmp_path / root, "savee"))
    assert (video.status, video.subject) == (status, subject)


def test_enterface_believes_folders(tmp_path: Path) -> None:
    found = videos(written(tmp_path, "enterface"), "enterface")
    classes, outcomes = counts(found)
    assert outcomes == {"ok": 38}
    assert classes == {"anger": 7, "fear": 7, **dict.fromkeys(("disgust", "happiness", "sadness", "surprise"), 6)}
    assert people(found) == {f"enterface/s{number}" for number in (1, 2, 6, 7, 12)}
    assert "s6/anger/s6_an_1" in found
    assert "s7/fear/sentence 1/extra/s7_fe_1_b" in found


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("Subject 03/ANGER/S3_an_1.avi", Outcome.OK, ""),
        ("subject_3/anger/sentence 1/s4_an_1.avi", Outcome.OK, "folders were believed"),
        ("subject3/anger/sentence 1/s3_di_1.avi", Outcome.OK, "folders were believed"),
        ("subject 3/s3_an_1.avi", Outcome.LABEL_MISSING, "do not tell"),
        ("s3_an_1.avi", Outcome.LABEL_MISSING, "do not tell"),
    ],
)
def test_enterface_says_what_is_odd(tmp_path: Path, name: str, status: Outcome, words: str) -> None:
    films(tmp_path, name)
    video = only(videos(tmp_path, "enterface"))
    assert (video.status, words in video.reason) == (status, True)
    assert video.subject == ("enterface/s3" if status is Outcome.OK else "")


def test_rml_has_languages_for_some(tmp_path: Path) -> None:
    found = videos(written(tmp_path, "rml"), "rml")
    assert counts(found)[1] == {"ok": 97}
    assert people(found) == {f"rml/s{number}" for number in range(1, 9)}
    assert {"s2/english/an1", "s2/mandarin/an1", "s3/an1"} <= set(found)
    films(tmp_path / "flat", "an1.avi")
    assert only(videos(tmp_path / "flat", "rml")).status is Outcome.LABEL_MISSING
    assert len(videos(tmp_path / "corpus" / "rml-2" / "s8", "rml")) == 12


# MEAD


def test_mead_is_named_in_four_ways(tmp_path: Path) -> None:
    root = written(tmp_path, "mead")
    found = videos(root, "mead")
    assert counts(found)[1] == {"ok": 11}
    assert people(found) == {"mead/M030", "mead/M003", "mead/W037", "mead/W009"}
    assert found["W037_front_angry_level3_034"].emotion == "anger"
    assert found["M003_disgusted_level1_015"].emotion == "disgust"
    assert found["W009_front_happy_level2_001"].emotion == "happiness"
    assert len(videos(root, "mead", views=["front", "left_30"])) == 12
    assert len(videos(root, "mead", levels=[1])) == 2


def test_mead_says_where_name_and_folders_differ(tmp_path: Path) -> None:
    films(tmp_path, "W037/front/angry/level_3/W036_front_angry_level_3_034.mp4")
    video = only(videos(tmp_path, "mead"))
    assert (video.status, "w036" in video.reason) == (Outcome.LABEL_CONFLICT, True)


@pytest.mark.skipif(not MEAD24.is_dir(), reason="the clips are not here")
def test_real_clips_of_mead() -> None:
    found = videos(MEAD24, "mead")
    assert counts(found)[1] == {"ok": 24}
    assert people(found) == {"mead/M030", "mead/W009", "mead/W011"}
    assert set(counts(found)[0].values()) == {3}


# Oulu-CASIA


def test_oulucasia_reads_the_chosen_camera_and_light(tmp_path: Path) -> None:
    root = written(tmp_path, "oulucasia")
    found = videos(root, "oulucasia")
    assert counts(found) == (dict.fromkeys(stand_ins.SIX, 2), {"ok": 12})
    assert people(found) == {"oulucasia/P001", "oulucasia/P002"}
    assert found["VL/Strong/P001/anger"].path.is_dir()
    assert len(videos(root, "oulucasia", cameras=["VL", "NI"], lights=["Strong", "Dark"])) == 36
    images(root / "P003", "1.jpeg", "2.jpeg")
    assert counts(videos(root, "oulucasia"))[1] == {"ok": 12, "label_missing": 1}


# MMI


def test_mmi_reads_emotion_and_view_of_sessions(tmp_path: Path) -> None:
    root = written(tmp_path, "mmi")
    found = videos(root, "mmi")
    classes, outcomes = counts(found)
    assert classes == {**dict.fromkeys(stand_ins.SIX, 1), "happiness": 2}
    assert outcomes == {"ok": 7, "label_missing": 1, "label_conflict": 1}
    assert "7" not in found, "which shows two views in one picture"
    assert "on its side" in found["8"].reason
    assert [found[number].reason for number in "123456"] == [""] * 6
    assert len(videos(root, "mmi", views=[0, 2])) == 10
    assert found["1"].subject == "mmi/2"


def test_mmi_does_not_unfold_entities_and_misses_nothing(tmp_path: Path) -> None:
    root = written(tmp_path, "mmi")
    text(root / "Sessions" / "1" / "S001-001.xml", '<!DOCTYPE a [<!ENTITY b "c">]><facs>&b;</facs>')
    text(root / "Sessions" / "2" / "session.xml", "<session>")
    shutil.rmtree(root / "Sessions" / "3")
    (root / "Sessions" / "4" / "S001-004.avi").unlink()
    found = videos(root, "mmi")
    assert (found["1"].status, found["2"].status) == (Outcome.LABEL_CONFLICT, Outcome.LABEL_CONFLICT)
    assert found["4"].status is Outcome.FILE_MISSING
