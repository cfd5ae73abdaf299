"""What is to be said of the videos that a study uses, and of the motion in them."""

from pathlib import Path

import pandas as pd

from tasks.config.prepare_settings import NEIGHBOURS, PrepareSettings
from tasks.corpus.adapters.walking import VIDEO_SUFFIXES
from tasks.dataset.drift import seconds
from tasks.preparation.ledger import is_usable
from tasks.video.image_sequences import STILL
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


def video_facts(videos: pd.DataFrame) -> str:
    """Size, rate and length of the usable videos, as a phrase; images have neither rate nor length."""
    sizes = videos.groupby(["width", "height"]).size().sort_values(ascending=False)
    listed = ", ".join(f"{width}x{height}" for width, height in sizes.index[:3])
    more = f" and {len(sizes) - 3} other sizes" if len(sizes) > 3 else ""
    are_films = videos["uri"].map(lambda uri: Path(uri).suffix.lower() in VIDEO_SUFFIXES)
    are_stills = videos["codec"] == STILL if "codec" in videos else are_films & False
    films, images, stills = videos[are_films], videos[~are_films & ~are_stills], videos[are_stills]
    facts = [f"{listed}{more} px"]
    if len(films):
        facts += [f"{_range(films['fps'], '.4g')} frames/s", f"{_range(seconds(films), '.1f')} s long"]
    counted = f"{_range(images['num_frames'], '.0f')} numbered images each"
    for some, words in ((images, counted), (stills, "single images")):
        if len(some):
            facts.append(words if len(some) == len(videos) else f"{len(some)} of them {words}")
    return ", ".join(facts)


def _range(values: pd.Series, form: str) -> str:
    low, high = format(values.min(), form), format(values.max(), form)
    return low if low == high else f"{low} to {high}"
