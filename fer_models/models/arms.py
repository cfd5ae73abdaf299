"""The arms of a study: a registry of model configurations. `fer_models.models.building` builds one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fer_models.errors import UserError
from fer_models.suggest import nearest
from fer_models.treatments import TREATMENTS


@dataclass(frozen=True)
class Arm:
    """One model configuration.

    Args:
        name: unique, as used in settings and reports.
        title: for users.
        family: of `fer_models.models.families`.
        options: in which it differs from the other arms of its family; see there.
        treatment: what is done about rare classes when it is trained; `None` as the study's settings say.
        is_baseline: the other arms are to be better than it.
        is_solved: the layer of its logits is solved for (`fer_models.training.solving`), and the layers before it stay
            as they were built; else it is trained by gradient steps.
        num_members: of an ensemble: the models of the same arm, one a seed, whose probabilities it averages; else 0.
    """

    name: str
    title: str
    family: str
    options: Mapping[str, Any]
    treatment: str | None = None
    is_baseline: bool = False
    is_solved: bool = False
    num_members: int = 0

    @property
    def is_classic(self) -> bool:
        """Whether it is a baseline of features that nobody learned."""
        return self.is_solved and self.is_baseline


def _two_stream(name: str, title: str, is_baseline: bool = False, **options: Any) -> Arm:
    return Arm(name, title, "two-stream", options, is_baseline=is_baseline)


def _linear(name: str, title: str, *features: str, is_baseline: bool = True) -> Arm:
    return Arm(name, title, "linear", {"features": features}, is_baseline=is_baseline, is_solved=True)


def _fer2013(name: str, title: str, **options: Any) -> Arm:
    return _two_stream(f"fer2013-{name}", f"FER2013, {title}", spatial="mini-xception", **options)


def _frames(family: str, name: str, title: str, part: str) -> tuple[Arm, ...]:
    """A stream over all frames, alone, then as a third one with each operator of fusion."""
    third = (
        Arm(f"{name}-{fusion}", f"{part} as 3rd stream, {fusion}", family, {"fusion": fusion})
        for fusion in ("concatenate", "sum", "average")
    )
    return (Arm(name, title, family, {}), *third)


#: Streams by the last word of an arm's name, and what they look at.
_SIGHTS: dict[str, tuple[tuple[str, ...], str]] = {
    "spatial": (("spatial",), "face"),
    "temporal": (("temporal",), "optical flow"),
    "fused": (("spatial", "temporal"), "face and optical flow"),
}


def _recurrent(memory: str, title: str) -> tuple[Arm, ...]:
    return tuple(
        Arm(f"{memory}-{name}", f"{title}, {sight}", "recurrent", {"memory": memory, "streams": streams})
        for name, (streams, sight) in _SIGHTS.items()
    )


def _backbone(name: str, title: str, network: str) -> tuple[Arm, Arm]:
    """A published network over the face, and over the face and its motion."""
    one = {"network": network, "streams": ("spatial",)}
    both = {"network": network, "fusion": "concatenate"}
    return (
        Arm(f"{name}-spatial", f"{title}, face", "backbone", one),
        Arm(f"{name}-concatenate", f"{title}, concatenate", "backbone", both),
    )


def _zhang2019(fusion_net: str, title: str) -> Arm:
    return Arm(f"zhang2019-{fusion_net}", f"Zhang et al. 2019, {title}", "zhang2019", {"fusion_net": fusion_net})


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        _two_stream("flatten-concatenate", "Flatten + concatenate", pooling="flatten", fusion="concatenate"),
        _two_stream("flatten-sum", "Flatten + sum", pooling="flatten", fusion="sum"),
        _two_stream("flatten-average", "Flatten + average", pooling="flatten", fusion="average"),
        _two_stream("gap-concatenate", "GAP + concatenate", pooling="gap", fusion="concatenate"),
        _two_stream("gap-sum", "GAP + sum", pooling="gap", fusion="sum"),
        _two_stream("gap-average", "GAP + average", pooling="gap", fusion="average"),
        _two_stream("spatial-only", "Spatial stream only", True, streams=("spatial",), pooling="flatten"),
        _two_stream("temporal-only", "Temporal stream only", True, streams=("temporal",), pooling="flatten"),
        _two_stream(
            "published-listing", "The published listing (w = 64)", pooling="flatten", fusion="concatenate", width=64
        ),
        _linear("hog-svm", "HOG + linear SVM", "hog"),
        _linear("hof-svm", "HOF + linear SVM", "hof"),
        _linear("majority", "Most frequent class"),
        _linear("lbp-top-svm", "LBP-TOP + linear SVM", "lbp-top"),
        _linear("fer2013-hog-svm", "FER2013 features + HOG + SVM", "mini-xception", "hog", is_baseline=False),
        _fer2013("spatial-only", "spatial stream only", streams=("spatial",), pooling="flatten"),
        _fer2013("flatten-concatenate", "flatten + concatenate", pooling="flatten", fusion="concatenate"),
        _fer2013("flatten-sum", "flatten + sum", pooling="flatten", fusion="sum"),
        _fer2013("flatten-average", "flatten + average", pooling="flatten", fusion="average"),
        _fer2013("gap-concatenate", "GAP + concatenate", pooling="gap", fusion="concatenate"),
        _fer2013("gap-sum", "GAP + sum", pooling="gap", fusion="sum"),
        _fer2013("gap-average", "GAP + average", pooling="gap", fusion="average"),
        *_frames("frame-stack", "frame-stack", "Frame stack", "Stack"),
        *_frames("volume", "c3d", "3D convolutions (C3D)", "C3D"),
        *_recurrent("lstm", "LSTM"),
        *_recurrent("gru", "GRU"),
        *_recurrent("convlstm", "ConvLSTM"),
        *_backbone("vgg16", "VGG16", "vgg16"),
        *_backbone("vgg19", "VGG19", "vgg19"),
        *_backbone("resnet50", "ResNet50", "resnet50"),
        *_backbone("mobilenet", "MobileNetV3-Small", "mobilenet-v3-small"),
        _zhang2019("dbn", "deep belief network"),
        _zhang2019("dense", "dense layers"),
    )
}

#: The six fusion models of the published study.
FUSION_ARMS = tuple(name for name, arm in ARMS.items() if set(arm.options) == {"pooling", "fusion"})
#: The classic baselines that stand in every study unless it names its arms: those that one frame is enough for.
CLASSIC_ARMS = ("hog-svm", "hof-svm", "majority")
#: The six, their single streams and the classic baselines.
STUDY_ARMS = (*FUSION_ARMS, "spatial-only", "temporal-only", *CLASSIC_ARMS)

#: Names that arms had, under which settings and results of earlier versions know them.
FORMER_NAMES = {"optical-flow-only": "temporal-only", "listing": "published-listing"}


def present_name(name: str) -> str:
    """The name that an arm has now, for one that it has or had, with its treatment."""
    plain, plus, treatment = name.partition("+")
    return FORMER_NAMES.get(plain, plain) + plus + treatment


def former_name(name: str) -> str:
    """The first name that an arm had, by which what was made of it is called."""
    plain, plus, treatment = name.partition("+")
    return {now: before for before, now in FORMER_NAMES.items()}.get(plain, plain) + plus + treatment


def get_arm(name: str) -> Arm:
    """The arm of that name; `gap-sum+focal` is `gap-sum` trained with focal loss, whatever the study's settings say.

    `gap-sum.ensemble3` is the ensemble of `gap-sum` with three seeds.

    Raises:
        UserError: there is no such arm or treatment, naming the nearest one.
    """
    if ensemble := _ENSEMBLE.fullmatch(name):
        return ensemble_of(get_arm(ensemble["member"]), int(ensemble["number"]))
    name = present_name(name)
    plain, plus, treatment = name.partition("+")
    if plain not in ARMS:
        raise UserError(f"There is no arm {plain!r}{nearest(plain, ARMS)}; `fer models` lists them.")
    if not plus:
        return ARMS[plain]
    if treatment not in TREATMENTS:
        raise UserError(
            f"There is no treatment {treatment!r}{nearest(treatment, TREATMENTS)} for an arm; there are "
            f"{', '.join(TREATMENTS)}."
        )
    title = f"{ARMS[plain].title}, {treatment.replace('_', ' ')}"
    return replace(ARMS[plain], name=name, title=title, treatment=treatment)


def find_arms(names: Sequence[str]) -> list[Arm]:
    """The arms of these names and of the families of these names; all arms without one.

    Raises:
        UserError: there is no such arm or family.
    """
    families = {arm.family for arm in ARMS.values()}
    named = {arm.name for name in names for arm in (() if name in families else (get_arm(name),))}
    return [arm for arm in ARMS.values() if not names or arm.family in names or arm.name in named]


#: A dot, as no arm and no treatment has one; how many members, as a title must be known from a name alone.
_ENSEMBLE = re.compile(r"(?P<member>[^.]+)\.ensemble(?P<number>[1-9]\d*)")


def ensemble_of(arm: Arm, num_members: int) -> Arm:
    """The ensemble of an arm's models with so many seeds."""
    name, title = f"{arm.name}.ensemble{num_members}", f"{arm.title}, ensemble of {num_members} seeds"
    return replace(arm, name=name, title=title, num_members=num_members)


def member_name(ensemble: Arm) -> str:
    """The name of the arm whose models an ensemble is of."""
    return ensemble.name.removesuffix(f".ensemble{ensemble.num_members}")
