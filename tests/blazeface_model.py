"""Networks with BlazeFace's inputs and outputs that find bright squares, as TFLite files.

The score of a cell follows the mean brightness of the square around it, of about the side of a face; boxes have that
side, and eyes lie on a line with a given slope (down to the right is positive).
"""

import warnings
from pathlib import Path

import numpy as np

#: Side of the input and of a face in it, and cells along a side and predictions of a cell of each grid.
_FULL_RANGE = (192, 42, ((48, 1),))
_SHORT_RANGE = (128, 70, ((16, 2), (8, 6)))

#: Of the score's logit over the mean, -1 to 1, beyond three quarters.
_GAIN = 24.0


def write_blob_blazeface(folder: Path, eye_slope: float = 0.0) -> Path:
    """Write both networks under their publisher's names; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape in (("full", _FULL_RANGE), ("short", _SHORT_RANGE)):
        (folder / f"face_detection_{name}_range.tflite").write_bytes(_network(*shape, eye_slope))
    return folder


def _network(side_px: int, face_px: int, grids: tuple[tuple[int, int], ...], eye_slope: float) -> bytes:
    import tensorflow as tf

    eyes = [-face_px / 5, -face_px / 5 * (1 + eye_slope), face_px / 5, -face_px / 5 * (1 - eye_slope)]
    numbers = np.array([0, 0, face_px, face_px, *eyes, *[0] * 8], np.float32)

    def predict(picture):  # type: ignore[no-untyped-def]
        scores, boxes = [], []
        for cells, times in grids:
            step = side_px // cells
            mean = tf.nn.avg_pool2d(picture, face_px // step * step, step, "SAME")
            grey = tf.constant(np.full((1, 1, 3, times), _GAIN / 3, np.float32))
            score = tf.nn.conv2d(mean, grey, 1, "SAME") - tf.constant([0.75 * _GAIN] * times)
            scores.append(tf.reshape(score, (1, cells * cells * times, 1)))
            nothing = tf.constant(np.zeros((1, 1, 3, 16 * times), np.float32))
            box = tf.nn.conv2d(mean, nothing, 1, "SAME") + tf.constant(np.tile(numbers, times))
            boxes.append(tf.reshape(box, (1, cells * cells * times, 16)))
        if len(grids) == 1:
            return scores[0], boxes[0]
        return tf.concat(scores, 1), tf.concat(boxes, 1)

    wanted = tf.function(predict, input_signature=[tf.TensorSpec((1, side_px, side_px, 3), tf.float32)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TensorFlow itself
        converter = tf.lite.TFLiteConverter.from_concrete_functions([wanted.get_concrete_function()])
        return bytes(converter.convert())
