"""A model that computes in float32, whatever it was trained in; and whether this machine computes in fewer bits."""

import functools
from collections.abc import Iterator
from typing import Any

import keras

_FLOAT32 = "float32"
_SHORT = ("bfloat16", "float16")


@functools.cache
def computes_bfloat16() -> bool:
    """Whether convolutions in bfloat16 work here: TensorFlow's do not on a CPU without AVX-512, nor where
    `ONEDNN_MAX_CPU_ISA` keeps oneDNN from it.
    """
    images, kernel = keras.ops.ones((1, 4, 4, 1), "bfloat16"), keras.ops.ones((3, 3, 1, 1), "bfloat16")
    try:
        keras.ops.conv(images, kernel)
    except Exception:  # each backend has its own
        return False
    return True


def in_float32(model: keras.Model) -> keras.Model:
    """The same layers with the same weights, each computing in float32; the model itself where all do already.

    What was trained in `mixed_bfloat16` has weights in float32, so that nothing of them is lost; what it says differs
    by what bfloat16 rounds off on the way.
    """
    if precision_of(model) == _FLOAT32:
        return model
    copy: keras.Model = keras.saving.deserialize_keras_object(_with_float32(keras.saving.serialize_keras_object(model)))
    copy.set_weights(model.get_weights())
    return copy


def precision_of(model: keras.Model) -> str:
    """Keras's name of the policy that layers compute with: `float32`, unless one computes in fewer bits."""
    names = {layer.dtype_policy.name for layer in _layers(model) if layer.compute_dtype in _SHORT}
    return min(names, default=_FLOAT32)


def _layers(model: keras.Model) -> Iterator[Any]:
    """Those of the models in it too."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)


def _with_float32(value: Any) -> Any:
    """The same configuration with other policies."""
    if isinstance(value, dict):
        if value.get("class_name") == "DTypePolicy":
            name = value["config"]["name"]
            short = any(name.endswith(one) for one in _SHORT)
            return value | {"config": {"name": _FLOAT32}} if short else value
        return {name: _with_float32(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_with_float32, value))
    return value
