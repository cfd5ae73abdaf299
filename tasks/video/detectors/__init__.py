"""Face detectors: one file each, and one shape, `tasks.video.detectors.detector.Detector`.

A detector comes from a function `load(*files: Path) -> Detector`; `tasks.config.registries` names them.
"""

from tasks.config.digests import model_files
from tasks.config.prepare_settings import NOBODY, PrepareSettings
from tasks.config.registries import DETECTORS, load_module
from tasks.video.detectors.detector import Detector


def load_detector(settings: PrepareSettings) -> Detector:
    """The detector that the settings name, ready for this thread.

    Raises:
        UserError: a file that it needs is not there, or is not what it should be.
    """
    return _load(settings.detector, settings)


def load_confirming(settings: PrepareSettings) -> Detector | None:
    """The detector that confirms the other's faces; None where none does. Raises as `load_detector`."""
    return None if settings.confirm == NOBODY else _load(settings.confirm, settings)


def _load(name: str, settings: PrepareSettings) -> Detector:
    detector: Detector = load_module(DETECTORS, name).load(*model_files(name, settings))
    return detector
