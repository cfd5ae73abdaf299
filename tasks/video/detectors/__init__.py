"""Face detectors: one file each, and one shape, `tasks.video.detectors.detector.Detector`.

A detector comes from a function `load(model: Path | None) -> Detector`; `tasks.config.registries` names them.
"""

from tasks.config.digests import model_file
from tasks.config.registries import DETECTORS, load_module
from tasks.config.settings import PrepareSettings
from tasks.video.detectors.detector import Detector


def load_detector(settings: PrepareSettings) -> Detector:
    """The detector that the settings name, ready for this thread.

    Raises:
        UserError: its model file is not there, or is none of its models.
    """
    detector: Detector = load_module(DETECTORS, settings.detector).load(model_file(settings))
    return detector
