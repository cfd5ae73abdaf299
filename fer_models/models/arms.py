"""The arms of a study: a registry of model configurations. `fer_models.models.building` builds one."""

from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from fer_models.errors import UseError
from fer_models.settings import Imbalance
from fer_models.suggest import nearest

StreamName = Literal["spatial", "temporal"]
IMBALANCE: tuple[str, ...] = get_args(Imbalance)


@dataclass(frozen=True)
class Arm:
    """One model configuration.

    Args:
        name: unique, as used in settings and reports.
        title: for people.
        streams: which of the two streams it has.
        pooling: how a stream's last 3x3 map becomes a vector.
        fusion: how two streams become one vector; `None` for a single stream.
        width: fixes the width, whatever the study's settings say.
        printed_accuracy: test accuracy in % that the study printed for it.
        imbalance: how it is trained against the imbalance of the classes; `None` as the study's settings say.
    """

    name: str
    title: str
    streams: tuple[StreamName, ...]
    pooling: Literal["flatten", "gap"]
    fusion: Literal["concatenate", "sum", "average"] | None
    width: int | None = None
    printed_accuracy: float | None = None
    imbalance: Imbalance | None = None


_BOTH: tuple[StreamName, ...] = ("spatial", "temporal")

ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("flatten-concatenate", "Flatten + concatenate", _BOTH, "flatten", "concatenate", None, 57.7),
        Arm("flatten-sum", "Flatten + sum", _BOTH, "flatten", "sum", None, 59.77),
        Arm("flatten-average", "Flatten + average", _BOTH, "flatten", "average", None, 57.71),
        Arm("gap-concatenate", "GAP + concatenate", _BOTH, "gap", "concatenate", None, 59.8),
        Arm("gap-sum", "GAP + sum", _BOTH, "gap", "sum", None, 56.48),
        Arm("gap-average", "GAP + average", _BOTH, "gap", "average", None, 57.66),
        Arm("spatial-only", "Spatial stream only", ("spatial",), "flatten", None),
        Arm("optical-flow-only", "Temporal stream only", ("temporal",), "flatten", None),
        Arm("listing", "The study's listing (w = 64)", _BOTH, "flatten", "concatenate", 64),
    )
}

#: The six fusion models of the study.
FUSION_ARMS = tuple(name for name, arm in ARMS.items() if arm.fusion and arm.width is None)
#: The six and the two baselines.
STUDY_ARMS = (*FUSION_ARMS, "spatial-only", "optical-flow-only")


def get_arm(name: str) -> Arm:
    """The arm of that name; `gap-sum+focal` is `gap-sum` trained with focal loss, whatever the study's settings say.

    Raises:
        UseError: there is no such arm or treatment, naming the nearest one.
    """
    plain, plus, treatment = name.partition("+")
    if plain not in ARMS:
        raise UseError(f"There is no arm {plain!r}{nearest(plain, ARMS)}; `fer models` lists them.")
    if not plus:
        return ARMS[plain]
    if treatment not in IMBALANCE:
        treatments = ", ".join(IMBALANCE)
        raise UseError(
            f"There is no treatment {treatment!r}{nearest(treatment, IMBALANCE)} for an arm; there are {treatments}."
        )
    title = f"{ARMS[plain].title}, {treatment.replace('_', ' ')}"
    return replace(ARMS[plain], name=name, title=title, imbalance=cast(Imbalance, treatment))
