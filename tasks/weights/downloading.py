"""Weights from where Keras fetches those of `keras.applications`: the same address and checksum, and never a long wait.

Proxies of the environment hold. Nothing of what comes is used unless its MD5 is Keras's.
"""

import hashlib
import http.client
import urllib.error
import urllib.request

from fer_models.errors import UserError
from tasks.weights.registry import Download, Weights

#: Seconds without an answer, or without a further byte, after which the network counts as absent.
TIMEOUT_S = 10.0


def download(weights: Weights, source: Download) -> bytes:
    """The content of a weights file.

    Raises:
        UserError: it cannot be had, or is not what the record says; the sentence says where to put a copy.
    """
    try:
        with urllib.request.urlopen(source.url, timeout=TIMEOUT_S) as answer:
            content: bytes = answer.read(weights.size_bytes + 1)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"{weights.published_name} could not be downloaded from {source.url} ({_reason(error)}); fetch it on a "
            "machine with a network, and name the file, or its folder, in model.backbone_weights."
        ) from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != source.md5:
        raise UserError(
            f"What came from {source.url} is not {weights.published_name} as Keras knows it (another MD5), and was not "
            "used; a proxy may answer in its place."
        )
    return content


def _reason(error: Exception) -> str:
    """What went wrong, in a few words."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return str(words).strip().rstrip(".")
