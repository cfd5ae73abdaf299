"""Which models are asked, told before Keras is loaded: files, or the published network where there are none."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.config.digests import digest, model_sha256, prepare_part
from tasks.config.model_card import file_sha256, read_card
from tasks.inference.pretrained import (
    SMOOTHING_S,
    STILL_TEMPERATURE,
    find_pretrained,
    pretrained_origin,
    pretrained_prepare,
)
from tasks.inference.sources import find_model
from tasks.progress import collected

if TYPE_CHECKING:
    from tasks.inference.predictor import Predictor


@dataclass(frozen=True)
class ModelFiles:
    """One or more models of a study, local or not, which are an ensemble; without any the published network.

    Args:
        detector_model: where the detector's file or folder lies, if no longer where it lay when they were trained.
    """

    files: tuple[Path, ...] = ()
    detector_model: Path | None = None

    def check(self) -> None:
        """Raise `UserError` where one is not there."""
        for file in self.files:
            find_model(file)
        if not self.files:
            find_pretrained()

    def contents(self) -> tuple[str, ...]:
        """What predictions depend on, wherever it lies: the SHA-256 of files, and how probabilities are calibrated."""
        detector = self.detector_model
        of_detector = sorted(detector.iterdir()) if detector and detector.is_dir() else [detector] if detector else []
        found = [file_sha256(file) for file in (*self.files, *of_detector)]
        if not self.files:
            prepare = pretrained_prepare()
            found += [pretrained_origin().sha256, digest(prepare_part(prepare)), model_sha256(prepare)]
            found.append(digest({"smoothing_s": SMOOTHING_S, "still_temperature": STILL_TEMPERATURE}))
        elif len(self.files) == 1:
            with collected():  # what is wrong with a card is said when the model is loaded
                card = read_card(self.files[0])
            found += [f"temperature {card.temperature}"] if card else []
        return tuple(found)

    def load(self) -> "Predictor":
        """The models, ready to be asked; raises `UserError` where they cannot be loaded."""
        from tasks.inference.predictor import Predictor

        if not self.files:
            return Predictor.pretrained()
        return Predictor.load(*self.files, detector_model=self.detector_model)
