"""What the pretrained network is worth on real faces.

    PYTHONPATH=.:benchmarks .venv/bin/python benchmarks/pretrained.py DATA

DATA is a folder with `ck48dev` (in the layout of the adapter `ckplus48`) and `mead24` (clips, and `labels.csv` with
path, subject, emotion); FER_TEST_DATA may name it. Whatever is chosen is chosen on some people and reported on the
others; mead24 has three, each of whom is the other once. Prints tables in Markdown; takes some minutes.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from labelled_faces import Faces, cut_wider, read_ck48, read_mead, shrunk, turned

from fer_models.models.arms import Arm
from fer_models.models.backbones.mini_xception import CLASSES, SIDE_PX
from fer_models.models.building import build_model
from fer_models.segments import FrameInputs, SegmentShape
from fer_models.settings import ModelSettings
from fer_models.statistics.calibration import apply_temperature, expected_calibration_error, fit_temperature
from fer_models.statistics.metrics import score
from fer_models.training.engine import predict
from tasks.config.prepare_settings import PrepareSettings
from tasks.inference.pretrained import NAME, SMOOTHING_S, find_pretrained, pretrained_model, pretrained_prepare
from tasks.inference.smoothing import smooth

#: Sides of what the network sees, in sides of the detector's box.
MARGINS = (0.75, 0.84, 0.9, 1.0, 1.1, 1.2, 1.3)
WINDOWS_S = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0)
#: The detectors with what they can do about turned heads.
WAYS = {"haar": ("haar", "none"), "blazeface": ("blazeface", "none"), "blazeface, eyes level": ("blazeface", "eyes")}
#: Of the tables that need no time.
EVERY = 4
#: What is said of each face, by the way it was found.
Said = dict[str, tuple[Faces, np.ndarray]]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("FER_TEST_DATA"), help="or in FER_TEST_DATA")
    data = parser.parse_args().data
    if not data:
        parser.error("name the folder that holds ck48dev and mead24, or set FER_TEST_DATA")
    cv2.setNumThreads(1)
    mead24, model = Path(data, "mead24"), pretrained_model()
    compare_margins(mead24)
    mead = recognise(mead24, model)
    compare_windows(mead)
    calibrate(read_ck48(Path(data, "ck48dev"), pretrained_prepare().face_size_px), model, mead)
    change_faces(mead24, model)


def compare_margins(folder: Path) -> None:
    """How wide the crop is best; then chosen on two people by cross entropy, for the third."""
    network = build_model(
        Arm(NAME, "", "fer2013", {}),
        ModelSettings(views="mirror"),
        CLASSES,
        shape=SegmentShape(side_px=SIDE_PX, has_optical_flow=False),
        weights={NAME: find_pretrained()},
    )
    header("UAR, NLL of frames", *MARGINS, "chosen for the third person: UAR, at 1.0")
    for way in ("haar", "blazeface"):
        settings = found_by(way).model_copy(update={"segment_stride": EVERY, "face_size_px": SIDE_PX})
        cut = cut_wider(folder, settings, MARGINS)
        said = {margin: ask(network, faces) for margin, faces in cut.items()}
        people = cut[1.0].people

        def rated_on(rows: np.ndarray, margin: float, cut: Any = cut, said: Any = said) -> dict[str, float]:
            return rated(cut[margin].rows(rows), said[margin][rows])

        held_out = []
        for person in np.unique(people):
            best = min(MARGINS, key=lambda margin: rated_on(people != person, margin)["nll"])
            uar, before = (rated_on(people == person, margin)["uar"] for margin in (best, 1.0))
            held_out.append(f"{person} {best}: {uar:.3f}, {before:.3f}")
        cells = [rated(cut[margin], said[margin]) for margin in MARGINS]
        row(way, *(f"{one['uar']:.3f}, {one['nll']:.2f}" for one in cells), "; ".join(held_out))


def recognise(folder: Path, model: Any) -> Said:
    """What the network says of all frames, as it is shipped."""
    mead = {}
    for way in WAYS:
        start = time.process_time()
        faces, _ = read_mead(folder, found_by(way))
        middle = time.process_time()
        mead[way] = faces, ask(model, faces)
        ms = (1000 * seconds / len(faces.labels) for seconds in (middle - start, time.process_time() - middle))
        print("\n{}: preparing {:.1f}, asking {:.1f} ms of a CPU a frame".format(way, *ms))
    header("found by", "of", "UAR", "accuracy", *CLASSES, "UAR of the worst recognised person")
    for way, (faces, said) in mead.items():
        smoothed = smooth(said, faces.times_s, SMOOTHING_S, faces.clips)
        for what, some, found in (
            ("frames", faces, said),
            (f"frames, over {SMOOTHING_S} s", faces, smoothed),
            ("clips", *by_clip(faces, said)),
        ):
            rates = rated(some, found)
            of_people = (rated(some.rows(some.people == one), found[some.people == one]) for one in set(some.people))
            least = min(one["uar"] for one in of_people)
            row(way, what, *(rates[name] for name in ("uar", "accuracy", *CLASSES)), least)
    for way, (faces, said) in mead.items():
        of_others = smooth(said, faces.times_s, SMOOTHING_S, faces.clips)[~faces.known]
        names, counts = np.unique(np.array(CLASSES)[of_others.argmax(axis=1)], return_counts=True)
        shares = ", ".join(f"{names[one]} {counts[one] / counts.sum():.2f}" for one in np.argsort(-counts))
        print(f"\n{way}: contempt is called {shares}, with a mean probability of {of_others.max(axis=1).mean():.2f}")
    return mead


def compare_windows(mead: Said) -> None:
    """What smoothing does to recognition, to flicker and to calibration."""
    rates_of = ("uar", "nll", "ece", "confidence", "accuracy")
    header("found by", "window, s", "changes a second", *rates_of, "temperature that would be fitted")
    for way, (faces, said) in mead.items():
        seconds = sum(np.ptp(faces.times_s[faces.clips == clip]) for clip in np.unique(faces.clips))
        for window_s in WINDOWS_S:
            smoothed = smooth(said, faces.times_s, window_s, faces.clips)
            changes = (np.diff(smoothed.argmax(axis=1)) != 0) & (np.diff(faces.clips) == 0)
            rates = rated(faces, smoothed)
            fitted = fit(faces, smoothed, faces.known)
            row(way, window_s, changes.sum() / seconds, *(rates[name] for name in rates_of), fitted)


def calibrate(ck48: Faces, model: Any, mead: Said) -> None:
    """Temperatures of single pictures, each fitted on some people and judged on others."""
    said = ask(model, ck48)
    half = np.isin(ck48.people, np.unique(ck48.people)[::2])
    rates = rated(ck48, said)
    header("pictures", "people", "UAR", "accuracy", *CLASSES[:6])
    of_classes = (rates[name] for name in CLASSES[:6])
    row("ck48dev", len(set(ck48.people)), rates["uar"], rates["accuracy"], *of_classes)
    header("fitted on", "judged on", "temperature", "ECE before", "after", "NLL before", "after")
    for one, other, rows in (("half of ck48dev", "other half", half), ("other half", "half", ~half)):
        row(one, other, *before_and_after(ck48, said, ~rows, fit(ck48, said, rows)))
    of_all = fit(ck48, said, ck48.known)
    for way, (faces, found) in mead.items():
        row("ck48dev", f"mead24, {way}", *before_and_after(faces, found, faces.known, of_all))
        for person in np.unique(faces.people):
            rest = faces.people != person
            cells = before_and_after(faces, found, ~rest, fit(faces, found, rest & faces.known))
            row(f"mead24 without {person}, {way}", person, *cells)


def change_faces(folder: Path, model: Any) -> None:
    """Turned and small faces: what is found, and what of it is recognised."""
    header("faces", *(f"{way}: found, UAR of these" for way in WAYS))
    changes = {"as they are": None, "turned by 15 degrees": turned(15), "turned by 30 degrees": turned(30)}
    changes |= {f"about {round(0.7 * side)} px": shrunk(side) for side in (128, 69, 52)}
    for name, change in changes.items():
        cells = []
        for way in WAYS:
            settings = found_by(way).model_copy(update={"segment_stride": EVERY, "min_face_px": 24})
            faces, share = read_mead(folder, settings, change)
            cells.append(f"{share:.2f}, {rated(faces, ask(model, faces))['uar']:.3f}")
        row(name, *cells)


def found_by(way: str) -> PrepareSettings:
    """As it is shipped, but for how faces are found."""
    detector, align = WAYS[way]
    return pretrained_prepare().model_copy(update={"detector": detector, "align": align})


def ask(model: Any, faces: Faces) -> np.ndarray:
    """Probabilities (n, 7)."""
    windows = np.arange(len(faces.labels))[:, None]
    return predict(model, FrameInputs(faces.pictures, None, windows, np.ones(windows.shape, bool)))


def by_clip(faces: Faces, probabilities: np.ndarray) -> tuple[Faces, np.ndarray]:
    """A row a clip: the mean over its frames."""
    clips, first = np.unique(faces.clips, return_index=True)
    return faces.rows(first), np.stack([probabilities[faces.clips == clip].mean(axis=0) for clip in clips])


def rated(faces: Faces, probabilities: np.ndarray) -> dict[str, float]:
    """UAR, accuracy, mean cross entropy (nats), expected calibration error, mean confidence, recall of each class."""
    labels, found = faces.labels[faces.known], probabilities[faces.known].astype(np.float64)
    scores = score(labels, found, CLASSES)
    ece = expected_calibration_error(labels, found)
    whole = {"uar": scores.uar, "accuracy": scores.accuracy, "nll": scores.loss, "ece": ece}
    return whole | {"confidence": float(found.max(axis=1).mean())} | scores.recall


def fit(faces: Faces, probabilities: np.ndarray, rows: np.ndarray) -> float:
    """The temperature of these rows."""
    return fit_temperature(faces.labels[rows], probabilities[rows])


def before_and_after(faces: Faces, probabilities: np.ndarray, rows: np.ndarray, temperature: float) -> list[float]:
    """The temperature, then calibration error and cross entropy of these rows without it and with it."""
    before, after = (
        rated(faces.rows(rows), one[rows]) for one in (probabilities, apply_temperature(probabilities, temperature))
    )
    return [temperature, before["ece"], after["ece"], before["nll"], after["nll"]]


def header(*names: object) -> None:
    """The head of a table."""
    print()
    row(*map(str, names))
    print("|---|" + "---:|" * (len(names) - 1))


def row(*cells: object) -> None:
    """A line of a table."""
    words = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells]
    print(f"| {' | '.join(words)} |", flush=True)


if __name__ == "__main__":
    main()
