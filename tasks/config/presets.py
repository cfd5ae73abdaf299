"""Presets: a plain function each, that returns the settings of a whole study."""

import functools
from collections.abc import Callable
from pathlib import Path

from fer_models.models.arms import ARMS, CLASSIC_ARMS
from fer_models.settings import (
    AugmentationSettings,
    CosineSchedule,
    ModelSettings,
    PlateauSchedule,
    TrainingSettings,
    Triangular2Schedule,
)
from tasks.config.prepare_settings import NEIGHBOURS, NO_MOTION, PrepareSettings
from tasks.config.registries import WITH_WEIGHTS
from tasks.config.settings import CorpusSettings, StudySettings
from tasks.progress import echo


def sample() -> StudySettings:
    """A small study of drawn people, which needs no data.

    `make study`, or `fer study --preset sample`.
    """
    return StudySettings(
        name="sample",
        data_root=Path("fer-data/sample"),
        corpus=CorpusSettings(adapter="baum1", root=Path("sample-corpus"), draw_sample=True),
        prepare=PrepareSettings(segment_stride=4),
        model=ModelSettings(width=16, head_units=128),
        training=TrainingSettings(
            epochs=20,
            batch_size=32,
            learning_rate=1e-3,
            schedule=PlateauSchedule(patience=4),
            treatment="class_weights",
            keep_epochs=True,
            augmentation=AugmentationSettings(zoom=0.1, rotation_deg=6, shift=0.03, brightness=0.1),
        ),
    )


def published() -> StudySettings:
    """The published study as it was, with its faults.

    `fer study --preset published --set corpus.root=/data/BAUM-1`.
    """
    return StudySettings(
        name="study",  # as before the preset was called `published`, so that its data roots go on
        corpus=CorpusSettings(adapter="baum1", root=Path("BAUM-1")),
        prepare=PrepareSettings(segment_stride=2, min_face_px=90, pair=NEIGHBOURS),
        model=ModelSettings(form="published", width=128, head_units=1024, dropout=0.1, l2=0.001),
        training=TrainingSettings(
            epochs=50,
            batch_size=256,
            learning_rate=1e-5,
            rho=0.9,
            schedule=PlateauSchedule(factor=0.5, patience=2),
            monitor="val_accuracy",
            augmentation=AugmentationSettings(mirror=True, zoom=0.2, shear_deg=0.2),
        ),
    )


def corrected() -> StudySettings:
    """The published study without its faults, with a learning rate at which models learn.

    `fer study --preset corrected --set corpus.root=/data/BAUM-1`.
    """
    return StudySettings(
        name="corrected",
        corpus=CorpusSettings(adapter="baum1", root=Path("BAUM-1")),
        prepare=PrepareSettings(segment_stride=2, min_face_px=48),
        model=ModelSettings(form="corrected", width=128, head_units=1024, dropout=0.4),
        training=TrainingSettings(
            epochs=50,
            batch_size=128,
            learning_rate=2e-4,
            schedule=Triangular2Schedule(half_cycle_epochs=4, peak_factor=5, restart_patience=10),
            early_stopping_patience=20,
            precision="auto",
            treatment="class_weights",
            augmentation=AugmentationSettings(zoom=0.15, rotation_deg=10, shift=0.05, brightness=0.2),
        ),
    )


def modern() -> StudySettings:
    """A recipe for videos of your own, few or many: small normalised networks, many steps, strong augmentation.

    `fer study --preset modern --set corpus.root=videos`. How it was chosen: `benchmarks/TUNING.md`.
    """
    return StudySettings(
        name="modern",
        corpus=CorpusSettings(adapter="folder", root=Path("videos")),
        prepare=PrepareSettings(segment_stride=4, min_face_px=48, detector=_best_detector(), scene_cuts="split"),
        arms=("fer2013-hog-svm", "gap-concatenate", "spatial-only", "temporal-only", *CLASSIC_ARMS),
        model=ModelSettings(form="modern", width=16, dropout=0.2, views="mirror"),
        training=TrainingSettings(
            epochs=10,
            steps=1000,
            batch_size=64,
            optimizer="adamw",
            learning_rate=3e-3,
            weight_decay=0.05,
            ema=0.99,
            schedule=CosineSchedule(warmup=0.1),
            choose="last",
            refit="train_and_validation",
            precision="auto",
            label_smoothing=0.05,
            augmentation=AugmentationSettings(
                zoom=0.13, shear_deg=0, rotation_deg=12, shift=0.06, gamma=0.3, erasing=0.25
            ),
        ),
    )


def images() -> StudySettings:
    """A network of faces from single images, such as FER2013's, whose weights a study of videos can begin with.

    `fer study --preset images --set corpus.root=FER2013`. Its images are face crops, as they mostly are; for photos
    add `--set prepare.precropped=false`. Then `fer study --preset modern --set corpus.root=videos --set
    training.initial_weights=fer-data/images/studies/images`. On half of CK+48, 504 images of 55 people, it reaches a
    UAR of 0.86 on 11 people whom no model saw, after a quarter of an hour on two cores that had other work too.
    """
    recipe = modern()
    return StudySettings(
        name="images",
        data_root=Path("fer-data/images"),
        corpus=CorpusSettings(adapter="images", root=Path("images")),
        prepare=PrepareSettings(segment_length=1, pair=NO_MOTION, precropped=True, detector=_best_detector()),
        arms=("spatial-only", "hog-svm", "majority"),
        model=recipe.model,
        training=recipe.training.model_copy(update={"epochs": 20, "steps": 4000}),
    )


#: VGG16 without batch normalisation, begun afresh, stays with the most frequent class for its first few hundred steps.
_OF_DEEP_ONES = {"learning_rate": 1e-3, "steps": 1000}


def sequences() -> StudySettings:
    """Models of sequences beside those of single frames, small, on drawn people; needs no data.

    `fer study --preset sequences`; of your own videos with `--set corpus.adapter=folder --set corpus.root=videos`. One
    arm or two of each family, small: networks of eight filters, published ones at an eighth of their filters.
    """
    recipe = modern()
    return StudySettings(
        name="sequences",
        data_root=Path("fer-data/sample"),  # with the drawn corpus of the preset sample
        corpus=sample().corpus,
        prepare=PrepareSettings(segment_stride=8, frames_per_segment=4, detector=_best_detector()),
        arms=(
            "gap-concatenate",
            "spatial-only",
            "temporal-only",
            "frame-stack",
            "frame-stack-concatenate",
            "c3d",
            "c3d-concatenate",
            "lstm-spatial",
            "lstm-fused",
            "gru-fused",
            "convlstm-fused",
            "vgg16-spatial",
            "mobilenet-spatial",
            "zhang2019-dbn",
            "lbp-top-svm",
            *CLASSIC_ARMS,
        ),
        model=recipe.model.model_copy(update={"width": 8, "head_units": 128, "backbone_width": 0.125}),
        training=recipe.training.model_copy(update={"epochs": 10, "steps": 300, "batch_size": 32, "refit": "none"}),
        training_of_family=dict.fromkeys(("backbone", "zhang2019"), _OF_DEEP_ONES),
    )


def future_work() -> StudySettings:
    """All families at the size of the published study, for a GPU: what the study named as its future work.

    `fer study --preset future-work --set corpus.root=/data/BAUM-1`. Published networks begin with the weights of
    ImageNet, which Keras fetches, and train from `block5` or `conv5` on after a warm-up.
    """
    recipe = corrected()
    return StudySettings(
        name="future-work",
        corpus=recipe.corpus,
        prepare=PrepareSettings(segment_stride=4, frames_per_segment=16, face_size_px=96, detector=_best_detector()),
        arms=tuple(
            name for name, arm in ARMS.items() if name != "published-listing" and not name.startswith("fer2013-")
        ),
        model=recipe.model.model_copy(update={"backbone_weights": "imagenet", "unfreeze_from": "block5, conv5"}),
        training=recipe.training.model_copy(update={"batch_size": 64}),
    )


@functools.cache
def _best_detector() -> str:
    """BlazeFace, which finds turned faces too, where its weights are on this machine."""
    from tasks.weights.cache import find  # which imports pyarrow; most presets have no use for it

    if all(find(name) for name in WITH_WEIGHTS["blazeface"]):
        return "blazeface"
    echo("The weights of BlazeFace are not on this machine: faces are found by haar. `fer weights get` fetches them.")
    return "haar"


#: Names that presets had, which users may still say.
FORMER_PRESETS = {"study": "published"}

PRESETS: dict[str, Callable[[], StudySettings]] = {
    "sample": sample,
    "published": published,
    "corrected": corrected,
    "modern": modern,
    "images": images,
    "sequences": sequences,
    "future-work": future_work,
}


def summary_of(name: str) -> str:
    """What a preset is, for users: the first line of its docstring, without the full stop."""
    return (PRESETS[name].__doc__ or "").strip().partition("\n")[0].rstrip(".")
