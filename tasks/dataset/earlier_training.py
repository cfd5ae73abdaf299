"""Whom the model that a training begins with has seen: they must not be tested on.

A model says which videos it and those before it saw, by marks of their content. Copies that were encoded anew have
other content: the near-identical faces that `tasks.dataset.audit` looks for are those of one data root.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from fer_models.models.lineage import Lineage, video_mark
from tasks.dataset.findings import Check, Finding, Severity
from tasks.dataset.folds import TEST
from tasks.dataset.splits import RESERVE

_OTHER_WEIGHTS = "Begin with a model that has not seen them (training.initial_weights), or with none."


def lineage_of(model: Path) -> Lineage | None:
    """What a saved model says of its lineage; raises `UserError` when it is no model of ours."""
    from fer_models.models.building import load_model, model_lineage

    return model_lineage(load_model(model))


def check_earlier_training(
    lineage: Lineage | None, ledger: pd.DataFrame, split: pd.DataFrame, arms: Sequence[str]
) -> Iterator[Finding]:
    """Subjects of a test subset of whom a model of the initial weights has seen a video, of whichever subset.

    Args:
        lineage: of that model; None where it says none. One without videos says nothing of them either.
        split: as of `tasks.dataset.audit.present_split`.
        arms: that begin with it.
    """
    model = f"the model that {', '.join(arms)} begin{'s' if len(arms) == 1 else ''} with"
    if not (lineage and lineage.videos):
        what = f"not known whom {model} has seen: it does not say so"
        yield Finding(Check.EARLIER_TRAINING, Severity.NOTE, what, (), "Train it again, if its data are at hand.")
        return
    marks = set(lineage.videos)
    subjects = set(ledger.loc[ledger["sha256"].map(video_mark).isin(marks), "subject"])
    tested = split[split["side"].isin((TEST, RESERVE)) & split["subject"].isin(subjects)]
    if tested.empty:
        return
    names = sorted(tested["subject"].unique())
    what = f"{model} has seen {len(names)} of the people who are tested: {', '.join(names)}"
    videos = tested.drop_duplicates("video_id").sort_values("video_id")
    where = tuple(f"{video} ({subset})" for video, subset in videos[["video_id", "side"]].itertuples(index=False))
    yield Finding(Check.EARLIER_TRAINING, Severity.ERROR, what, where, _OTHER_WEIGHTS)
