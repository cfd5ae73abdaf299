"""The ledger: one outcome a video, and a plan that does only what is not done."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from conftest import write_shard

from fer_models.errors import UserError
from fer_models.labels import EMOTIONS
from tasks.outcomes import Outcome
from tasks.preparation.ledger import (
    check_failed_share,
    count_outcomes,
    find_previous,
    plan_preparation,
    read_ledger,
    select_videos,
    write_ledger,
)
from tasks.preparation.shards import shard_path
from tasks.video.segments import VideoReport

TRANSIENT = (Outcome.CRASHED, Outcome.TIMEOUT, Outcome.UNREADABLE)


def make_manifest(*videos: tuple[str, str, str]) -> pd.DataFrame:
    """Rows of (video_id, sha256, status)."""
    return pd.DataFrame(
        [
            {
                "video_id": video_id,
                "uri": f"/videos/{video_id}.mp4",
                "sha256": sha256,
                "subject": "anna",
                "emotion": "anger",
                "status": status,
                "reason": "" if status == Outcome.OK else f"why {status}",
            }
            for video_id, sha256, status in videos
        ]
    )


@dataclass
class Preparation:
    """A folder with shards and a ledger, prepared by hand."""

    folder: Path

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.parquet"

    @property
    def shards(self) -> Path:
        return self.folder / "shards"

    def due(self, manifest: pd.DataFrame) -> list[str]:
        return plan_preparation(manifest, find_previous(self.ledger), self.shards).due["video_id"].tolist()

    def run(self, manifest: pd.DataFrame, outcomes: dict[str, Outcome] | None = None) -> pd.DataFrame:
        """Do what is due: each content ends with the outcome named for it, else `ok`; only a shard if not transient."""
        plan = plan_preparation(manifest, find_previous(self.ledger), self.shards)
        reports = dict(plan.done)
        for sha256 in plan.due["sha256"]:
            outcome = (outcomes or {}).get(sha256, Outcome.OK)
            message = "" if outcome is Outcome.OK else f"it ended as {outcome}"
            if outcome in TRANSIENT:  # the worker died, so that nobody knows more (see `flows.prepare._report`)
                report = VideoReport(outcome=outcome, message=message)
            else:
                report = VideoReport(sha256=sha256, outcome=outcome, message=message, num_frames=40, fps=25.0)
                write_shard(shard_path(self.shards, sha256), [], report)
            reports[sha256] = report
        return write_ledger(self.ledger, manifest, reports, dict.fromkeys(plan.due["sha256"], 1))


@pytest.fixture
def preparation(tmp_path: Path) -> Preparation:
    return Preparation(tmp_path)


THREE = make_manifest(("a", "aa11", "ok"), ("b", "bb22", "ok"), ("c", "cc33", "ok"))
MIXED = make_manifest(
    ("a", "aa11", "ok"),
    ("b", "bb22", "ok"),
    ("c", "cc33", "ok"),
    ("d", "dd44", "out_of_scope"),
    ("e", "", "file_missing"),
    ("f", "", "file_missing"),
    ("g", "ee55", "label_conflict"),
)


def test_every_video_has_one_outcome_and_the_counts_add_up(preparation: Preparation) -> None:
    ledger = preparation.run(MIXED, {"bb22": Outcome.NO_FACE, "cc33": Outcome.CRASHED})
    assert ledger["video_id"].tolist() == MIXED["video_id"].tolist()
    assert ledger["outcome"].tolist() == [
        "ok",
        "no_face",
        "crashed",
        "out_of_scope",
        "file_missing",
        "file_missing",
        "label_conflict",
    ]
    counts = count_outcomes(ledger)
    assert sum(counts.values()) == len(MIXED)
    assert next(iter(counts)) == "file_missing"
    assert counts["ok"] == counts["no_face"] == counts["crashed"] == 1


def test_only_a_whole_shard_is_named(preparation: Preparation) -> None:
    ledger = preparation.run(MIXED, {"bb22": Outcome.NO_FACE, "cc33": Outcome.CRASHED})
    assert ledger["shard"].tolist() == ["shards/aa/aa11.parquet", "shards/bb/bb22.parquet", "", "", "", "", ""]
    for shard in ledger["shard"]:
        assert not shard or (preparation.folder / shard).is_file()


def test_messages_say_why(preparation: Preparation) -> None:
    ledger = preparation.run(MIXED, {"bb22": Outcome.NO_FACE})
    assert ledger["message"].tolist() == [
        "",
        "it ended as no_face",
        "",
        "why out_of_scope",
        "why file_missing",
        "why file_missing",
        "why label_conflict",
    ]


def test_a_remark_on_a_good_video_is_its_message(preparation: Preparation) -> None:
    manifest = THREE.assign(reason=["the clip name was used", "", ""])
    assert preparation.run(manifest)["message"].tolist() == ["the clip name was used", "", ""]
    assert preparation.run(manifest)["message"].tolist() == ["the clip name was used", "", ""]


def test_what_is_written_is_what_is_returned(preparation: Preparation) -> None:
    ledger = preparation.run(MIXED)
    pd.testing.assert_frame_equal(find_previous(preparation.ledger), ledger, check_dtype=False)


def test_at_first_every_good_video_is_due(preparation: Preparation) -> None:
    assert preparation.due(MIXED) == ["a", "b", "c"]


def test_a_second_run_has_nothing_to_do(preparation: Preparation) -> None:
    first = preparation.run(MIXED, {"bb22": Outcome.UNDECODABLE})
    assert preparation.due(MIXED) == []
    pd.testing.assert_frame_equal(preparation.run(MIXED), first)


def test_one_new_video_is_the_only_one_due(preparation: Preparation) -> None:
    preparation.run(THREE)
    more = pd.concat([make_manifest(("new", "0123", "ok")), THREE], ignore_index=True)
    assert preparation.due(more) == ["new"]
    assert preparation.run(more)["attempts"].tolist() == [1, 1, 1, 1]


def test_a_video_whose_content_changed_is_due(preparation: Preparation) -> None:
    preparation.run(THREE)
    assert preparation.due(THREE.assign(sha256=["aa99", "bb22", "cc33"])) == ["a"]


def test_a_video_whose_label_was_mended_is_due(preparation: Preparation) -> None:
    preparation.run(MIXED)
    assert preparation.due(MIXED.assign(status="ok")[:4]) == ["d"]


@pytest.mark.parametrize("outcome", TRANSIENT)
def test_a_transient_fault_is_tried_again(preparation: Preparation, outcome: Outcome) -> None:
    first = preparation.run(THREE, {"bb22": outcome})
    assert first["outcome"].tolist() == ["ok", outcome, "ok"]
    assert preparation.due(THREE) == ["b"]
    preparation.run(THREE, {"bb22": outcome})
    assert preparation.due(THREE) == ["b"]
    assert preparation.run(THREE)["outcome"].tolist() == ["ok", "ok", "ok"]
    assert preparation.due(THREE) == []


def test_every_content_keeps_its_name_in_the_ledger(preparation: Preparation) -> None:
    ledger = preparation.run(MIXED, {"bb22": Outcome.CRASHED})
    assert ledger["sha256"].tolist() == MIXED["sha256"].tolist()


def test_attempts_are_counted_over_all_runs(preparation: Preparation) -> None:
    for attempts in (1, 2, 3):
        assert preparation.run(THREE, {"bb22": Outcome.CRASHED})["attempts"].tolist() == [1, attempts, 1]
    assert preparation.run(THREE)["attempts"].tolist() == [1, 4, 1]


def test_a_missing_file_is_never_an_attempt(preparation: Preparation) -> None:
    for _ in range(2):
        ledger = preparation.run(MIXED, {"cc33": Outcome.CRASHED})
    assert ledger["attempts"].tolist() == [1, 1, 2, 0, 0, 0, 0]


@pytest.mark.parametrize("outcome", [Outcome.NO_FACE, Outcome.TRUNCATED, Outcome.UNDECODABLE, Outcome.TOO_SHORT])
def test_a_lasting_fault_is_not_tried_again(preparation: Preparation, outcome: Outcome) -> None:
    preparation.run(THREE, {"bb22": outcome})
    assert preparation.due(THREE) == []


def test_a_video_whose_turn_never_came_is_due(preparation: Preparation) -> None:
    report = VideoReport(sha256="aa11", outcome=Outcome.OK)
    write_shard(shard_path(preparation.shards, "aa11"), [], report)
    ledger = write_ledger(preparation.ledger, THREE, {"aa11": report}, {"aa11": 1})
    assert ledger["outcome"].tolist() == ["ok", "not_tried", "not_tried"]
    assert ledger["attempts"].tolist() == [1, 0, 0]
    assert preparation.due(THREE) == ["b", "c"]


def test_a_shard_that_a_broken_run_left_counts_as_done(preparation: Preparation) -> None:
    """The run was killed between the shard and the ledger, in which the video still stands as crashed."""
    preparation.run(THREE, {"bb22": Outcome.CRASHED})
    write_shard(shard_path(preparation.shards, "bb22"), [], VideoReport(sha256="bb22", outcome=Outcome.OK))
    assert preparation.due(THREE) == []
    assert preparation.run(THREE)["outcome"].tolist() == ["ok", "ok", "ok"]


def test_a_label_that_was_doubted_for_a_while_costs_no_second_preparation(preparation: Preparation) -> None:
    first = preparation.run(THREE, {"cc33": Outcome.NO_FACE})
    doubted = preparation.run(THREE.assign(status=["ok", "label_conflict", "out_of_scope"]))
    assert doubted["outcome"].tolist() == ["ok", "label_conflict", "out_of_scope"]
    assert doubted["shard"].tolist() == ["shards/aa/aa11.parquet", "", ""]
    assert preparation.due(THREE) == []
    again = preparation.run(THREE)
    pd.testing.assert_frame_equal(
        again.drop(columns=["attempts", "tried_at"]), first.drop(columns=["attempts", "tried_at"])
    )


def test_a_lost_shard_is_made_again(preparation: Preparation) -> None:
    preparation.run(THREE)
    shard_path(preparation.shards, "cc33").unlink()
    assert preparation.due(THREE) == ["c"]


def test_a_lost_ledger_is_rebuilt_from_the_shards(preparation: Preparation) -> None:
    first = preparation.run(MIXED, {"bb22": Outcome.NO_FACE})
    preparation.ledger.unlink()
    assert preparation.due(MIXED) == []
    rebuilt = preparation.run(MIXED)
    pd.testing.assert_frame_equal(
        rebuilt.drop(columns=["attempts", "tried_at"]), first.drop(columns=["attempts", "tried_at"])
    )


def test_a_temporary_file_is_no_shard(preparation: Preparation) -> None:
    preparation.run(THREE)
    shard = shard_path(preparation.shards, "cc33")
    shard.rename(shard.with_name(f".part-12345678-{shard.name}"))
    assert preparation.due(THREE) == ["c"]


def test_two_videos_of_one_content_are_prepared_once_and_both_listed(preparation: Preparation) -> None:
    manifest = make_manifest(("a", "aa11", "ok"), ("copy", "aa11", "ok"), ("b", "bb22", "ok"))
    assert preparation.due(manifest) == ["a", "b"]
    ledger = preparation.run(manifest)
    assert ledger["video_id"].tolist() == ["a", "copy", "b"]
    assert ledger["outcome"].tolist() == ["ok", "ok", "ok"]
    assert ledger["shard"].tolist() == ["shards/aa/aa11.parquet", "shards/aa/aa11.parquet", "shards/bb/bb22.parquet"]
    assert preparation.due(manifest) == []


@pytest.mark.parametrize("later", [["", "the clip name was used", ""], ["", "", ""]], ids=["copy", "mended"])
def test_a_remark_stays_with_its_video(preparation: Preparation, later: list[str]) -> None:
    manifest = make_manifest(("a", "aa11", "ok"), ("copy", "aa11", "ok"), ("b", "bb22", "ok"))
    preparation.run(manifest.assign(reason=["", "the clip name was used", ""]))
    assert preparation.run(manifest.assign(reason=later))["message"].tolist() == later


def test_no_ledger(preparation: Preparation) -> None:
    with pytest.raises(UserError, match="run `fer prepare` first"):
        read_ledger(preparation.ledger, EMOTIONS)


def outcomes(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"outcome": names}).assign(video_id="a", message="why", tried_at="")


@pytest.mark.parametrize(
    ("names", "limit"),
    [
        (["ok", "no_face"], 0.5),
        (["ok"] * 3 + ["crashed"], 0.25),
        (["ok"], 0.0),
        (["ok"] + ["out_of_scope"] * 5 + ["label_missing"] * 5, 0.0),
        (["out_of_scope"] * 2, 0.0),
        ([], 0.0),
    ],
)
def test_a_share_of_failures_that_is_allowed(names: Iterable[str], limit: float) -> None:
    check_failed_share(outcomes(*names), limit)


@pytest.mark.parametrize(
    ("names", "limit", "words"),
    [
        (["ok", "no_face"], 0.49, "1 of 2 videos could not be used"),
        (
            ["ok", "crashed", "crashed", "file_missing"],
            0.5,
            "      2  crashed         such as a: why\n      1  file_missing",
        ),
        (["ok", "label_conflict", "out_of_scope"], 0.4, "1 of 2 videos"),
        (["timeout"], 0.99, "1 of 1 videos"),
    ],
)
def test_too_many_failures_stop_the_run(names: Iterable[str], limit: float, words: str) -> None:
    with pytest.raises(UserError) as caught:
        check_failed_share(outcomes(*names), limit)
    assert words in str(caught.value)
    assert "execution.max_failed_share" in str(caught.value)


def test_shards_that_hold_something_else_are_made_again(
    preparation: Preparation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two lie under the other's name, one in a folder where nobody looks for it; the ledger knows of none."""
    preparation.run(THREE)
    preparation.ledger.unlink()
    first, second, third = (shard_path(preparation.shards, sha256) for sha256 in THREE["sha256"])
    kept = first.read_bytes()
    second.replace(first)
    second.write_bytes(kept)
    capsys.readouterr()
    assert preparation.due(THREE) == ["a", "b"]
    assert f"Shards that are not what their names say are made again: 2, such as {first}." in capsys.readouterr().err
    (preparation.shards / "zz").mkdir()
    third.replace(preparation.shards / "zz" / third.name)
    assert preparation.due(THREE) == ["a", "b", "c"]


def test_a_video_can_be_named_by_its_content(preparation: Preparation) -> None:
    ledger = preparation.run(THREE)
    assert select_videos(ledger, None, ["bb22", "c"]) == ["b", "c"]


def test_remarks_of_manifest_and_preparation_stand_together_and_do_not_pile_up(preparation: Preparation) -> None:
    manifest = make_manifest(("a", "aa11", "ok"), ("b", "bb22", "ok")).assign(reason=["2 numbers are missing", ""])
    remark = "48 % of its frames repeat the one before"
    reports = {sha: VideoReport(sha256=sha, outcome=Outcome.OK, message=remark) for sha in ("aa11", "bb22")}
    for report in reports.values():
        write_shard(shard_path(preparation.shards, report.sha256), [], report)
    wanted = [f"2 numbers are missing; {remark}", remark]
    for known in (reports, {}, {}):
        ledger = write_ledger(preparation.ledger, manifest, known, {})
        assert ledger["message"].tolist() == wanted
        assert ledger["remark"].tolist() == [remark, remark]
    settled = plan_preparation(manifest, find_previous(preparation.ledger), preparation.shards).done
    assert [report.message for report in settled.values()] == [remark, remark]
    mended = write_ledger(preparation.ledger, manifest.assign(reason=""), settled, {})
    assert mended["message"].tolist() == [remark, remark]


def test_a_ledger_of_an_older_version_is_read(preparation: Preparation) -> None:
    """It has no codec, times and repeats; what it says of its videos counts."""
    ledger = preparation.run(THREE, {"bb22": Outcome.NO_FACE})
    new = ["remark", "codec", "duration_s", "repeated_share", "interval_s", "num_far"]
    ledger.drop(columns=new).to_parquet(preparation.ledger)
    assert preparation.due(THREE) == []
    again = write_ledger(preparation.ledger, THREE, {}, {})
    assert again["outcome"].tolist() == ["ok", "no_face", "ok"]
    assert set(new) < set(find_previous(preparation.ledger).columns)
