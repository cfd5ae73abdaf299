"""Face detectors: one file each, and one shape, `tasks.video.detectors.detector.Detector`.

A detector comes from a function `load(model: Path | None) -> Detector`. A new one is a new file and one line here.
"""

from collections.abc import Callable
from pathlib import Path

from tasks.config.digests import model_file
from tasks.config.settings import PrepareSettings
from tasks.video.detectors import haar, yunet
from tasks.video.detectors.detector import Detector

DETECTORS: dict[str, Callable[[Path | None], Detector]] = {"haar": haar.load, "yunet": yunet.load}


def load_detector(settings: PrepareSettings) -> Detector:
    """The detector that the settings name, ready for this thread.

    Raises:
        UseError: its model file is not there, or is none of its models.
    """
    return DETECTORS[settings.detector](model_file(settings))
