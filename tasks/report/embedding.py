"""Pictures that lie inside a page, in as few bytes as show no difference on a screen."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

_QUALITY = 80
#: Drawings have few colours and many shades of letters' edges; of this many none is missed.
_COLOURS = 256


def embedded_file(path: Path) -> str:
    """A picture in a file as an address that holds it: `.png` as a drawing, with sharp edges; others as photographs."""
    with Image.open(path) as picture:
        return _drawing(picture.convert("RGB")) if path.suffix == ".png" else _photograph(picture.convert("RGB"))


def embedded_photograph(picture: np.ndarray) -> str:
    """A picture, uint8 RGB (height, width, 3), as an address that holds it."""
    return _photograph(Image.fromarray(picture))


def _drawing(picture: Image.Image) -> str:
    few = picture.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    return _address(few, lossless=True, quality=80)  # which is effort here


def _photograph(picture: Image.Image) -> str:
    return _address(picture, lossless=False, quality=_QUALITY)


def _address(picture: Image.Image, lossless: bool, quality: int) -> str:
    written = io.BytesIO()
    picture.save(written, "WEBP", lossless=lossless, quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(written.getvalue()).decode()
