"""Colours that people who see colours differently can tell apart (Okabe and Ito 2008), and a grey."""

from collections.abc import Sequence

BLUE, ORANGE, GREEN, VERMILION, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#6b7280"
SKY_BLUE, YELLOW, _BROWN, _LIGHT_GREY = "#56B4E9", "#F0E442", "#8c6d46", "#9ca3af"

#: Of words for emotions, whatever the other classes are.
_OF_EMOTIONS = {
    "anger": VERMILION,
    "disgust": GREEN,
    "fear": PURPLE,
    "happiness": ORANGE,
    "sadness": BLUE,
    "surprise": SKY_BLUE,
    "contempt": _BROWN,
    "neutral": _LIGHT_GREY,
}
_OF_CLASSES = (VERMILION, ORANGE, GREEN, SKY_BLUE, BLUE, PURPLE, YELLOW, _BROWN, _LIGHT_GREY)
#: More classes than these cannot be told apart by their colours.
MOST_CLASSES = len(_OF_CLASSES)
_OF_TRACKS = (GREEN, ORANGE, SKY_BLUE, PURPLE, VERMILION, YELLOW, BLUE)


def class_colours(labels: Sequence[str]) -> list[str]:
    """A colour for each class: that of its emotion, or else one that no other class has, as long as there are some."""
    used = {_OF_EMOTIONS[label] for label in labels if label in _OF_EMOTIONS}
    free = [colour for colour in _OF_CLASSES if colour not in used] or list(_OF_CLASSES)
    others = [label for label in labels if label not in _OF_EMOTIONS]
    given = {label: free[number % len(free)] for number, label in enumerate(others)}
    return [_OF_EMOTIONS.get(label) or given[label] for label in labels]


def track_colour(track: int) -> tuple[int, int, int]:
    """The colour of a followed face, by its number from 1: red, green, blue, 0..255."""
    text = _OF_TRACKS[(track - 1) % len(_OF_TRACKS)]
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
