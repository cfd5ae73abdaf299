"""What the report says of each of several corpora."""

from typing import Any

import pandas as pd

from fer_models.statistics.intervals import interval
from tasks.corpus.scope import with_corpus
from tasks.dataset.folds import TEST
from tasks.outcomes import Outcome
from tasks.preparation.ledger import is_usable
from tasks.report.input import ReportInput
from tasks.study.comparison import arm_predictions


def rows_of_corpora(source: ReportInput) -> list[dict[str, Any]]:
    """One row per corpus, where there are several: its people, videos, tested ones, and the best arm's UAR on those.

    The UAR is over the classes that its tested videos show; `uar`, `low` and `high` are None where fewer than two are.
    """
    parts = source.settings.corpus.parts
    if len(parts) == 1:
        return []
    ledger = with_corpus(source.ledger, source.settings.corpus)
    tested = set(source.split.loc[source.split["side"] == TEST, "video_id"])
    rows = []
    for name in dict.fromkeys(ledger["corpus"]):
        own = ledger[(ledger["corpus"] == name) & (ledger["outcome"] != Outcome.OUT_OF_SCOPE)]
        usable = own[is_usable(own)]
        rows.append(
            {
                "name": name,
                "subjects": usable["subject"].nunique(),
                "videos": len(own),
                "usable": len(usable),
                "classes": usable["emotion"].nunique(),
                "tested": int(usable["video_id"].isin(tested).sum()),
                **_score(source, usable["video_id"]),
            }
        )
    return rows


def _score(source: ReportInput, video_ids: pd.Series) -> dict[str, float | None]:
    best, emotions = source.best, source.settings.corpus.emotions
    seeds = [
        seed.videos[(seed.videos["num_segments"] > 0) & seed.videos["video_id"].isin(video_ids)] for seed in best.seeds
    ]
    if len(seeds[0]) < 2:
        return {"uar": None, "low": None, "high": None}
    found = interval(arm_predictions(seeds, emotions, best.arm), "uar")
    return {"uar": found.estimate, "low": found.low, "high": found.high}
