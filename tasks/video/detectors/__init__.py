"""Face detectors: one file each, and one shape, `tasks.video.detectors.detector.Detector`.

A detector comes from a function `load(*files: Path) -> Detector`; `tasks.config.registries` names them.
"""

from tasks.config.digests import model_files
from tasks.config.registries import DETECTORS, load_module
from tasks.config.settings import PrepareSettings
from tasks.video.detectors.detector import Detector


def load_detector(settings: PrepareSettings) -> Detector:
    """The detector that the settings name, ready for this thread.

    Raises:
        UserError: a file that it needs is not there, or is not what it should be.
    """
    detector: Detector = load_module(DETECTORS, settings.detector).load(*model_files(settings))
    return detector
