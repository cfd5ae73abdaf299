"""What a run says and leaves of the preparation of its deep belief network, which comes before its first epoch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from fer_models.training.belief import LayerFit
from tasks.progress import echo
from tasks.storage.spreadsheets import write_csv

BELIEF_FILE = "belief.csv"


@dataclass(frozen=True)
class Preparation:
    """That of one run. That of its second training, of a refit, is not told of."""

    run_name: str
    folder: Path

    @property
    def _is_known(self) -> bool:
        return (self.folder / BELIEF_FILE).is_file()

    def tell_of_streams(self, epochs: int) -> None:
        """Say once that the streams are trained, which may take a while."""
        if epochs == 1 and not self._is_known:
            echo(f"{self.run_name}: its streams are trained by themselves first, then its belief network, then all.")

    def keep_belief(self, fits: Sequence[LayerFit]) -> None:
        """Leave a table with a row for each layer of the belief network, and say in a line how they went."""
        if self._is_known:
            return
        write_csv(self.folder / BELIEF_FILE, pd.DataFrame([asdict(one) for one in fits]))
        layers = ", ".join(f"{one.layer} {one.error_before:.3g} to {one.error_after:.3g}" for one in fits)
        echo(
            f"{self.run_name}: the belief network is trained on {fits[0].num_rows} segments; error of reconstruction "
            f"{layers}."
        )
