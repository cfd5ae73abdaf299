"""What the drift of a batch looks like in a terminal."""

import pandas as pd
from rich import box
from rich.markup import escape
from rich.table import Table

from flows.cli.answers import Answers
from tasks.dataset.drift import TOO_FEW, TRAINING, drift_rows


def print_drift(drift: pd.DataFrame, out: Answers) -> None:
    """The table of a batch, and how many videos and people it compares; nothing when it has no rows."""
    if drift.empty:
        return
    against = "of the training subset" if drift["reference"].iloc[0] == TRAINING else "that were prepared earlier"
    subjects = int(drift["num_people"].iloc[0])
    out.print(
        f"{drift['num_new'].max()} new videos of {subjects} {'person' if subjects == 1 else 'people'} beside "
        f"{drift['num_before'].max()} {against}: shares, or median (5 % to 95 %)",
        highlight=False,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    rows = drift_rows(drift)
    for name in rows[0]:
        table.add_column(name, justify="right" if name == "distance" else "left", overflow="fold")
    for row in rows:
        measure, before, new, *rest = map(escape, row.values())
        one_a_line = (shares.replace(", ", "\n") for shares in (before, new))
        table.add_row(measure, *one_a_line, *rest, style=None if row["remark"] in ("", TOO_FEW) else "bold")
    out.print(table)
