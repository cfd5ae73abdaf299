"""Real faces through the whole pipeline: five folds of people, pooled; `make bench-faces`.

    PYTHONPATH=. .venv/bin/python benchmarks/faces.py CK48 [--data-root FOLDER] [--preset modern] [--set KEY=VALUE ...]

CK48 is a folder that holds `CK+48` (in the layout of the adapter `ckplus48`) and `folds.csv` (columns subject, fold);
the variable FER_CK48 may name it. The flows are those of `fer`: what is done in the data root is not done again.
Prints a row an arm: accuracy and UAR of the test clips of all folds together, with their intervals over people, the
optimism of the validation (UAR of segments there minus on the test people, mean over the runs), seconds of training.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from flows.environment import prepare_environment

_CLIPS = {
    "corpus.adapter": "ckplus48",
    "prepare.precropped": True,
    "prepare.segment_length": 2,
    "prepare.segment_stride": 1,
    "prepare.face": "last",
    "split.protocol": "file",
}


def main() -> None:
    """Run the study, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ck48", nargs="?", default=os.environ.get("FER_CK48"), help="or in FER_CK48")
    parser.add_argument("--data-root", help="kept for the next time; a temporary folder without")
    parser.add_argument("--preset", default="modern")
    parser.add_argument("--arms", default="majority,hog-svm,spatial-only,fer2013-hog-svm", help="separated by commas")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    chosen = parser.parse_args()
    if not chosen.ck48:
        parser.error("name the folder that holds CK+48 and folds.csv, or set FER_CK48")
    with tempfile.TemporaryDirectory() as temporary:
        run(
            chosen.preset,
            _CLIPS
            | {
                "name": "faces",
                "data_root": chosen.data_root or temporary,
                "corpus.root": str(Path(chosen.ck48, "CK+48")),
                "split.folds_file": str(Path(chosen.ck48, "folds.csv")),
                "arms": chosen.arms.split(","),
            }
            | dict(pair.split("=", 1) for pair in chosen.set),
        )


def run(preset: str, overrides: dict[str, object]) -> None:
    """The study by its flows, then its table."""
    prepare_environment(quiet=True)
    from fer_models.statistics.intervals import Interval, interval
    from flows.study import full_study
    from tasks.config.resolving import resolve_settings
    from tasks.report.facts import describe
    from tasks.report.input import collect

    start = time.monotonic()
    full_study(preset=preset, overrides=overrides)
    seconds = time.monotonic() - start

    def text(found: Interval) -> str:
        return f"{found.estimate:.3f} ({found.low:.3f} to {found.high:.3f})"

    print("| arm | clips | accuracy | UAR | optimism of the validation | training, s |\n|---|---:|---:|---:|---:|---:|")
    source = collect(resolve_settings(preset, None, overrides))
    for result in source.results:
        evaluations = [one for seed in result.seeds for one in seed.evaluations]
        optimism = statistics.fmean(one.validation_uar - one.scores["segment_uar"] for one in evaluations)
        cells = (
            result.arm.name,
            str(len(result.predictions.labels)),
            text(interval(result.predictions, "accuracy")),
            text(interval(result.predictions, "uar")),
            f"{optimism:+.3f}",
            f"{sum(one.training_seconds for one in evaluations):.0f}",
        )
        print(f"| {' | '.join(cells)} |")
    print(f"{describe(source).against_classic}\n{seconds:.0f} s in all")


if __name__ == "__main__":
    main()
