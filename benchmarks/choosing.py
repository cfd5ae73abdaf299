"""Which epoch to take when validation is noisy: a simulation. `PYTHONPATH=. .venv/bin/python benchmarks/choosing.py`

A clip is right when its margin is above 0: a level that rises to a plateau over the epochs, an own part of the person
and of the clip, and what moves from epoch to epoch, in all clips alike (the model is better or worse) and in each by
itself (it errs elsewhere). What moves dies down as the learning rate does, or does not. Prints for each number of
validation people what is lost against the best epoch there was, on endless test people, and the optimism: accuracy of
the chosen epoch in the validation minus its true one; in points, means over the simulated runs.
"""

import numpy as np
from scipy.stats import norm

from fer_models.training.progress import Epoch, chosen_epoch

RUNS = 400
EPOCHS = 30
CLIPS = 3
#: Standard deviations of the margins' parts: of a person, of a clip, of an epoch for all clips and for each of them.
PERSON, CLIP, COMMON, OWN = 0.5, 0.8, 0.15, 0.4


def main() -> None:
    """Simulate, print the table."""
    print("| movement | people | choose | lost | optimism |\n|---|---:|---|---:|---:|")
    for annealed in (True, False):
        for people in (5, 9, 30, 100):
            found = {choose: [] for choose in ("best", "smoothed", "last")}
            for run in range(RUNS):
                seen, true = simulate(people, annealed, np.random.default_rng([people, run, annealed]))
                history = [epoch(number, value) for number, value in enumerate(seen, start=1)]
                for choose, rows in found.items():
                    chosen = chosen_epoch(history, choose) - 1
                    rows.append((true.max() - true[chosen], seen[chosen] - true[chosen]))
            for choose, rows in found.items():
                lost, optimism = 100 * np.mean(rows, axis=0)
                movement = "dies down" if annealed else "goes on"
                print(f"| {movement} | {people} | `{choose}` | {lost:.1f} | {optimism:+.1f} |")


def simulate(people: int, annealed: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy of each epoch in the validation and on endless people, float (EPOCHS,) both."""
    time = np.linspace(0, 1, EPOCHS)
    moves = (1 + np.cos(np.pi * time)) / 2 if annealed else np.ones(EPOCHS)
    level = 1.0 - 2.0 * np.exp(-5 * time) + COMMON * moves * rng.normal(size=EPOCHS)
    fixed = PERSON * rng.normal(size=(people, 1)) + CLIP * rng.normal(size=(people, CLIPS))
    own = OWN * moves * rng.normal(size=(people, CLIPS, EPOCHS))
    seen = (level + fixed[..., None] + own > 0).mean(axis=(0, 1))
    return seen, norm.cdf(level / np.sqrt(PERSON**2 + CLIP**2 + (OWN * moves) ** 2))


def epoch(number: int, monitored: float) -> Epoch:
    """An epoch of which no more is known."""
    names = ("learning_rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_uar", "seconds")
    return Epoch(epoch=number, monitored=monitored, **dict.fromkeys(names, 0.0))


if __name__ == "__main__":
    main()
