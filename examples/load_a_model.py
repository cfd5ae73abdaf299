"""A trained model in a plain script, without videos: what it takes, and what it says of a face crop.

    python examples/load_a_model.py model.keras face.png     # a picture of a face and little else

Costs 5 s of loading and some ms. Needs of this project no more than `fer_models`, which knows Keras and NumPy alone.
`examples/predict_from_python.py` finds the faces and the motion in a video by itself.
"""

import sys

import cv2
import numpy as np

from fer_models import load_model
from fer_models.models.building import model_labels, model_network
from fer_models.segments import FrameInputs
from fer_models.training.engine import predict


def main(model_file: str, picture: str) -> None:
    """Print the inputs of the model and the probability of each class."""
    model = load_model(model_file)
    print({tensor.name: tuple(tensor.shape) for tensor in model.inputs})
    shape = model_network(model).shape
    face = cv2.resize(cv2.imread(picture)[..., ::-1], (shape.side_px, shape.side_px))  # OpenCV reads blue first
    still = np.zeros((1, shape.side_px, shape.side_px, 2), np.float16)  # no motion from frame to frame
    frames = np.zeros((1, shape.num_frames), int)  # all frames of the segment are that one
    segment = FrameInputs(face[None], still if shape.has_optical_flow else None, frames, frames == 0)
    for label, probability in zip(model_labels(model), predict(model, segment)[0], strict=True):
        print(f"{label:12} {probability:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
