"""Published weights that the user has: `model.backbone_weights` may name a file, or a folder of files of Keras."""

from pathlib import Path

from fer_models.errors import UserError
from tasks.storage.locations import local_path
from tasks.weights.cache import provenance
from tasks.weights.registry import WEIGHTS, Download, Weights

_SETTING = "model.backbone_weights"


def is_path(backbone_weights: str) -> bool:
    """Whether the setting names a file or folder of the user's."""
    return backbone_weights not in ("none", "imagenet")


def given_file(weights: Weights, backbone_weights: str) -> Path | None:
    """The user's file of some weights; None where the setting names none, or they are not of a published network.

    Raises:
        UserError: it is not there.
    """
    if not (is_path(backbone_weights) and isinstance(weights.source, Download)):
        return None
    path = _present(backbone_weights)
    if path.is_dir():
        path /= weights.published_name
        if not path.is_file():
            raise UserError(f"{_SETTING}: {path.parent} has no {path.name}; it can be had from {weights.source.url}.")
    return path


def given_content(backbone_weights: str) -> str:
    """Names what the user's file holds, or the files of published networks in the user's folder.

    Raises:
        UserError: it is not there, or cannot be read.
    """
    path = _present(backbone_weights)
    names = [one.published_name for one in WEIGHTS.values() if isinstance(one.source, Download)]
    files = [path / name for name in names if (path / name).is_file()] if path.is_dir() else [path]
    return "+".join(provenance(file).sha256 for file in files)


def _present(backbone_weights: str) -> Path:
    path = local_path(backbone_weights)
    if not path.exists():
        raise UserError(
            f"{_SETTING}: there is no {path}; name a file of weights as Keras publishes it (.._notop.h5), a folder of "
            "such files, `imagenet`, or `none`."
        )
    return path
