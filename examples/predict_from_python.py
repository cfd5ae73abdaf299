"""What a model says of one video, from Python: its verdict, a table a frame, a timeline and an annotated copy.

    python examples/predict_from_python.py clip.mp4                  # with the published network
    python examples/predict_from_python.py clip.mp4 model.keras      # with a model of your own

Costs about 5 s of loading, then 10 to 30 ms a frame on two CPU cores. Writes into the folder `predicted`.
"""

import sys
from pathlib import Path

from tasks.inference.predictor import Predictor


def main(video: str, *model_files: str) -> None:
    """Predict, print the verdict, and write the files."""
    predictor = Predictor.load(*model_files) if model_files else Predictor.pretrained()
    found = predictor.predict(video)
    print(f"{found.row['predicted'] or found.row['outcome']}, probability {found.row['confidence']:.2f}")
    print(found.frames.groupby("predicted", observed=True).size().to_string())
    folder = Path("predicted")
    folder.mkdir(exist_ok=True)
    found.to_csv(folder / "frames.csv", by="frame")
    found.to_json_lines(folder / "segments.jsonl", by="segment")
    found.plot(folder / "timeline.png")
    found.annotate(folder / "annotated.mp4")


if __name__ == "__main__":
    main(*sys.argv[1:])
