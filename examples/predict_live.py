"""What a model says of a camera, frame by frame while it films; ends with Ctrl-C.

    python examples/predict_live.py 0                      # the first camera, with the published network
    python examples/predict_live.py clip.mp4 model.keras   # a video file as if it came live, with a model of your own

Costs about 25 ms a frame on two CPU cores, in memory that does not grow. Any iterable of (time in s, uint8 RGB picture)
can stand in place of the camera.
"""

import sys
from contextlib import suppress

from tasks.inference.live.camera import open_camera, read_frames
from tasks.inference.predictor import Predictor


def main(source: str, *model_files: str) -> None:
    """Print a line for each change of what is said."""
    predictor = Predictor.load(*model_files) if model_files else Predictor.pretrained()
    before = None
    with open_camera(source) as capture, suppress(KeyboardInterrupt):
        for moment in predictor.stream(read_frames(capture, source, lambda: False)):
            if moment.predicted != before:
                before = moment.predicted
                print(f"{moment.time_s:6.2f} s  {moment.predicted or 'nothing'}  {moment.confidence:.2f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
