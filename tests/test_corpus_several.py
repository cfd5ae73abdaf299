"""Several corpora in one study: people kept apart, labels mapped by one table, subsets alike in corpora too."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import stand_ins
import yaml
from ledgers import make_ledger
from typer.testing import CliRunner

from fer_models.errors import UserError
from flows.cli import app
from tasks.config.resolving import resolve_settings, settings_as_yaml
from tasks.config.settings import StudySettings
from tasks.config.split_settings import SplitSettings
from tasks.corpus.adapters.source import SourceVideo
from tasks.corpus.manifest import build_manifest, check_labels
from tasks.corpus.reading import read_corpus
from tasks.corpus.scope import with_corpus
from tasks.dataset.foresight import foresee
from tasks.dataset.splits import update_split
from tasks.outcomes import Outcome

SIX = ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]
#: Names of the corpora of these tests, with their adapters.
TWO = {"ravdess": "ravdess", "crema": "cremad"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with stand-ins, each called as its adapter."""
    folder = tmp_path_factory.mktemp("several")
    for adapter in ("ravdess", "cremad", "smic", "ckplus", "ckplus48"):
        stand_ins.STAND_INS[adapter](folder / adapter)
    return folder


def listed(folder: Path, names: dict[str, str], **options: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "adapter": adapter, "root": str(folder / adapter), **options} for name, adapter in names.items()
    ]


def settings_of(folder: Path, names: dict[str, str] = TWO, **overrides: Any) -> StudySettings:
    given = {"corpora": listed(folder, names), "corpus.emotions": SIX, **overrides}
    return resolve_settings(overrides=given)


def videos(settings: StudySettings) -> dict[str, SourceVideo]:
    return {one.video_id: one for one in read_corpus(settings.corpus)}


def labels(path: Path, *rows: str) -> Path:
    stand_ins.text(path, "corpus,label,class", *rows)
    return path


# Settings


def test_a_configuration_lists_them_by_themselves_or_in_corpus(drawn: Path, tmp_path: Path) -> None:
    own = settings_of(drawn)
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"corpus": {"emotions": SIX, "corpora": listed(drawn, TWO)}}))
    assert resolve_settings(None, path) == own
    path.write_text(settings_as_yaml(own))
    assert resolve_settings(None, path) == own
    assert StudySettings.model_validate(own.model_dump(mode="json")) == own
    song = settings_of(drawn, corpora=listed(drawn, {"ravdess": "ravdess"}, channels=["song"]) + own_list(own)[1:])
    assert song.corpus.parts[0].model_dump()["channels"] == ("song",)
    assert resolve_settings(None, path, {"corpus.adapter": "folder"}).corpus.adapter == "folder"


def own_list(settings: StudySettings) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = settings.model_dump(mode="json")["corpus"]["corpora"]
    return found


def test_where_corpora_lie_decides_no_result(drawn: Path, tmp_path: Path) -> None:
    shutil.copytree(drawn / "smic", tmp_path / "smic")
    shutil.copytree(drawn / "ckplus", tmp_path / "ckplus")
    names = {"smic": "smic", "ck": "ckplus"}
    here, there = settings_of(drawn, names), settings_of(tmp_path, names, label_map=str(tmp_path / "labels.csv"))
    assert here.result_settings() == there.result_settings()
    other = settings_of(drawn, {"smic": "smic", "other": "ckplus"})
    assert here.result_settings() != other.result_settings()


@pytest.mark.parametrize(
    ("corpora", "words"),
    [
        ([("one", "ravdess", {}), ("One", "cremad", {})], "two corpora are called one; give each its own name"),
        ([("one", "ravdess", {})], "name two corpora or more"),
        ([("one", "ravdess", {"chanels": ["song"]}), ("two", "cremad", {})], "0.chanels' .did you mean .*channels"),
        ([("one", "ravdes", {}), ("two", "cremad", {})], "there is no adapter 'ravdes' .did you mean 'ravdess'"),
        ([("one", "several", {}), ("two", "cremad", {})], "several corpora cannot be one of several"),
        ([("one", "cremad", {"emotions": ["a", "b"]}), ("two", "smic", {})], "set corpus.emotions"),
        ([("one", "cremad", {"draw_sample": True}), ("two", "smic", {})], "leave draw_sample out"),
        ([("a/b", "cremad", {}), ("two", "smic", {})], "corpora.0.name"),
    ],
)
def test_lists_that_are_wrong_are_refused(
    drawn: Path, corpora: list[tuple[str, str, dict[str, Any]]], words: str
) -> None:
    given = [{"name": name, "adapter": adapter, "root": str(drawn), **more} for name, adapter, more in corpora]
    with pytest.raises(UserError, match=words):
        resolve_settings(overrides={"corpora": given})


def test_what_does_not_go_with_several_is_refused(drawn: Path, tmp_path: Path) -> None:
    twice = tmp_path / "twice.yaml"
    twice.write_text("corpora: []\ncorpus: {corpora: []}\n")
    with pytest.raises(UserError, match="official folds of several corpora cannot be mixed"):
        settings_of(drawn, **{"split.protocol": "official"})
    assert not settings_of(drawn, **{"corpus.draw_sample": True}).corpus.draw_sample
    with pytest.raises(UserError, match="each of which has its own"):
        resolve_settings(overrides={"corpus": {"adapter": "ravdess", "corpora": listed(drawn, TWO)}})
    with pytest.raises(UserError, match="corpora is given twice"):
        resolve_settings(None, twice)
    with pytest.raises(UserError, match="name two or more"):
        read_corpus(resolve_settings(overrides={"corpus.adapter": "several"}).corpus)


# Reading


def test_a_name_stands_before_people_and_videos(drawn: Path) -> None:
    found = videos(settings_of(drawn))
    assert Counter(one.dataset for one in found.values()) == {"ravdess": 16, "crema": 46}
    first = found["ravdess/01-01-01-01-01-01"]
    assert (first.subject, first.emotion) == ("ravdess/01", "neutral")
    assert found["crema/1001_DFA_ANG_XX"].subject == "crema/1001"
    assert found["crema/1076_MTI_NEU_XX"].status is Outcome.UNDECODABLE


def test_person_1_of_two_folders_is_two_people(tmp_path: Path) -> None:
    for lab in ("north", "south"):
        stand_ins.films(tmp_path / lab, *(f"{word}/{who}/1.mp4" for word in ("anger", "fear") for who in (1, 2)))
    corpora = [{"name": lab, "adapter": "folder", "root": str(tmp_path / lab)} for lab in ("north", "south")]
    found = videos(resolve_settings(overrides={"corpora": corpora, "corpus.emotions": ["anger", "fear"]}))
    assert {one.subject for one in found.values()} == {"north/1", "north/2", "south/1", "south/2"}
    assert "north/anger/1/1.mp4" in found
    both = [one | {"people": "lab"} for one in corpora]
    found = videos(resolve_settings(overrides={"corpora": both, "corpus.emotions": ["anger", "fear"]}))
    assert {one.subject for one in found.values()} == {"lab/1", "lab/2"}


def test_people_of_two_cuts_of_a_corpus_are_never_taken_for_others(drawn: Path) -> None:
    """The faces of CK+48 are those of CK+: under two names they would stand in train and test."""
    names = {"ckplus": "ckplus", "ck48": "ckplus48"}
    classes = {"corpus.emotions": ["anger", "disgust", "fear", "happiness"]}
    with pytest.raises(UserError, match="ckplus and ck48 both show ckplus/S010: give them one word as `people`"):
        videos(settings_of(drawn, names, **classes))
    told = listed(drawn, names, people="ck")
    found = videos(settings_of(drawn, corpora=told, **classes))
    assert {one.subject for one in found.values()} == {"ck/S005", "ck/S010", "ck/S011", "ck/S012"}
    told[0]["people"] = "others"
    assert "others/S010" in {one.subject for one in videos(settings_of(drawn, corpora=told, **classes)).values()}


def test_one_file_in_two_corpora_is_one_video_and_in_conflict(drawn: Path) -> None:
    twice = [{"name": name, "adapter": "folder", "root": str(drawn / "ckplus48")} for name in ("a", "b")]
    stand_ins.films(drawn / "own", "anger/p1/1.mp4", "fear/p2/1.mp4")
    for one in twice:
        one["root"] = str(drawn / "own")
    found = videos(settings_of(drawn, corpora=twice))
    assert {one.status for one in found.values()} == {Outcome.LABEL_CONFLICT}
    assert len(found) == 2


def test_people_who_are_not_named_stay_nameless(tmp_path: Path) -> None:
    stand_ins.caer(tmp_path / "caer")
    stand_ins.dfew(tmp_path / "dfew")
    settings = settings_of(tmp_path, {"film": "caer", "web": "dfew"})
    found = videos(settings)
    assert "web/00001" in found
    assert "film/train/anger/0001" in found
    assert all(one.subject == one.video_id for one in found.values())
    foreseen = foresee(list(found.values()), SIX, settings.split, is_several=True)
    assert foreseen.num_nameless == foreseen.num_people == foreseen.outcomes["ok"]


def test_a_root_that_is_missing_is_named_with_its_corpus(drawn: Path) -> None:
    corpora = listed(drawn, TWO)
    corpora[1]["root"] = str(drawn / "nowhere")
    with pytest.raises(UserError, match=r"The corpus crema: There is no folder .*nowhere'; set its root to"):
        videos(settings_of(drawn, corpora=corpora))


def test_a_corpus_without_classes_in_common_is_refused(drawn: Path) -> None:
    settings = settings_of(drawn, TWO | {"smic": "smic"})
    with pytest.raises(UserError, match=r"smic has no usable video .*its labels are: negative 3, positive 3, surprise"):
        videos(settings)


# The table of labels


@pytest.mark.parametrize("form", ["csv", "yaml"])
def test_labels_are_called_as_the_table_says(
    drawn: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"labels.{form}"
    if form == "csv":
        labels(path, "ravdess,Calm,neutral", "ravdess,surprised,", "crema,ANGER,Angry")
    else:
        path.write_text("ravdess: {calm: neutral, surprise: }\ncrema: {anger: angry}\n")
    found = videos(settings_of(drawn, label_map=str(path)))
    usable = [one for one in found.values() if one.status is Outcome.OK and one.dataset == "ravdess"]
    assert Counter(one.emotion for one in usable) == {**dict.fromkeys(SIX, 2), "neutral": 4}
    calm, surprised = found["ravdess/01-02-01-01-01-01"], found["ravdess/01-08-01-01-01-01"]
    assert (calm.emotion, calm.label_raw) == ("neutral", "calm")
    assert (surprised.emotion, surprised.status) == ("", Outcome.OUT_OF_SCOPE)
    assert surprised.reason == "corpus.label_map leaves 'surprise' of ravdess out"
    assert "Left out by corpus.label_map: 2 surprise of ravdess." in capsys.readouterr().err


def test_labels_that_nothing_is_said_of_keep_their_word(drawn: Path, tmp_path: Path) -> None:
    found = videos(settings_of(drawn, label_map=str(labels(tmp_path / "labels.csv", "crema,fear,sadness"))))
    assert found["ravdess/01-02-01-01-01-01"].emotion == "calm"
    assert found["ravdess/01-06-01-01-01-01"].emotion == "fear"
    assert found["crema/1001_DFA_FEA_XX"].emotion == "sadness"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["ravdes,calm,neutral"], "line 2: there is no corpus 'ravdes' .did you mean 'ravdess'"),
        (["ravdess,kalm,neutral"], "line 2: ravdess has no label 'kalm' .did you mean 'calm'.*; it has anger, calm,"),
        (["ravdess,calm,neutral", "ravdess,calm,"], "gives 'calm' of ravdess two classes"),
        (["ravdess,,neutral"], "line 2, lacks a corpus or a label"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(drawn: Path, tmp_path: Path, rows: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        videos(settings_of(drawn, label_map=str(labels(tmp_path / "labels.csv", *rows))))


def test_a_class_that_the_study_lacks_is_told(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos(settings_of(drawn, label_map=str(labels(tmp_path / "labels.csv", "ravdess,calm,neutrl"))))
    assert "calls 2 calm of ravdess 'neutrl', which is no class of this study (did you" in capsys.readouterr().err
    (tmp_path / "wrong.yaml").write_text("ravdess: [calm]\n")
    for name, words in (("wrong.yaml", "corpus by corpus"), ("none.csv", "There is no table of labels")):
        with pytest.raises(UserError, match=words):
            videos(settings_of(drawn, label_map=str(tmp_path / name)))


# Manifest, split, foresight


def test_the_manifest_says_which_corpus_a_video_is_of(drawn: Path, tmp_path: Path) -> None:
    table = labels(tmp_path / "labels.csv", "ravdess,calm,")
    settings = settings_of(drawn, label_map=str(table))
    manifest = build_manifest(settings.corpus, tmp_path / "manifest.parquet")
    assert manifest["dataset"].value_counts().to_dict() == {"crema": 46, "ravdess": 16}
    assert (manifest["status"] == Outcome.OUT_OF_SCOPE).sum() == 2
    check_labels(manifest, SIX)
    with pytest.raises(UserError, match=r"No video is labelled contempt \(the labels are: neutral 9"):
        check_labels(manifest, [*SIX, "contempt"])
    assert with_corpus(manifest, settings.corpus)["corpus"].tolist() == manifest["dataset"].tolist()


def ledger_of(counts: dict[str, tuple[int, tuple[str, ...]]]) -> pd.DataFrame:
    """So many people of each corpus, each of whom shows each of its classes."""
    tables = [
        make_ledger([(f"{name}/{n}", one) for n in range(number) for one in classes], prefix=f"{name}/")
        for name, (number, classes) in counts.items()
    ]
    return pd.concat(tables, ignore_index=True)


def test_subsets_are_alike_in_corpora_too(tmp_path: Path) -> None:
    """Without their names a small corpus is where chance has it: all in one subset in some draws."""
    ledger = ledger_of({"big": (45, ("anger", "fear")), "small": (5, ("anger", "fear"))})
    told = ledger.assign(corpus=ledger["video_id"].str.partition("/")[0])
    lacking = {"told": 0, "not told": 0}
    for seed in range(5):
        settings = SplitSettings(seed=seed)
        for name, videos in (("told", told), ("not told", ledger)):
            split = update_split(videos, ("anger", "fear"), settings, tmp_path / f"{name}{seed}.parquet")
            of_small = split[split["subject"].str.startswith("small")]
            lacking[name] += of_small["side"].nunique() < 3
            assert split.groupby("subject")["side"].nunique().max() == 1
    assert lacking["told"] == 0
    assert lacking["not told"] > 0


def test_a_dry_run_foresees_all_corpora(drawn: Path, tmp_path: Path) -> None:
    settings = settings_of(drawn, arms=["hog-svm"], **{"model.form": "modern"})
    foreseen = foresee(read_corpus(settings.corpus), SIX, settings.split, is_several=True)
    assert (foreseen.num_people, sum(foreseen.classes.values())) == (9, 54)
    path = tmp_path / "study.yaml"
    path.write_text(settings_as_yaml(settings))
    said = CliRunner().invoke(app, ["study", "--dry-run", "--config", str(path)])
    assert said.exit_code == 0, said.output
    assert "Corpus: 54 videos of 9 people; not used: 4 out_of_scope, 4 undecodable.\n" in said.output
