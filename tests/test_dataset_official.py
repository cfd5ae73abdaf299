"""Official folds: by clip where nobody is named, by person where somebody is, and kept however a corpus grows."""

from pathlib import Path

import pandas as pd
import pytest
import stand_ins
from ledgers import make_ledger, subjects

from fer_models.errors import UserError
from tasks.config.resolving import resolve_settings
from tasks.config.split_settings import SplitSettings
from tasks.corpus.manifest import build_manifest
from tasks.dataset.audit import check_nameless
from tasks.dataset.official import official_of_subjects
from tasks.dataset.splits import fold_names, update_split

CLASSES = ("anger", "fear", "sadness")
OFFICIAL = SplitSettings(protocol="official")


def clips(number: int, prefix: str = "v") -> pd.DataFrame:
    """A ledger of so many clips that name nobody."""
    ledger = make_ledger([("", CLASSES[i % 3]) for i in range(number)], prefix=prefix)
    return ledger.assign(subject=ledger["video_id"])


def sides(split: pd.DataFrame, fold: str = "0") -> dict[str, str]:
    rows = split[split["fold_name"] == fold]
    return dict(zip(rows["video_id"], rows["side"], strict=True))


def test_parts_are_kept_as_they_are(tmp_path: Path) -> None:
    parts = ("train", "train", "train", "train", "validation", "test")
    ledger = clips(36)
    official = {name: parts[number // 3 % 6] for number, name in enumerate(ledger["video_id"])}
    split = update_split(ledger, CLASSES, OFFICIAL, tmp_path / "split.parquet", official)
    assert sides(split) == official


def test_validation_is_drawn_from_the_training_part_where_the_corpus_has_none(tmp_path: Path) -> None:
    ledger = clips(60)
    official = {name: "test" if number < 15 else "train" for number, name in enumerate(ledger["video_id"])}
    split = update_split(ledger, CLASSES, OFFICIAL, tmp_path / "split.parquet", official)
    found = sides(split)
    assert {name for name, side in found.items() if side == "test"} == {f"v{number}" for number in range(15)}
    assert sum(side == "validation" for side in found.values()) == 9


def test_every_clip_is_tested_in_its_official_fold(tmp_path: Path) -> None:
    ledger = clips(45)
    official = {name: str(1 + number // 3 % 5) for number, name in enumerate(ledger["video_id"])}
    split = update_split(ledger, CLASSES, OFFICIAL, tmp_path / "split.parquet", official)
    assert fold_names(split) == {number: str(number) for number in range(1, 6)}
    tested = split[split["side"] == "test"]
    assert dict(zip(tested["video_id"], tested["fold_name"], strict=True)) == official


def test_newcomers_keep_to_the_lists_and_wait_where_they_are_to_be_tested(tmp_path: Path) -> None:
    path = tmp_path / "split.parquet"
    ledger, new = clips(36), clips(6, "new")
    parts = ("train", "train", "train", "train", "validation", "test")
    official = {name: parts[number // 3 % 6] for number, name in enumerate(ledger["video_id"])}
    before = sides(update_split(ledger, CLASSES, OFFICIAL, path, official))
    official |= {name: parts[number] for number, name in enumerate(new["video_id"])}
    after = sides(update_split(pd.concat([ledger, new], ignore_index=True), CLASSES, OFFICIAL, path, official))
    assert {name: after[name] for name in before} == before
    assert [after[f"new{number}"] for number in range(6)] == ["train"] * 4 + ["validation", "reserve"]


@pytest.mark.parametrize(
    ("official", "words"),
    [
        ({}, "lack 6 of 6"),
        ({f"p{n:03d}": "1" for n in range(6)}, "into one fold"),
        ({f"p{n:03d}": "test" if n else "1" for n in range(6)}, "parts and folds at once"),
        ({f"p{n:03d}": "test" for n in range(6)}, "nobody in train"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tmp_path: Path, official: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        update_split(make_ledger(subjects(6)), CLASSES, OFFICIAL, tmp_path / "split.parquet", official)
    assert not (tmp_path / "split.parquet").exists()


@pytest.mark.parametrize(("adapter", "folds"), [("dfew", {*"12345"}), ("caer", {"train", "validation", "test"})])
def test_the_manifest_hands_the_lists_on(tmp_path: Path, adapter: str, folds: set[str]) -> None:
    stand_ins.STAND_INS[adapter](tmp_path / "corpus")
    settings = resolve_settings(overrides={"corpus.adapter": adapter, "corpus.root": str(tmp_path / "corpus")})
    manifest = build_manifest(settings.corpus, tmp_path / "manifest.parquet")
    official = official_of_subjects(manifest, adapter)
    assert set(official.values()) == folds
    for lacking in (manifest.assign(official=""), manifest.drop(columns="official")):
        with pytest.raises(UserError, match="no official folds"):
            official_of_subjects(lacking, adapter)
    twice = manifest.assign(subject="one")
    with pytest.raises(UserError, match="put one into"):
        official_of_subjects(twice, adapter)


def test_an_audit_says_that_nobody_is_named() -> None:
    split = clips(5).assign(side="train", fold="0")
    (finding,) = check_nameless(split)
    assert finding.what == "5 videos name nobody: people may stand in train and test"
    assert not list(check_nameless(split.assign(subject="anna")))
