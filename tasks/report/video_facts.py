"""What the videos of a corpus are like, in a phrase."""

from pathlib import Path

import pandas as pd

from tasks.corpus.adapters.walking import VIDEO_SUFFIXES
from tasks.dataset.drift import seconds
from tasks.video.image_sequences import STILL


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
