"""Settings of a whole study."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializationInfo,
    SerializeAsAny,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from fer_models.errors import UserError
from fer_models.labels import EMOTIONS, canonical_emotion
from fer_models.models.arms import STUDY_ARMS, Arm, get_arm
from fer_models.settings import ModelSettings, PositiveInt, Settings, Share, TrainingSettings
from fer_models.treatments import TreatmentName
from tasks.config.registries import ADAPTERS, DETECTORS, WITH_MODEL_FILE, load_module, one_of
from tasks.storage.addresses import refuse_secrets
from tasks.storage.locations import as_remote, is_location, local_path, read_location


def _from_home(path: Path) -> Path:
    try:
        return local_path(path)
    except UserError as error:
        raise ValueError(str(error).rstrip(".")) from error


#: A path of this machine, `~` for the home folder.
LocalPath = Annotated[Path, AfterValidator(_from_home)]


def _read_location(value: Any, as_path: ValidatorFunctionWrapHandler) -> Path:
    if not (isinstance(value, str) or is_location(value)):
        return as_path(value)
    try:
        place = read_location(str(value))
    except UserError as error:
        raise ValueError(str(error).rstrip(".")) from error
    return place if as_remote(place) else as_path(place)


def _write_location(place: Path, info: SerializationInfo) -> Any:
    return str(place) if info.mode == "json" else place


#: A local path, or a URL of an object store (`tasks.storage.locations`); a string in JSON and YAML.
DataPath = Annotated[Path, WrapValidator(_read_location), PlainSerializer(_write_location)]

#: While a corpus is watched, a file that was written to within so many seconds waits for the next look.
SETTLE_S = 5.0


class CorpusSettings(Settings):
    """Which videos, and how their labels are read."""

    adapter: Annotated[str, AfterValidator(one_of(ADAPTERS, "adapter"))] = Field(
        "folder", description=f"the corpus's layout on disk: {', '.join(ADAPTERS)}"
    )
    root: LocalPath = Field(Path("videos"), description="folder of the corpus; for `table` the CSV or Parquet file")
    emotions: tuple[str, ...] = Field(EMOTIONS, min_length=2, description="the classes, in the order of the outputs")
    draw_sample: bool = Field(False, description="draw the sample corpus at `root` when it is not there")

    @field_validator("emotions")
    @classmethod
    def _in_the_projects_words(cls, emotions: tuple[str, ...]) -> tuple[str, ...]:
        words = tuple(map(canonical_emotion, emotions))
        if len(set(words)) < len(words):
            raise ValueError("it names a class twice")
        if "" in words:
            raise ValueError("one of its classes has no name")
        return words


def options_of(adapter: str) -> type[CorpusSettings]:
    """The settings that a corpus with this adapter has."""
    options: type[CorpusSettings] = getattr(load_module(ADAPTERS, adapter), "Options", CorpusSettings)
    return options


def _read_corpus(value: Any, as_common: ValidatorFunctionWrapHandler) -> CorpusSettings:
    """The settings of a corpus with the options of its adapter; those of other adapters say nothing of it."""
    values = value.model_dump() if isinstance(value, CorpusSettings) else value
    adapter = str(values.get("adapter", "folder")) if isinstance(values, dict) else ""
    if adapter not in ADAPTERS:
        return as_common(values)  # which says what is wrong
    options = options_of(adapter)
    if foreign := values.keys() - options.model_fields.keys():
        known = {name for adapter in ADAPTERS for name in options_of(adapter).model_fields}
        values = {name: one for name, one in values.items() if name not in foreign & known}
    return options.model_validate(values)


#: Settings of a corpus, with the options that its adapter has.
Corpus = Annotated[SerializeAsAny[CorpusSettings], WrapValidator(_read_corpus)]

#: The two frames of a pair are neighbours in the file, as in the published study, whatever the time between them.
NEIGHBOURS = "neighbours"


def _read_pair(value: Any) -> Any:
    is_time = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1
    if not is_time and value != NEIGHBOURS:
        raise ValueError(f"it should be a time in seconds, above 0 and at most 1 such as 0.0333, or {NEIGHBOURS}")
    return value


class PrepareSettings(Settings):
    """What determines the content of a shard; its digest names the folder of the shards."""

    segment_length: int = Field(
        16, ge=2, description="frames in a segment; a pair of them is used: the first and a later one"
    )
    segment_stride: PositiveInt = Field(16, description="frames from one segment's start to the next")
    pair: Annotated[float | Literal["neighbours"], BeforeValidator(_read_pair)] = Field(
        1 / 30,
        description="seconds between the two frames of a pair: the second is the frame nearest to that time with "
        "another picture, and motion is scaled to 1/30 s. `neighbours`: the next frame of the file; px per frame",
    )
    face: Literal["first", "last"] = Field(
        "first", description="the frame of the pair whose face is stored, with the motion that begins or ends there"
    )
    face_size_px: int = Field(
        48, ge=48, le=224, description="side of the stored face crops and of their optical flow, in px"
    )
    min_face_px: int = Field(48, ge=24, description="smaller faces are not used")
    precropped: bool = Field(False, description="frames are face crops already, and each is used whole")
    detector: Annotated[str, AfterValidator(one_of(DETECTORS, "detector"))] = Field(
        "haar", description=f"what finds the faces: {', '.join(DETECTORS)}"
    )
    detector_model: LocalPath | None = Field(
        None, validate_default=True, description="`yunet`: its ONNX file; only its content matters, not where it lies"
    )
    flow_method: Literal["farneback", "dis"] = "farneback"

    @field_validator("detector_model")
    @classmethod
    def _given_where_needed(cls, model: Path | None, others: ValidationInfo) -> Path | None:
        detector = others.data.get("detector")
        if detector in WITH_MODEL_FILE and model is None:
            raise ValueError(f"detector {detector} needs its ONNX file")
        return model

    def anywhere(self) -> "PrepareSettings":
        """The same for processes that work in another folder: with the absolute path of the model file."""
        return self.model_copy(update={"detector_model": self.detector_model and self.detector_model.absolute()})


class SplitSettings(Settings):
    """Subsets by subject: no subject is ever in two of them. All choices are made on validation subjects."""

    protocol: Literal["holdout", "kfold", "loso", "file"] = Field(
        "holdout",
        description="`holdout`: one test subset; `kfold`: every person is tested once; `loso`: leave one subject out; "
        "`file`: folds as in `folds_file`",
    )
    folds: int = Field(5, ge=2, description="`kfold`: number of folds")
    folds_file: LocalPath | None = Field(
        None, validate_default=True, description="`file`: CSV or Parquet with the columns subject, fold"
    )
    validation_share: float = Field(
        0.2, gt=0, lt=1, description="share of the subjects (in folds: of those not tested)"
    )
    test_share: float = Field(0.2, gt=0, lt=1, description="`holdout`: share of the subjects")
    seed: int = 7

    @field_validator("folds_file")
    @classmethod
    def _given_where_needed(cls, file: Path | None, others: ValidationInfo) -> Path | None:
        if others.data.get("protocol") == "file" and file is None:
            raise ValueError("protocol file needs a table with the columns subject, fold")
        return file

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> "SplitSettings":
        if self.protocol == "holdout" and self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share and test_share leave nothing for training")
        return self

    @property
    def name(self) -> str:
        """Names the split in the data root: other settings draw another one and leave this one as it is."""
        validation = f"validation{self.validation_share:g}-seed{self.seed}"
        return {
            "holdout": f"holdout-test{self.test_share:g}-{validation}",
            "kfold": f"kfold{self.folds}-{validation}",
            "loso": f"loso-{validation}",
            "file": f"file-{self.folds_file.stem if self.folds_file else ''}-{validation}",
        }[self.protocol]


class ExecutionSettings(Settings):
    """How the work is done; nothing here changes a result."""

    workers: PositiveInt | None = Field(
        None,
        description="videos prepared at once, by default one per core; with the address of a Dask cluster: at once by "
        "each worker, by default one per thread (Ray: always one per CPU)",
    )
    videos_per_task: PositiveInt | None = Field(
        None,
        description="videos that share a task run of Prefect; by default each has its own where there are up to 1,000, "
        "and many share one where there are more or on a cluster",
    )
    timeout_s: float = Field(600.0, gt=0, description="a video that takes longer ends as `timeout`")
    retries: int = Field(2, ge=0, description="further attempts of a video that crashed or could not be read")
    retry_pause_s: float = Field(
        2.0, ge=0, description="pause before the first further attempt; each later pause is five times longer"
    )
    max_failed_share: Share = Field(0.5, description="stop when a larger share of the videos could not be used")
    settle_s: float = Field(
        0.0, ge=0, description="a file changed less than so many seconds ago may still grow: it waits for the next run"
    )
    task_runner: Literal["threads", "dask", "ray"] = Field(
        "threads",
        description="where batches of videos are prepared; the workers of a cluster must find the corpus and "
        "`data_root` under the same absolute paths as this machine",
    )
    task_runner_address: str | None = Field(
        None,
        description="`dask`, `ray`: address of a scheduler or cluster that runs already, such as tcp://host:8786 or "
        "ray://host:10001; without one a cluster is started on this machine for the run",
    )

    @field_validator("task_runner_address")
    @classmethod
    def _of_a_cluster(cls, address: str | None, others: ValidationInfo) -> str | None:
        if address is not None and others.data.get("task_runner") == "threads":
            raise ValueError("threads have no address; set execution.task_runner to dask or ray too")
        return address


class WatchSettings(Settings):
    """When `fer watch` does what; nothing here changes a result."""

    interval_s: float = Field(600.0, gt=0, description="seconds between two looks at the corpus")
    study_after: PositiveInt = Field(20, description="a study starts once this many new labelled videos are ready")


class StudySettings(Settings):
    """Everything a study needs."""

    name: str = Field(
        "study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="names the study's folder and MLflow experiment"
    )
    data_root: DataPath = Field(
        Path("fer-data"), description="folder, or URL such as s3://bucket/prefix, for all results; one for each corpus"
    )
    corpus: Corpus = CorpusSettings()
    prepare: PrepareSettings = PrepareSettings()
    split: SplitSettings = SplitSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    execution: ExecutionSettings = ExecutionSettings()
    watch: WatchSettings = WatchSettings()
    arms: tuple[str, ...] = Field(
        STUDY_ARMS,
        min_length=1,
        description="`fer models` lists them",
    )
    treatments: tuple[TreatmentName, ...] = Field(
        (), description="train every arm with each of these treatments; without any, with `training.treatment`"
    )
    seeds: tuple[int, ...] = Field(
        (1,), min_length=1, description="every arm is trained once with each; 3 instead of a list stands for 1, 2, 3"
    )
    equivalence_margin: float = Field(
        0.02, gt=0, lt=1, description="arms whose scores differ by less are equivalent for the verdict"
    )

    @model_validator(mode="before")
    @classmethod
    def _hold_no_secrets(cls, values: Any) -> Any:
        if isinstance(values, dict):
            refuse_secrets(values)
        return values

    @field_validator("seeds", mode="before")
    @classmethod
    def _so_many(cls, seeds: Any) -> Any:
        return tuple(range(1, seeds + 1)) if isinstance(seeds, int) and not isinstance(seeds, bool) else seeds

    @field_validator("arms", "treatments", "seeds")
    @classmethod
    def _once_each(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError("it names one twice")
        return values

    def result_settings(self) -> dict[str, Any]:
        """All that can change a result: not how, when, where and how fast the work is done.

        Of files that are named, the content decides: it is part of the manifest, of the split, of the shards' folder.
        """
        places = {"corpus": {"root"}, "prepare": {"detector_model"}, "split": {"folds_file"}}
        return self.model_dump(mode="json", exclude={"data_root": True, "execution": True, "watch": True, **places})

    def recorded(self) -> dict[str, Any]:
        """What a data root says of the settings: all but its own place, which it may leave."""
        return self.model_dump(mode="json", exclude={"data_root"})

    def for_watching(self) -> "StudySettings":
        """These settings for a corpus that grows meanwhile: a file that is being copied waits for the next look."""
        settle_s = self.execution.settle_s or SETTLE_S
        return self.model_copy(update={"execution": self.execution.model_copy(update={"settle_s": settle_s})})

    def all_arms(self) -> list[Arm]:
        """The arms of the study, each with each treatment, but for those that are solved for, which stand there once.

        Raises:
            UserError: there is no such arm.
        """
        return [
            get_arm(f"{arm}+{how}" if how else arm)
            for arm in self.arms
            for how in (() if get_arm(arm).is_solved else self.treatments) or (None,)
        ]
