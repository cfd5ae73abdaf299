"""What a run leaves of the training of its deep belief network, which comes before its first epoch."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from fer_models.training.belief import LayerFit
from tasks.progress import echo
from tasks.storage.spreadsheets import write_csv

BELIEF_FILE = "belief.csv"


def keep_belief(fits: Sequence[LayerFit], run_name: str, folder: Path) -> None:
    """Leave a table with a row for each layer in the run's folder, and say in a line how they went.

    The second training, of a refit, is not told of.
    """
    if not fits or (folder / BELIEF_FILE).is_file():
        return
    write_csv(folder / BELIEF_FILE, pd.DataFrame([asdict(one) for one in fits]))
    layers = ", ".join(f"{one.layer} {one.error_before:.3g} to {one.error_after:.3g}" for one in fits)
    echo(f"{run_name}: the belief network is trained on {fits[0].num_rows} segments; error of reconstruction {layers}.")
