"""Learning rates worked by hand."""

from dataclasses import dataclass

import pytest

from fer_models.settings import ConstantSchedule, CosineSchedule, PlateauSchedule, Triangular2Schedule
from fer_models.training.schedules import learning_rate


@dataclass(frozen=True)
class Record:
    """What a schedule sees of an epoch."""

    monitored: float = 0.0
    train_accuracy: float = 0.0
    val_accuracy: float = 0.0


def monitored(*values: float) -> list[Record]:
    return [Record(value) for value in values]


def accuracies(*pairs: tuple[float, float]) -> list[Record]:
    return [Record(0.0, train, val) for train, val in pairs]


def test_constant():
    assert learning_rate(ConstantSchedule(), 0.3, 7.5, 50, monitored(3, 2, 1, 0)) == 0.3


@pytest.mark.parametrize(
    ("history", "rate"),
    [
        ((), 1.0),
        ((0.5,), 1.0),
        ((0.5, 0.4), 1.0),  # waited one epoch
        ((0.5, 0.4, 0.5), 0.5),  # an equal value is no better
        ((0.5, 0.4, 0.6, 0.6), 1.0),  # the wait began anew
        ((0.5, 0.4, 0.4, 0.4), 0.5),  # and after a reduction too
        ((0.5, 0.4, 0.4, 0.4, 0.4), 0.25),
        ((0.5, 0.4, 0.4, 0.6, 0.5, 0.5), 0.25),  # what was reduced stays reduced
        ((-3.0, -2.0, -2.5, -2.5), 0.5),  # losses, negated
    ],
)
def test_plateau_halves_after_two_epochs_without_a_better_value(history, rate):
    assert learning_rate(PlateauSchedule(factor=0.5, patience=2), 1.0, len(history), 50, monitored(*history)) == rate


def test_plateau_stops_at_its_minimum():
    schedule = PlateauSchedule(factor=0.1, patience=1, minimum=0.05)
    rates = [learning_rate(schedule, 1.0, n, 50, monitored(*[0.0] * n)) for n in range(5)]
    assert rates == pytest.approx([1.0, 1.0, 0.1, 0.05, 0.05])


def test_plateau_never_raises_the_rate():
    schedule = PlateauSchedule(factor=0.5, patience=1, minimum=1e-4)
    assert learning_rate(schedule, 1e-5, 2, 50, monitored(0.0, 0.0)) <= 1e-5


@pytest.mark.parametrize(
    ("position", "rate"),
    [
        (0.0, 1.0),
        (2.0, 3.5),
        (4.0, 6.0),  # the first peak: 6 times the base
        (6.0, 3.5),
        (8.0, 1.0),
        (10.0, 2.25),
        (12.0, 3.5),  # 1 + 5 / 2
        (14.0, 2.25),
        (16.0, 1.0),
        (20.0, 2.25),  # 1 + 5 / 4
        (28.0, 1.625),  # 1 + 5 / 8
    ],
)
def test_triangular2(position, rate):
    schedule = Triangular2Schedule(peak_factor=6.0, half_cycle_epochs=4.0)
    assert learning_rate(schedule, 1.0, position, 50, []) == pytest.approx(rate)
    assert learning_rate(schedule, 1e-3, position, 50, []) == pytest.approx(rate * 1e-3)


def test_triangular2_with_a_fractional_half_cycle():
    schedule = Triangular2Schedule(peak_factor=3.0, half_cycle_epochs=0.5)
    rates = [learning_rate(schedule, 2.0, position, 50, []) for position in (0.0, 0.25, 0.5, 1.0, 1.5, 2.5)]
    assert rates == pytest.approx([2.0, 4.0, 6.0, 2.0, 4.0, 3.0])


@pytest.mark.parametrize(
    ("history", "restart"),
    [
        ([(0.1, 0.1), (0.1, 0.1)], 0),  # stalled for one epoch
        ([(0.1, 0.1), (0.1, 0.1), (0.1, 0.1)], 3),
        ([(0.1, 0.1), (0.2, 0.1), (0.3, 0.1)], 0),  # training still improves
        ([(0.1, 0.1), (0.1, 0.2), (0.1, 0.3)], 0),  # validation still improves
        ([(0.1, 0.1), (0.1, 0.1), (0.2, 0.1), (0.2, 0.1)], 0),  # the wait began anew
        ([(0.2, 0.2), (0.1, 0.1), (0.1, 0.1), (0.3, 0.1)], 3),  # what was restarted stays so
        ([(0.2, 0.2), (0.1, 0.1), (0.1, 0.1), (0.1, 0.1), (0.1, 0.1)], 5),
    ],
)
def test_triangular2_restarts_when_both_accuracies_stall(history, restart):
    schedule = Triangular2Schedule(peak_factor=6.0, half_cycle_epochs=1.0, restart_patience=2)
    plain = schedule.model_copy(update={"restart_patience": None})
    for fraction in (0.0, 0.3, 0.8):
        position = len(history) + fraction
        rate = learning_rate(schedule, 1.0, position, 50, accuracies(*history))
        assert rate == pytest.approx(learning_rate(plain, 1.0, position - restart, 50, []))


@pytest.mark.parametrize(
    "schedule",
    [
        PlateauSchedule(factor=0.5, patience=1),
        Triangular2Schedule(half_cycle_epochs=1.5, restart_patience=1),
        ConstantSchedule(),
    ],
)
def test_a_resumed_run_gets_the_rates_of_an_undisturbed_one(schedule):
    history = [Record(value, value, value) for value in (0.3, 0.2, 0.5, 0.5, 0.1, 0.6)]
    undisturbed = [learning_rate(schedule, 1.0, n + 0.25, 50, history[:n]) for n in range(7)]
    resumed = [learning_rate(schedule, 1.0, n + 0.25, 50, list(history[:n])) for n in reversed(range(7))]
    assert undisturbed == resumed[::-1]


def test_cosine_rises_then_falls_to_nothing_at_the_end_of_the_budget():
    schedule = CosineSchedule(warmup=0.2)
    rates = [learning_rate(schedule, 2.0, position, 10, []) for position in (0, 1, 2, 4, 6, 8, 10)]
    half = 2**-0.5
    assert rates == pytest.approx([0, 1.0, 2.0, 1 + half, 1.0, 1 - half, 0], abs=1e-12)
    assert learning_rate(CosineSchedule(warmup=0), 2.0, 0, 10, []) == 2.0
    assert learning_rate(schedule, 2.0, 40, 100, []) == pytest.approx(1 + half), "the budget scales it"
