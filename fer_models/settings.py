"""Settings of a model and of its training: frozen, typed, unknown keys refused."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from fer_models.treatments import TREATMENTS, TreatmentName


class Settings(BaseModel):
    """Base of every settings group."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, hide_input_in_errors=True, allow_inf_nan=False
    )


PositiveInt = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
#: What a prediction is the mean of, see `ModelSettings.views`.
Views = Literal["none", "mirror", "mirror_and_shifts"]
#: What takes the steps of a training, see `TrainingSettings.engine`.
EngineName = Literal["auto", "resident", "blocks", "steps"]
#: How a video is classified, see `ModelSettings.video_classifier`.
VideoClassifier = Literal["mean_probability", "linear_svm"]


class AugmentationSettings(Settings):
    """Random changes to a training pair; one draw moves the face and its optical flow together."""

    mirror: bool = Field(True, description="mirror half of the pairs left to right")
    zoom: Share = Field(0.2, description="each axis is zoomed by a factor in 1 - zoom .. 1 + zoom")
    shear_deg: float = Field(0.2, ge=0, lt=45, description="shear angle, at most this many degrees either way")
    rotation_deg: float = Field(0.0, ge=0, le=180, description="rotation, at most this many degrees either way")
    shift: Share = Field(0.0, description="shift, at most this share of the side either way")
    brightness: Share = Field(0.0, description="gain and offset of the face image, at most this much either way")
    gamma: Share = Field(
        0.0,
        description="the face image's values, 0 to 1, are raised to a power in 1 - gamma .. 1 + gamma: light that no "
        "standardisation takes back",
    )
    erasing: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the pairs that lose a rectangle, a tenth to four tenths of the side each way",
    )


#: What is done about the motion of the whole head.
HeadMotion = Literal["keep", "remove_shift", "remove_similarity"]


class ModelSettings(Settings):
    """What all arms of a study share."""

    form: Literal["published", "corrected", "modern"] = Field(
        "corrected",
        description="`published` repeats the published model with its faults, `corrected` has none of them, `modern` "
        "has small kernels with batch normalisation and no dense layers before the last: for little data",
    )
    width: PositiveInt = Field(128, description="filters of a stream's first convolutions")
    head_units: PositiveInt = Field(1024, description="units of each of the two dense layers; `modern` has none")
    dropout: Share = Field(0.1, description="share of the units that each step of a training leaves out")
    l2: float = Field(0.001, ge=0, description="L2 penalty on the second dense layer; `modern` has none")
    optical_flow_scale_px: float = Field(
        0.25,
        gt=0,
        description="not `published`: the motion in 1/30 s that counts as 1.0, in px of a face stored at 48 px",
    )
    optical_flow_quantile: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="measure that scale instead: the length of motion that this share of the pixels of the training "
        "subset does not exceed, such as 0.95",
    )
    head_motion: HeadMotion = Field(
        "keep",
        description="not `published`: what is done about the motion of the whole head: `keep`, `remove_shift` (the "
        "median over the face), `remove_similarity` (the shift, turn and zoom that fit best)",
    )
    views: Views = Field(
        "none",
        description="what a prediction is the mean of: the segment, with `mirror` also its mirror image, and also "
        "small shifts of both",
    )
    video_classifier: VideoClassifier = Field(
        "mean_probability",
        description="how a video is classified: by the mean of its segments' probabilities, or by a linear support "
        "vector machine on the mean of their features, which takes the place of the last layer once that is trained",
    )
    backbone_width: float = Field(
        1.0,
        gt=0,
        le=2,
        description="filters of published networks such as VGG16, as a share of the published numbers; published "
        "weights fit 1",
    )
    backbone_weights: str = Field(
        "none",
        min_length=1,
        description="what published networks such as VGG16 begin with: `none` for fresh weights; `imagenet`; or a path "
        "of a file of weights as Keras publishes them (.._notop.h5), or of a folder of such files under Keras's names",
    )
    unfreeze_from: str = Field(
        "none",
        min_length=1,
        description="with `backbone_weights`: what comes before this layer of a published network stays as it is for "
        "good; a layer or the first part of its name, such as block5, for several networks with commas between them",
    )

    @field_validator("unfreeze_from")
    @classmethod
    def _of_what_was_trained(cls, layer: str, others: ValidationInfo) -> str:
        if layer != "none" and others.data.get("backbone_weights", "none") == "none":
            raise ValueError("fresh weights are all trained; set model.backbone_weights too")
        return layer


class PlateauSchedule(Settings):
    """Multiply the learning rate by `factor` after `patience` epochs without a better monitored value."""

    kind: Literal["plateau"] = "plateau"
    factor: float = Field(0.5, gt=0, lt=1, description="the learning rate is multiplied by it")
    patience: PositiveInt = Field(2, description="epochs without a better monitored value before that")
    minimum: float = Field(0.0, ge=0, description="the learning rate falls no lower")


class Triangular2Schedule(Settings):
    """Cyclical learning rate whose amplitude halves every cycle (Smith 2017, policy `triangular2`)."""

    kind: Literal["triangular2"] = "triangular2"
    peak_factor: float = Field(
        6.0, gt=1, description="peak of the first cycle, as a multiple of the base learning rate"
    )
    half_cycle_epochs: float = Field(4.0, gt=0, description="Smith's step size, in epochs")
    restart_patience: PositiveInt | None = Field(
        None,
        description="start the cycles again when neither training nor validation accuracy improved in so many epochs",
    )


class ConstantSchedule(Settings):
    """The learning rate stays as it is."""

    kind: Literal["constant"] = "constant"


class CosineSchedule(Settings):
    """A straight rise to the learning rate, then half a cosine down to 0 at the end of the budget (SGDR, Loshchilov and
    Hutter 2017, without restarts).
    """

    kind: Literal["cosine"] = "cosine"
    warmup: Share = Field(0.1, description="share of the budget that the rise takes")


Schedule = Annotated[
    PlateauSchedule | Triangular2Schedule | ConstantSchedule | CosineSchedule, Field(discriminator="kind")
]


class TrainingSettings(Settings):
    """How every run of a study is trained."""

    epochs: PositiveInt = Field(50, description="passes over the training rows; with `steps` its equal parts")
    steps: PositiveInt | None = Field(
        None,
        description="optimiser steps in all, the budget instead of `epochs`, which then says only how often the model "
        "is looked at meanwhile: what little data needs, whose passes are short",
    )
    batch_size: PositiveInt = Field(256, description="segments of an optimiser step")
    optimizer: Literal["rmsprop", "adamw"] = Field("rmsprop", description="what takes the steps")
    learning_rate: float = Field(1e-3, gt=0, description="that of the beginning, before the schedule changes it")
    rho: Share = Field(0.9, description="`rmsprop`: its decay")
    weight_decay: float = Field(
        0.05, ge=0, lt=1, description="`adamw`: of kernels, not of biases and normalisation; times the learning rate"
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="the model is the exponential moving average of the weights with this decay a step, such as 0.99",
    )
    schedule: Schedule = PlateauSchedule()
    monitor: Literal["val_accuracy", "val_uar", "val_loss"] = Field(
        "val_uar", description="the epoch that is best by this validation metric becomes the model"
    )
    choose: Literal["best", "smoothed", "last"] = Field(
        "best",
        description="the epoch that becomes the model: the best one, the best by the mean of `monitor` over it and the "
        "two before it, or the last one, where the learning rate has fallen to nothing",
    )
    refit: Literal["none", "train_and_validation"] = Field(
        "none",
        description="once the epoch is chosen, train anew for as long, on the training and the validation people: more "
        "people, and a model that was chosen by none of its own",
    )
    early_stopping_patience: PositiveInt | None = Field(
        None, description="stop after this many epochs without a better monitored value"
    )
    initial_weights: str | None = Field(
        None,
        min_length=1,
        description="begin with weights instead of fresh ones, in each layer whose name and shapes agree: a name of "
        "`fer weights list`, a path of an earlier run's model.keras or of a file of weights of Keras (.weights.h5), or "
        "the folder of another study: of its models that of the same arm, else that of its best arm by validation",
    )
    pretrained: Literal["frozen", "fine_tune"] = Field(
        "fine_tune",
        description="layers whose weights others trained stay as they are, or are trained too after a warm-up of the "
        "others; their normalisation always stays",
    )
    freeze: Literal["none", "warmup", "always"] = Field(
        "none",
        description="what becomes of layers that `initial_weights` filled: they learn like all others, or as with "
        "`fine_tune`, or stay as they are. In the last two ways the head, which takes what all streams found, begins "
        "fresh",
    )
    pretrained_warmup: Share = Field(
        0.2, description="`fine_tune`, `freeze: warmup`: share of the budget in which they stay"
    )
    pretrained_rate: float = Field(
        0.1, gt=0, le=1, description="then they learn at this share of the learning rate, without decay"
    )
    label_smoothing: Share = Field(0.0, description="share of each label that is spread evenly over the classes")
    mixup: float = Field(
        0.0, ge=0, description="mix pairs and labels by shares drawn from Beta(mixup, mixup); 0: don't"
    )
    cutmix: float = Field(
        0.0, ge=0, description="lay a rectangle of one pair into another, its area drawn from Beta(cutmix, cutmix)"
    )
    treatment: TreatmentName = Field("none", description=f"what is done about rare classes: {', '.join(TREATMENTS)}")
    keep_epochs: bool = Field(
        False, description="keep the weights of every epoch, so that the report can give the optimism gap"
    )
    augmentation: AugmentationSettings | None = AugmentationSettings()
    precision: Literal["float32", "mixed_bfloat16", "auto"] = Field(
        "float32", description="`auto`: mixed_bfloat16 on a machine that computes it faster, else float32"
    )

    engine: EngineName = Field(
        "auto",
        description="how the steps of an epoch are taken: `resident`, one compiled call over data that stays on the "
        "device; `blocks`, one for each block of data, while the next is read; `steps`, one by one; `auto`: `resident` "
        "on an accelerator that has the memory, else `blocks`",
    )
    block_mb: PositiveInt = Field(
        64, description="memory that the data of a block takes at most, in MiB; two or three are there at once"
    )
    data_parallel: bool = Field(
        False,
        description="share the rows of each step among all devices of the machine: one large run on several GPUs. On "
        "JAX alone, and not with the engine `steps`; the number of devices divides `batch_size`",
    )

    @field_validator("data_parallel")
    @classmethod
    def _is_compiled(cls, data_parallel: bool, others: ValidationInfo) -> bool:
        if data_parallel and others.data.get("engine") == "steps":
            raise ValueError("the engine `steps` takes them on one device; set training.engine to auto too")
        return data_parallel

    @field_validator("freeze")
    @classmethod
    def _has_what_it_holds(cls, freeze: str, others: ValidationInfo) -> str:
        if freeze != "none" and others.data.get("initial_weights", "") is None:
            raise ValueError("it is about layers that training.initial_weights fills; set that too")
        return freeze

    @field_validator("steps")
    @classmethod
    def _one_an_epoch(cls, steps: int | None, others: ValidationInfo) -> int | None:
        if steps is not None and steps < (epochs := others.data.get("epochs", 1)):
            raise ValueError(f"it should be at least training.epochs ({epochs}), for each of them takes a step or more")
        return steps
