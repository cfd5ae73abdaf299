"""What pictures have in common: letters of any script, colours that are told apart."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from tasks.drawing.colours import MOST_CLASSES, class_colours, track_colour
from tasks.drawing.figures import save_figure
from tasks.drawing.lettering import drawable_names, fit, fonts_for, letters, set_names, shorten
from tasks.report.plots.class_distribution import plot_class_distribution
from tasks.report.plots.confusion import plot_confusion
from tasks.report.plots.mean_maps import plot_mean_maps
from tasks.study.explanations import MeanMap


def test_each_class_has_a_colour_of_its_own() -> None:
    labels = ["joyful", "anger", "x", "neutral", "happiness", "y", "z"]
    colours = class_colours(labels)
    assert len(set(colours)) == len(labels)
    assert class_colours(["anger", "happiness"]) == [colours[1], colours[4]], "an emotion's is always the same"
    assert len(set(class_colours([f"class {number}" for number in range(MOST_CLASSES)]))) == MOST_CLASSES
    assert len(class_colours([f"class {number}" for number in range(40)])) == 40


def test_neighbouring_tracks_have_different_colours() -> None:
    assert len({track_colour(track) for track in range(1, 8)}) == 7
    assert track_colour(8) == track_colour(1)


def test_lines_of_a_size_are_equally_high_with_their_feet_at_one_height() -> None:
    wide, tall, deep = (letters(text, 20) for text in ("mmm", "lll", "yyy"))
    assert wide.shape[0] == tall.shape[0] == deep.shape[0] == 28
    assert wide.shape[1] > tall.shape[1]
    feet = [int(np.flatnonzero(one.max(axis=1) > 128)[-1]) for one in (wide, tall)]
    assert feet[0] == feet[1]
    assert np.flatnonzero(deep.max(axis=1) > 128)[-1] > feet[0]
    assert letters("mmm", 20, True).sum() > wide.sum()


def test_what_looks_like_a_formula_is_none() -> None:
    assert letters("$x_1$", 20).shape[1] > letters("x1", 20).shape[1] + 20


def test_arabic_letters_are_drawn_and_joined() -> None:
    apart = sum(letters(letter, 40).shape[1] for letter in "سعادة")
    assert letters("سعادة", 40).max() == 255
    assert letters("سعادة", 40).shape[1] < apart


def test_signs_that_no_font_has_are_squares_with_the_number_of_the_class() -> None:
    names = ["joy", "\U0001f9ff\U0010fffd", "سعادة"]
    assert drawable_names(names, 24) == ["joy", "2 □□", "سعادة"]
    assert fonts_for("joy") == ["DejaVu Sans"]


@pytest.mark.parametrize("bold", [False, True])
def test_names_are_shortened_until_they_fit(bold: bool) -> None:
    assert fit("joy", 12, bold, 100) == "joy"
    short = fit("a name that goes on and on", 12, bold, 80)
    assert "…" in short
    assert letters(short, 12, bold).shape[1] <= 80 < letters("a name that goes on and on", 12, bold).shape[1]


def test_what_cannot_be_seen_is_written_out() -> None:
    assert shorten("a\u202eb\n", 20) == "a\\u202eb\\n"


def test_figures_show_names_as_they_are(tmp_path: Path) -> None:
    """A title, a label and names at ticks that would be formulas, broken ones among them, or in no font."""
    figure = Figure()
    axes = figure.subplots()
    names = ["$sad$ly", "$", "\\frac{", "100 % a_b^2", "سعادة", "\U0010fffd"]
    axes.set_title("$x_1$ and $\\frac")
    axes.set_xlabel("\U0010fffd")
    set_names(axes.xaxis, names)
    set_names(axes.yaxis, names, every=2)
    path = save_figure(figure, tmp_path / "figure.png")
    assert path.stat().st_size > 1000
    assert not any(text.get_parse_math() for text in figure.findobj(Text))
    assert [label.get_text() for label in axes.get_xticklabels()] == [*names[:5], "6 □"]
    assert len(axes.get_yticklabels()) == 3
    assert axes.get_xlabel() == "□"


@pytest.mark.parametrize("num_classes", [2, 12, 13, 300])
def test_a_confusion_figure_of_many_classes_is_quick_and_not_too_large(num_classes: int, tmp_path: Path) -> None:
    counts = np.random.default_rng(0).integers(0, 3, (num_classes, num_classes))
    figure = plot_confusion(counts, [f"class {number}" for number in range(num_classes)], "a title")
    start_s = time.process_time()
    save_figure(figure, tmp_path / "confusion.png")
    assert time.process_time() - start_s < 5
    assert max(figure.get_size_inches()) < 20
    assert len(figure.axes[0].get_xticklabels()) <= 60


def test_figures_of_hundreds_of_classes_stay_within_what_can_be_written() -> None:
    names = [f"class {number}" for number in range(300)]
    maps = {"spatial": np.zeros((4, 4))}
    means = [MeanMap(name, number, np.zeros((1, 8, 8, 3), np.uint8), maps) for number, name in enumerate(names)]
    assert max(plot_mean_maps(means, "x").get_size_inches()) < 100
    index = pd.DataFrame({"video_id": names, "emotion": names, "subject": names, "side": "train"})
    assert max(plot_class_distribution(index, names).get_size_inches()) < 100
