"""Pending are the videos that the next study could use and the last one did not have."""

import datetime
from pathlib import Path

import pandas as pd
import pytest
from ledgers import CLASSES, make_ledger, subjects
from stored_tables import store

from tasks.config.layout import Layout
from tasks.config.presets import sample
from tasks.config.settings import CorpusSettings, StudySettings
from tasks.config.split_settings import SplitSettings
from tasks.dataset.pending import pending_videos, worth_a_try
from tasks.dataset.splits import update_split
from tasks.preparation.ledger import SCHEMA


def settings_at(folder: Path, **split: object) -> StudySettings:
    corpus = CorpusSettings(emotions=CLASSES)
    return StudySettings(data_root=folder, corpus=corpus, split=SplitSettings(**split), prepare=sample().prepare)


def write(ledger: pd.DataFrame, settings: StudySettings) -> None:
    path = Layout.of(settings).ledger
    store(path, ledger, SCHEMA)


def draw(ledger: pd.DataFrame, settings: StudySettings) -> pd.DataFrame:
    write(ledger, settings)
    return update_split(ledger, CLASSES, settings.split, Layout.of(settings).split)


def grown(ledger: pd.DataFrame, *videos: tuple[str, str], outcome: str = "ok") -> pd.DataFrame:
    return pd.concat([ledger, make_ledger(videos, outcome, prefix=f"new{len(ledger)}-")], ignore_index=True)


def pending_ids(settings: StudySettings) -> list[str]:
    return pending_videos(settings)["video_id"].tolist()


def test_before_anything_was_prepared_and_before_there_is_a_split(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    assert pending_videos(settings).empty
    write(make_ledger([*subjects(5), ("", "anger"), ("p001", "boredom")]), settings)
    assert pending_ids(settings) == [f"v{number}" for number in range(15)]


@pytest.mark.parametrize("protocol", ["holdout", "kfold"])
def test_only_usable_labelled_videos_that_the_split_lacks(tmp_path: Path, protocol: str) -> None:
    settings = settings_at(tmp_path, protocol=protocol)
    ledger = make_ledger(subjects(6))
    split = draw(ledger, settings)
    assert pending_ids(settings) == []
    known = split.loc[split["side"] == "train", "subject"].iloc[0]
    wanted = grown(ledger, (known, "anger"), ("somebody new", "fear"))
    rest = grown(grown(wanted, (known, "boredom"), ("", "fear")), (known, "anger"), outcome="no_face")
    write(rest, settings)
    assert pending_ids(settings) == ["new18-0", "new18-1"]
    draw(rest, settings)
    assert pending_ids(settings) == []


def test_a_subject_who_is_only_tested_brings_no_study_nearer(tmp_path: Path) -> None:
    holdout, folds = settings_at(tmp_path), settings_at(tmp_path, protocol="kfold")
    ledger = make_ledger(subjects(6))
    split = draw(ledger, holdout)
    draw(ledger, folds)
    tested = split.loc[split["side"] == "test", "subject"].iloc[0]
    write(grown(ledger, (tested, "anger")), holdout)
    assert pending_ids(holdout) == []
    assert pending_ids(folds) == ["new18-0"], "who is tested in one fold trains in the others"


def test_a_new_name_is_not_a_new_video_and_new_content_is(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    ledger = make_ledger(subjects(6))
    split = draw(ledger, settings)
    write(ledger.assign(video_id="renamed/" + ledger["video_id"]), settings)
    assert pending_ids(settings) == []
    changed = split.loc[split["side"] == "train", "video_id"].iloc[0]
    write(ledger.assign(sha256=ledger["sha256"].where(ledger["video_id"] != changed, "other")), settings)
    assert pending_ids(settings) == [changed]


def failed(attempts: int, minutes_ago: float, outcome: str = "timeout") -> pd.DataFrame:
    tried_at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=minutes_ago)
    row = ("s1", outcome, attempts, tried_at.isoformat(timespec="seconds"))
    return pd.DataFrame([row, ("s0", "no_face", 1, "")], columns=["sha256", "outcome", "attempts", "tried_at"])


def due(*contents: str) -> pd.DataFrame:
    return pd.DataFrame({"sha256": list(contents)})


def test_what_is_new_is_tried_and_what_failed_ever_more_seldom() -> None:
    assert worth_a_try(due("s1"), None, 600)
    assert not worth_a_try(due(), failed(1, 11), 600)
    assert worth_a_try(due("s1"), failed(1, 11), 600)
    assert not worth_a_try(due("s1"), failed(1, 9), 600)
    assert not worth_a_try(due("s1"), failed(3, 29), 600)
    assert worth_a_try(due("s1"), failed(3, 31), 600)
    assert worth_a_try(due("s1", "s2"), failed(3, 1), 600), "a new one beside it"
    assert worth_a_try(due("s1"), failed(0, 1, "crashed"), 600), "the run stopped before its turn"
    assert worth_a_try(due("s1"), failed(1, 1, "no_face"), 600), "its shard was lost"
