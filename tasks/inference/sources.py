"""What a prediction is told to read: a model's file and videos. Looked for before Keras is loaded, which takes long."""

from collections.abc import Sequence
from pathlib import Path

from fer_models.errors import UserError
from tasks.corpus.adapters.source import images_below, videos_below
from tasks.video.image_sequences import is_image_sequence


def find_model(path: Path) -> Path:
    """The file of a trained model, local or not; raises `UserError` when it is not there."""
    if not path.is_file():
        raise UserError(f"There is no model {str(path)!r}; a study leaves them at studies/<name>/runs/*/model.keras.")
    return path


def split_inputs(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Models and videos among what was named: a model is a file or URL that ends in `.keras`."""
    models = [name for name in names if name.lower().endswith(".keras")]
    return models, [name for name in names if name not in models]


def find_videos(sources: Sequence[Path]) -> list[Path]:
    """The videos that are named: each file, and each video in or below each folder; a folder of numbered images is one.

    A folder without videos stands for the images in and below it.

    Raises:
        UserError: one is not there.
    """
    videos = [
        path
        for source in sources
        for path in ((videos_below(source) or images_below(source)) if source.is_dir() else [source])
    ]
    missing = [str(path) for path in videos if not (path.is_file() or is_image_sequence(path))]
    if missing or not videos:
        raise UserError(f"There is no video at {', '.join(missing or map(str, sources))}.")
    return videos
