"""A study of your own videos that lie in folders `<emotion>/<subject>/<any name>.mp4`.

    python examples/own_videos_folder.py /data/my-videos
    python examples/own_videos_folder.py /data/my-videos corpus.emotions='[anger, happiness]' training.steps=2000

With the preset `modern`; costs some ms a frame to prepare, and some minutes to train each arm on two CPU cores.
Repeats nothing that is done, so run it again when there are more videos.
"""

import sys

from flows.environment import prepare_environment

OVERRIDES = {"name": "my-study", "data_root": "fer-data/my-study", "corpus.adapter": "folder"}


def main(root: str, *pairs: str) -> None:
    """Prepare, split by people, train, compare; print where the report is."""
    prepare_environment(quiet=True)
    from flows.study import full_study  # Prefect reads the environment when it is loaded

    overrides = OVERRIDES | {"corpus.root": root} | dict(pair.split("=", 1) for pair in pairs)
    print(f"The report: {full_study(preset='modern', overrides=overrides)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
