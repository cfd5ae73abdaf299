"""When a run is said to have ended too early."""

import numpy as np
import pytest

from fer_models.training.progress import Epoch, chosen_epoch, still_climbs


def history(*monitored: float) -> list[Epoch]:
    names = ("learning_rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_uar", "seconds")
    rest = dict.fromkeys(names, 0.0)
    return [Epoch(epoch=number, monitored=value, **rest) for number, value in enumerate(monitored, start=1)]


@pytest.mark.parametrize(
    ("monitored", "climbs"),
    [
        ((), False),
        ((0.1, 0.2, 0.3), False),  # too few to tell
        ((0.1, 0.2, 0.3, 0.4), True),
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6, 0.6), False),  # it did once
        ((0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.52, 0.54, 0.56, 0.58), True),
        ((0.5, 0.5, 0.5, 0.5, 0.8, 0.5, 0.8, 0.55), False),  # noise
        ((0.500, 0.501, 0.502, 0.503, 0.504), False),  # too little to care
        ((-1.0, -0.9, -0.8, -0.7), True),  # losses, negated
        ((-0.7, -0.8, -0.9, -1.0), False),
    ],
)
def test_it_still_climbs(monitored: tuple[float, ...], climbs: bool) -> None:
    assert still_climbs(history(*monitored)) is climbs


def test_noise_about_a_level_seldom_climbs() -> None:
    rng = np.random.default_rng(0)
    found = [still_climbs(history(*rng.normal(0.7, 0.03, 30))) for _ in range(300)]
    assert np.mean(found) < 0.08


@pytest.mark.parametrize(
    ("choose", "chosen"),
    [
        ("best", [1, 2, 2, 2, 2, 2]),  # the first of equal ones
        ("smoothed", [1, 2, 3, 3, 3, 6]),  # means of three: .53, .50, .53, .60
        ("last", [1, 2, 3, 4, 5, 6]),
    ],
)
def test_the_chosen_epoch_is_a_new_one_or_the_one_before(choose: str, chosen: list[int]) -> None:
    values = (0.3, 0.9, 0.4, 0.2, 0.9, 0.7)
    assert [chosen_epoch(history(*values[:end]), choose) for end in range(1, 7)] == chosen
