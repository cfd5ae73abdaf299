"""What is to be said of the motion in the videos that a study uses."""

import pandas as pd

from tasks.config.prepare_settings import NEIGHBOURS, PrepareSettings
from tasks.preparation.ledger import is_usable
from tasks.video.pictures import NOTABLE_REPEATS


def motion_remarks(ledger: pd.DataFrame, prepare: PrepareSettings) -> list[str]:
    """Sentences on the usable videos whose motion is not what it seems to be; none when all is as it should be."""
    usable = ledger[is_usable(ledger)]
    if "repeated_share" not in usable:
        return []
    repeating = usable.loc[usable["repeated_share"] > NOTABLE_REPEATS, "repeated_share"]
    remarks = []
    if len(repeating):
        who = f"{_videos(len(repeating), len(usable))} repeat{'s' if len(repeating) == 1 else ''} frames"
        share = f"{who} (median {100 * repeating.median():.0f} % of them)"
        if prepare.pair == NEIGHBOURS:
            remarks.append(
                f"{share}; their optical flow is zero there, for prepare.pair is {NEIGHBOURS}. A time such as "
                "0.0333 measures motion between pictures that differ."
            )
        elif prepare.pair_s is not None:
            remarks.append(
                f"{share}, as recorders and converters do; motion was measured between pictures that differ."
            )
    far = usable[usable["num_far"] > usable["num_covered"] / 2]
    if len(far) and prepare.pair_s is not None:
        remarks.append(
            f"{_videos(len(far), len(usable))} hold{'s' if len(far) == 1 else ''} no frames that are about "
            f"{prepare.pair_s:.3g} s apart (median {far['interval_s'].median():.3g} s); motion was scaled from "
            "the time that there is, which over longer times smooths quick movements."
        )
    return remarks


def _videos(number: int, total: int) -> str:
    return f"{number} of {total} videos"
