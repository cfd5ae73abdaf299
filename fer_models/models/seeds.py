"""Seeds of what is drawn for the layers of a model."""

import zlib


def layer_seed(seed: int, name: str) -> int:
    """The seed of a layer's weights, from that of the model and the layer's name alone.

    Keras would draw it from Python's global generator, which other threads of the process draw from as well.
    """
    return zlib.crc32(f"{seed}/{name}".encode())
