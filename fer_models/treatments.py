"""Treatments of rare classes: one record each, in one registry, whose keys are what settings may name.

A treatment acts on the rows of an epoch, on their weights, on the loss, or on the last layer of the trained model.
"""

import importlib
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator

from fer_models.suggest import nearest


@dataclass(frozen=True)
class Function:
    """A function of `fer_models.training`, imported when it is first called, so that settings stay light.

    Args:
        name: `module.function`.
    """

    name: str

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns."""
        module, _, function = self.name.partition(".")
        return getattr(importlib.import_module(f"fer_models.training.{module}"), function)(*arguments)


@dataclass(frozen=True)
class Treatment:
    """What is done about classes of unequal size.

    Args:
        summary: for users.
        rows: from the labels, int (n,), the seed and the number of an epoch: the rows that it takes, int (m,).
        weights: from the labels and the number of classes: how much a row of each class counts, (classes,).
        loss: from the same: the loss, on logits.
        refit: from kernel and bias of the last layer, its input for the training rows, float (n, units), their labels
            and the seed: its new kernel and bias. None leaves the layer as it was trained.
    """

    summary: str
    rows: Function = Function("sampling.every_row")
    weights: Function = Function("sampling.equal_weights")
    loss: Function = Function("losses.cross_entropy")
    refit: Function | None = None


TREATMENTS: dict[str, Treatment] = {
    "none": Treatment("nothing"),
    "class_weights": Treatment(
        "rows of rare classes count more, by the inverse of their frequency", weights=Function("sampling.class_weights")
    ),
    "downsample": Treatment(
        "an epoch draws as many rows of each class as the rarest has", rows=Function("sampling.downsample")
    ),
    "oversample": Treatment(
        "an epoch draws as many rows of each class as the largest has", rows=Function("sampling.oversample")
    ),
    "smote": Treatment(
        "the last layer is fitted again to features balanced by SMOTE", refit=Function("refitting.refit_to_smote")
    ),
    "focal": Treatment("focal loss: rows that are easy count less", loss=Function("losses.focal")),
    "logit_adjustment": Treatment("log priors are added to the logits in training", loss=Function("losses.adjusted")),
    "one_vs_rest": Treatment(
        "a binary loss for each class, then a second stage over the logits",
        loss=Function("losses.one_versus_rest"),
        refit=Function("refitting.refit_to_logits"),
    ),
}


def _known(name: str) -> str:
    if name not in TREATMENTS:
        raise ValueError(
            f"there is no treatment {name!r}{nearest(name, TREATMENTS)}; there are {', '.join(TREATMENTS)}"
        )
    return name


#: A key of `TREATMENTS`.
TreatmentName = Annotated[str, AfterValidator(_known)]
