"""CPU seconds a frame of `fer predict`, against the PyPI package `fer`; `make bench-predict`.

Each frame of a clip gets its face and the probabilities of its expression. Cases alternate, medians are told; all in
one process on all threads that the libraries take, counted as CPU seconds. The peer is read from the folder that
`--peer` names, into which its wheel was unpacked (`pip download --no-deps fer==25.10.3`); it is left out without.
Prints a table and writes `benchmarks/results/predict.json`.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import av
import keras

from fer_models.models.arms import get_arm
from fer_models.models.building import build_model
from tasks.config.presets import modern
from tasks.inference.predictor import Predictor

RESULTS = Path(__file__).parent / "results" / "predict.json"
DATA = Path(os.environ.get("FER_TEST_DATA", "../shared/data"))


def ours(arm: str, width: int, detector: str, stride: int) -> Callable[[Path], int]:
    """An untrained model of the preset `modern`, which costs what a trained one does."""
    settings = modern()
    prepare = settings.prepare.model_copy(update={"detector": detector})
    model_settings = settings.model.model_copy(update={"width": width})
    model = build_model(get_arm(arm), model_settings, prepare=prepare.model_dump(mode="json"))
    predictor = Predictor([model], prepare)

    def run(path: Path) -> int:
        return len(predictor.predict(path, stride=stride).frames)

    return run


def peer(folder: Path, use_tflite: bool) -> Callable[[Path], int]:
    """The package `fer` with its Haar cascade, frame by frame, as its own loop over a video does it."""
    resources = types.ModuleType("pkg_resources")  # of setuptools, which has it no more
    resources.resource_filename = lambda package, name: str(folder / package / name)  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = resources
    sys.path.insert(0, str(folder))
    from fer.fer import FER

    detector = FER(use_tflite=use_tflite)

    def run(path: Path) -> int:
        with av.open(str(path)) as container:
            found = [detector.detect_emotions(one.to_ndarray(format="bgr24")) for one in container.decode(video=0)]
        return len(found)

    return run


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=DATA / "clips" / "portrait_640x360.mp4")
    parser.add_argument("--peer", type=Path, help="folder with the unpacked wheel of the package fer")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    cases = {
        "one stream, w = 16, Haar, stride 1": ours("spatial-only", 16, "haar", 1),
        "two streams, w = 16, Haar, stride 1": ours("gap-concatenate", 16, "haar", 1),
        "two streams, w = 16, BlazeFace, stride 1": ours("gap-concatenate", 16, "blazeface", 1),
        "two streams, w = 16, Haar, stride 4": ours("gap-concatenate", 16, "haar", 4),
        "two streams, w = 128, Haar, stride 1": ours("gap-concatenate", 128, "haar", 1),
    }
    if options.peer:
        for words, use_tflite in (("fer 25.10.3, Haar, TFLite", True), ("fer 25.10.3, Haar, Keras", False)):
            cases[words] = peer(options.peer.absolute(), use_tflite)
    seconds: dict[str, list[float]] = {}
    for repeat in range(options.repeats + 1):
        for words, run in cases.items():
            start = time.process_time()
            number = run(options.clip)
            if repeat:  # the first round builds graphs
                seconds.setdefault(words, []).append((time.process_time() - start) / number)
    medians = {words: statistics.median(values) for words, values in seconds.items()}
    fastest_peer = min((value for words, value in medians.items() if words.startswith("fer ")), default=None)
    for words, value in medians.items():
        against = f"{fastest_peer / value:8.1f} x" if fastest_peer else ""
        print(f"{words:<45} {1000 * value:8.2f} ms a frame {against}")
    machine = {"processor": platform.processor() or platform.machine(), "keras": keras.__version__}
    RESULTS.write_text(
        json.dumps({"seconds_a_frame": medians, "backend": keras.backend.backend(), **machine}, indent=2)
    )


if __name__ == "__main__":
    main()
