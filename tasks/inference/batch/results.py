"""The table of all videos, and what they came to together."""

import time
from collections import Counter
from pathlib import Path

import pandas as pd

from tasks.corpus.manifest import as_text
from tasks.inference.batch.done import Rows
from tasks.inference.batch.folders import TABLE
from tasks.inference.batch.planning import Plan, plain_row
from tasks.outcomes import TRANSIENT, Outcome
from tasks.storage.spreadsheets import write_csv

#: Seconds between two writes of the table.
_BETWEEN_S = 20.0
_NOT_TRIED = "no run has come to it yet"


class Results:
    """What became of the videos of a plan so far: each has rows at any time, so that the counts add up.

    Args:
        plan: whose settled videos have their rows already.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rows = dict(plan.rows)
        self._written_s = 0.0

    def add(self, video: Path, rows: Rows) -> None:
        """What became of one more video, or of one once more; the table is written now and then."""
        self._rows[video] = rows
        if time.monotonic() - self._written_s > _BETWEEN_S:
            self.write()

    def write(self) -> None:
        """Write the table of all videos."""
        write_csv(self.path, self.table())
        self._written_s = time.monotonic()

    def table(self) -> pd.DataFrame:
        """A row a video, or where all faces are followed a row a face, see `tasks.inference.prediction.Prediction`.

        Videos stand in the order in which they were named. Behind each row stands `folder`, that of its results below
        the folder of all.
        """
        rows = []
        for video, folder in self._plan.placed:
            place = folder.relative_to(self._plan.order.out).as_posix()
            rows += [{**row, "folder": place} for row in self._of(video)]
        table = pd.DataFrame(rows, columns=max(map(list, rows), key=len))  # some lack what no model said
        return table.astype({"track": "Int64"}) if "track" in table else table

    @property
    def path(self) -> Path:
        """Of the table of all videos."""
        return self._plan.order.out / TABLE

    @property
    def num_recognised(self) -> int:
        """Videos of which the model says something."""
        return sum(any(row["predicted"] for row in rows) for rows in self._rows.values())

    @property
    def num_to_try_again(self) -> int:
        """Videos of which nothing is known that a further attempt could not change."""
        counts = self.counts()
        return sum(counts.get(name, 0) for name in (*TRANSIENT, Outcome.NOT_TRIED))

    def counts(self) -> dict[str, int]:
        """Videos an outcome, most frequent first; they add up to all videos."""
        return dict(Counter(str(self._of(video)[0]["outcome"]) for video, _ in self._plan.placed).most_common())

    def _of(self, video: Path) -> Rows:
        return self._rows.get(video) or [plain_row(as_text(str(video)), Outcome.NOT_TRIED, _NOT_TRIED)]

    def sentence(self) -> str:
        """What all came to, in one line."""
        num_now, again = len(self._plan.due), self.num_to_try_again
        listed = ", ".join(f"{count} {name}" for name, count in self.counts().items())
        later = f" {again} can be tried again: run the same once more." if again else ""
        now = f"{num_now} of them predicted now" if num_now else "nothing to do"
        num_faces = sum(bool(row.get("track")) for rows in self._rows.values() for row in rows)
        faces = f" In them {num_faces} faces were followed." if self._plan.order.wishes.faces == "all" else ""
        return f"{len(self._plan.placed)} videos, {now}: {listed}.{faces}{later}"
