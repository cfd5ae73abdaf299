"""A study of your own videos that a table lists: columns `path, subject, emotion`, in CSV or Parquet.

    python examples/own_videos_table.py labels.csv

Paths are relative to the table. It first says what would become of each row, which costs nothing; the study then costs
what that of `own_videos_folder.py` does.
"""

import sys
from collections import Counter

from flows.environment import prepare_environment

OVERRIDES = {"name": "my-table", "data_root": "fer-data/my-table", "corpus.adapter": "table"}


def main(table: str, *pairs: str) -> None:
    """Look at the table, then run the study; print where the report is."""
    prepare_environment(quiet=True)
    from flows.study import full_study  # Prefect reads the environment when it is loaded
    from tasks.config.resolving import resolve_settings
    from tasks.corpus.reading import read_corpus

    overrides = OVERRIDES | {"corpus.root": table} | dict(pair.split("=", 1) for pair in pairs)
    videos = read_corpus(resolve_settings("modern", None, overrides).corpus)
    print(f"{len(videos)} videos of {len({video.subject for video in videos})} people")
    print(Counter(str(video.status) for video in videos), Counter(video.emotion for video in videos))
    print(f"The report: {full_study(preset='modern', overrides=overrides)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
