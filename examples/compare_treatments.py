"""Does it help to treat rare classes when a model is trained? One arm with three treatments, compared on drawn people.

    python examples/compare_treatments.py                     # two seeds of each, on people that are drawn
    python examples/compare_treatments.py training.epochs=5   # any setting of `fer config` can be given so

Costs some minutes on two CPU cores, as `make study` does. Trains GAP + sum as it is, with class weights and with the
focal loss, twice each, and prints the score of each with its interval, and whether any pair is shown to differ.
"""

import sys

import pandas as pd

from flows.environment import prepare_environment

OVERRIDES = {
    "name": "treatments",
    "arms": ["gap-sum"],
    "treatments": ["none", "class_weights", "focal"],
    "seeds": 2,
}


def main(*pairs: str) -> None:
    """Run the study and print its tables."""
    prepare_environment(quiet=True)
    from flows.study import full_study  # Prefect reads the environment when it is loaded

    report = full_study(preset="sample", overrides=OVERRIDES | dict(pair.split("=", 1) for pair in pairs))
    print(pd.read_csv(report.parent / "results.csv").T.to_string())
    print(pd.read_csv(report.parent / "comparison.csv").T.to_string())
    print(f"The whole report: {report}")


if __name__ == "__main__":
    main(*sys.argv[1:])
