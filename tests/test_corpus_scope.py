"""Studies with different classes side by side in one data root: what each one says is about itself."""

import re
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import FACE_SHAPE, OPTICAL_FLOW_SHAPE, write_shard

from fer_models.errors import UserError
from tasks.config.layout import Layout
from tasks.config.settings import StudySettings
from tasks.corpus.manifest import read_manifest
from tasks.dataset.audit import audit
from tasks.dataset.index import build_index, read_seen, read_subset
from tasks.dataset.pending import pending_videos
from tasks.dataset.splits import read_split, split_of_study, update_split
from tasks.outcomes import Outcome
from tasks.preparation.batches import Attempts
from tasks.preparation.ledger import count_outcomes, find_previous, read_ledger, select_videos
from tasks.preparation.scan import conclude, due_jobs, most_failures, scan_corpus
from tasks.study.runs import plan_runs
from tasks.video.segments import FaceFrame, VideoReport

FIRST, SECOND = ("anger", "fear", "sadness"), ("boredom", "joy", "neutral")
ALIKE = {"joy": "happiness"}  # as the project spells it


class Root:
    """A data root with a corpus of subjects who show six classes, a video each; shards are written by hand."""

    def __init__(self, folder: Path, num_subjects: int = 6) -> None:
        self.folder = folder
        for emotion in (*FIRST, *SECOND):
            for subject in range(num_subjects):
                self.add(emotion, f"p{subject}")

    def add(self, emotion: str, subject: str, name: str = "clip") -> None:
        path = self.folder / "videos" / emotion / subject / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{emotion} {subject} {name}".encode())

    def study(self, emotions: Sequence[str], **more: object) -> StudySettings:
        return StudySettings.model_validate(
            {
                "name": emotions[0],
                "data_root": self.folder / "data",
                "corpus": {"root": self.folder / "videos", "emotions": emotions},
                "arms": ["gap-sum"],
                **more,
            }
        )

    def prepare(self, settings: StudySettings) -> list[str]:
        """Prepare what is due, and return the ids; videos of p5 hold no face."""
        scan = scan_corpus(settings)
        attempts = Attempts()
        for job in due_jobs(scan, settings):
            covered = 0 if "/p5/" in job.video_id else 2
            report = VideoReport(
                sha256=job.video.sha256,
                outcome=Outcome.OK if covered else Outcome.NO_FACE,
                num_segments=2,
                num_covered=covered,
            )
            images = np.zeros(FACE_SHAPE, np.uint8), np.zeros(OPTICAL_FLOW_SHAPE, np.float16)
            write_shard(
                job.shard, [FaceFrame(i, 16 * i, 0.5 * i, (0, 0, 9, 9), 1, *images) for i in range(covered)], report
            )
            attempts.add({job.video.sha256: report})
        conclude(scan, settings, attempts)
        return [job.video_id for job in due_jobs(scan, settings)]

    def split(self, settings: StudySettings) -> pd.DataFrame:
        layout = Layout.of(settings)
        ledger = read_ledger(layout.ledger, settings.corpus.emotions)
        split = update_split(ledger, settings.corpus.emotions, settings.split, layout.split)
        build_index(ledger, split, layout.prepared, layout.index, settings.prepare.windows)
        return split


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def counts_of(settings: StudySettings) -> dict[str, int]:
    return count_outcomes(read_ledger(Layout.of(settings).ledger, settings.corpus.emotions))


@pytest.mark.parametrize("order", list(permutations((FIRST, SECOND))), ids=["one way", "the other way"])
def test_each_study_counts_its_own_videos_whoever_came_first(root: Root, order: tuple[Sequence[str], ...]) -> None:
    studies = [root.study(emotions) for emotions in order]
    expected = {"out_of_scope": 18, "ok": 15, "no_face": 3}
    decoded = []
    for settings in studies:
        decoded += root.prepare(settings)
        assert counts_of(settings) == expected
    assert len(decoded) == len(set(decoded)) == 36, "each decodes its own, and none twice"
    for settings in studies:
        assert counts_of(settings) == expected, "what the other did has changed nothing"
        assert root.prepare(settings) == []
        assert not pending_videos(settings).empty
    shards = find_previous(Layout.of(studies[0]).ledger)["shard"]
    assert (shards != "").all(), "nothing of the other is lost"


@pytest.mark.parametrize("protocol", ["holdout", "kfold", "loso"])
def test_each_study_has_its_side_of_the_split_whoever_came_first(root: Root, protocol: str) -> None:
    first, second = (root.study(emotions, split={"protocol": protocol}) for emotions in (FIRST, SECOND))
    for settings in (first, second):
        root.prepare(settings)
        root.split(settings)
    before = {settings.name: [run.folder for run in plan_runs(settings)] for settings in (first, second)}
    root.prepare(first)
    for settings in (first, second, first):
        split = root.split(settings)
        assert split["video_id"].nunique() == 18
        assert set(split["side"]) == {"train", "validation", "test"}, "none of its videos waits in reserve"
        folds = split["fold"].unique()
        emotions = settings.corpus.emotions
        assert [run.folder for run in plan_runs(settings)] == before[settings.name]
        assert set(read_seen(Layout.of(settings).index, int(folds[0]), emotions)["emotion"]) == set(emotions)
        assert set(read_subset(Layout.of(settings).index, int(folds[0]), "test", emotions)["emotion"]) == set(emotions)
        assert not audit(settings)
    whole = read_split(Layout.of(first).split)
    for _, rows in whole.groupby("fold"):
        assert rows.groupby("subject")["side"].nunique().eq(1).all(), "a subject has one side in both studies"


def test_a_split_from_before_gets_the_classes_that_it_lacks(root: Root) -> None:
    """Such a split has the rows of one study alone, and no names of folds."""
    first, second = root.study(FIRST), root.study(SECOND)
    root.prepare(first)
    own = root.split(first)
    own.drop(columns="fold_name").to_parquet(Layout.of(first).split)
    root.prepare(second)
    assert set(root.split(second)["side"]) == {"train", "validation", "test"}
    pd.testing.assert_frame_equal(root.split(first), own)


@pytest.mark.parametrize("protocol", ["holdout", "kfold", "file", "loso"])
def test_subjects_who_show_only_the_others_classes_are_dealt_out_too(
    root: Root, protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for loso, whose folds are the subjects of the first study: that is said."""
    for subject in ("q0", "q1", "q2", "q3"):
        for emotion in SECOND:
            root.add(emotion, subject)
    table = root.folder / "folds.csv"
    named = [f"{kind}{number},{number % 2}" for kind in "pq" for number in range(6)]
    table.write_text("\n".join(["subject,fold", *named]))
    split = {"protocol": protocol, "folds": 2, "folds_file": str(table)}
    first, second = (root.study(emotions, split=split) for emotions in (FIRST, SECOND))
    for settings in (first, second):
        root.prepare(settings)
        own = root.split(settings)
    tested = set(own.query("side == 'test'")["subject"])
    newcomers = {subject for subject in tested if subject.startswith("q")}
    assert len(newcomers) == {"holdout": 1, "loso": 0}.get(protocol, 4)
    assert ("4 of 10 people came after the folds were drawn and are never tested (q0" in capsys.readouterr().err) == (
        protocol == "loso"
    )
    if protocol == "file":
        places = own.query("side == 'test'").drop_duplicates("subject").set_index("subject")["fold_name"]
        assert places.to_dict() == {line.split(",")[0]: line[-1] for line in named if line[:2] in places}
    assert set(root.split(first)["subject"]) == {f"p{number}" for number in range(6)}


def test_the_test_side_of_a_class_that_is_compared_stays_as_it_is(root: Root) -> None:
    first, second = root.study(FIRST), root.study(SECOND)
    for settings in (first, second):
        root.prepare(settings)
        tested = root.split(settings).query("side == 'test'")
    subject = tested["subject"].iloc[0]
    for emotion in ("anger", "joy"):
        root.add(emotion, subject, "later")
    for settings in (second, first):
        root.prepare(settings)
        root.split(settings)
    split = read_split(Layout.of(first).split).set_index("video_id")["side"]
    assert (split[f"anger/{subject}/later.mp4"], split[f"joy/{subject}/later.mp4"]) == ("reserve", "reserve")


def test_a_ledger_from_before_is_read_for_each_study(root: Root) -> None:
    """It holds the outcomes of the study that prepared last: its scope, and `crashed` for what it never began."""
    first, second = root.study(FIRST), root.study(SECOND)
    root.prepare(first)
    layout = Layout.of(first)
    former = find_previous(layout.ledger)
    former.loc[former["outcome"] == "not_tried", ["outcome", "message"]] = ["out_of_scope", "'joy' is not .."]
    former.loc[0, ["outcome", "message", "shard", "attempts"]] = ["crashed", "the run stopped before its turn", "", 0]
    former.to_parquet(layout.ledger)
    assert counts_of(first) == {"out_of_scope": 18, "ok": 14, "no_face": 3, "not_tried": 1}
    assert counts_of(second) == {"out_of_scope": 18, "not_tried": 18}
    manifest = read_manifest(layout.manifest)
    outside = manifest["emotion"].isin([ALIKE.get(emotion, emotion) for emotion in SECOND])
    manifest.loc[outside, "status"] = "out_of_scope"
    manifest.to_parquet(layout.manifest)
    assert len(root.prepare(second)) == 18
    assert counts_of(first) == counts_of(second) == {"out_of_scope": 18, "ok": 15, "no_face": 3}


def test_shards_of_classes_that_the_ledger_forgot_are_found_again(root: Root) -> None:
    first, second = root.study(FIRST), root.study(SECOND)
    root.prepare(first)
    Layout.of(first).ledger.unlink()
    root.prepare(second)
    assert counts_of(first) == {"out_of_scope": 18, "ok": 15, "no_face": 3}


def test_failures_of_another_study_stop_nothing(root: Root) -> None:
    """All videos of p5 hold no face; the limit of each study is for its own 18."""
    root.prepare(root.study(FIRST))
    second = root.study(SECOND, execution={"max_failed_share": 0.2})
    scan = scan_corpus(second)
    assert most_failures(scan, second) == pytest.approx(0.2 * 18)
    root.prepare(second)


def test_videos_of_other_classes_are_no_fault_of_this_study(root: Root) -> None:
    """Nor is a file of theirs that is missing, or lacks a subject."""
    first = root.study(FIRST)
    (root.folder / "videos" / "joy" / "loose.mp4").write_bytes(b"of nobody")
    (root.folder / "videos" / "joy" / "p0" / "gone.mp4").symlink_to(root.folder / "nowhere.mp4")
    root.prepare(first)
    assert counts_of(first) == {"out_of_scope": 20, "ok": 15, "no_face": 3}
    second = root.study(SECOND)
    root.prepare(second)
    assert counts_of(second) == {"out_of_scope": 18, "ok": 15, "no_face": 3, "label_missing": 1, "file_missing": 1}


def test_what_was_not_tried_is_told_apart_and_due_next(root: Root) -> None:
    first = root.study(FIRST)
    scan = scan_corpus(first)
    conclude(scan, first, Attempts())
    ledger = read_ledger(Layout.of(first).ledger, FIRST)
    assert count_outcomes(ledger) == {"not_tried": 18, "out_of_scope": 18}
    assert len(select_videos(ledger, None, [])) == len(select_videos(ledger, "not_tried", [])) == 18
    assert len(root.prepare(first)) == 18


def test_a_refused_corpus_claims_nothing(tmp_path: Path) -> None:
    """Its labels are not those of the study, which shows before the manifest is written."""
    settings = Root(tmp_path / "other").study(("anger", "contempt"), data_root=tmp_path / "data")
    with pytest.raises(UserError, match="No video is labelled contempt"):
        scan_corpus(settings)
    assert not Layout.of(settings).manifest.exists()
    right = Root(tmp_path / "right").study(FIRST, data_root=tmp_path / "data")
    scan_corpus(right)
    third = Root(tmp_path / "third", 5)
    third.add("anger", "p0")
    for path in (tmp_path / "third").rglob("*.mp4"):
        path.write_bytes(path.read_bytes() + b" again")
    settings = third.study(FIRST, data_root=tmp_path / "data")
    scan_corpus(settings)  # nothing was prepared of the other one, so nothing is lost
    third.prepare(settings)
    with pytest.raises(UserError, match="holds another corpus"):
        scan_corpus(right)


def test_no_advice_removes_a_split(root: Root) -> None:
    first = root.study(FIRST)
    root.prepare(first)
    root.split(first)
    layout = Layout.of(first)
    ledger = read_ledger(layout.ledger, FIRST)
    tested = set(read_split(layout.split).query("side == 'test'")["subject"])
    lost = ledger.assign(outcome=ledger["outcome"].mask(ledger["subject"].isin(tested), "no_face"))
    swapped = ledger.assign(subject=ledger["subject"].str.replace("p", "q"))
    for wrong in (lost, swapped):
        with pytest.raises(UserError, match=r"set another split\.seed, which .* leaves this one") as caught:
            update_split(wrong, FIRST, first.split, layout.split)
        assert "remove" not in str(caught.value)
    assert len(split_of_study(read_split(layout.split), ledger, FIRST)) == 18


@pytest.mark.parametrize(
    "path", ["tasks/dataset/splits.py", "tasks/dataset/audit.py", "tasks/corpus/subject_names.py", "flows/split.py"]
)
def test_no_sentence_tells_to_remove_a_split(path: str) -> None:
    """Other studies may stand on it; another `split.seed` draws a new one beside it."""
    text = (Path(__file__).parent.parent / path).read_text(encoding="utf-8")
    assert not re.search(r"remove (\{path\}|\{drawn\}|the split)", text, re.IGNORECASE)
