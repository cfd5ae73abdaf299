"""What is said of motion that was not measured as it should be, and that nothing is said where it was."""

import pandas as pd
import pytest

from tasks.config.prepare_settings import PrepareSettings
from tasks.report.remarks import motion_remarks

FIRST_LAST = PrepareSettings(pair="first_last")
OVER_TIME, NEIGHBOURS = PrepareSettings(), PrepareSettings(pair="neighbours")


def ledger(**facts: object) -> pd.DataFrame:
    """Ten videos; the facts are those of the first four."""
    plain = {"outcome": "ok", "num_covered": 8, "repeated_share": 0.02, "num_far": 0, "interval_s": 0.04}
    return pd.DataFrame([plain | facts] * 4 + [plain] * 6)


def test_ordinary_videos_are_no_remark() -> None:
    assert motion_remarks(ledger(), OVER_TIME) == motion_remarks(ledger(), NEIGHBOURS) == []


def test_repeats_were_stepped_over_or_are_still() -> None:
    repeating = ledger(repeated_share=0.48)
    (over_time,) = motion_remarks(repeating, OVER_TIME)
    assert over_time.startswith("4 of 10 videos repeat frames (median 48 % of them)")
    assert over_time.endswith("motion was measured between pictures that differ.")
    (neighbours,) = motion_remarks(repeating, NEIGHBOURS)
    assert motion_remarks(repeating, FIRST_LAST) == [], "what is repeated between the two frames does not matter"
    assert neighbours.startswith("4 of 10 videos repeat frames (median 48 % of them); their optical flow is zero there")


def test_few_frames_a_second_are_a_remark() -> None:
    (remark,) = motion_remarks(ledger(num_far=7, interval_s=1 / 6), OVER_TIME)
    assert remark.startswith("4 of 10 videos hold no frames that are about 0.0333 s apart (median 0.167 s)")


@pytest.mark.parametrize("facts", [{"outcome": "no_face"}, {"num_covered": 0}])
def test_videos_that_are_not_used_are_no_remark(facts: dict[str, object]) -> None:
    assert motion_remarks(ledger(repeated_share=0.5, num_far=8, **facts), OVER_TIME) == []


def test_a_ledger_of_an_older_version_says_nothing() -> None:
    assert motion_remarks(ledger().drop(columns=["repeated_share", "num_far", "interval_s"]), OVER_TIME) == []
