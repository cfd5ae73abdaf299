"""Settings of a whole study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from fer_models.errors import UserError
from fer_models.labels import EMOTIONS, canonical_emotion
from fer_models.models.arms import STUDY_ARMS, Arm, ensemble_of, get_arm
from fer_models.models.families import FAMILIES
from fer_models.settings import ModelSettings, PositiveInt, Settings, Share, TrainingSettings
from fer_models.treatments import TREATMENTS, TreatmentName
from tasks.config.path_types import DataPath, LocalPath
from tasks.config.prepare_settings import PrepareSettings
from tasks.config.registries import ADAPTERS, load_module, one_of
from tasks.config.split_settings import SplitSettings
from tasks.config.test_on_settings import TestOn, check_roots
from tasks.storage.addresses import refuse_secrets

#: Of a name that a user gives: folders, files and MLflow's records are called by it.
MOST_SIGNS = 100
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

    @property
    def is_of_stills(self) -> bool:
        """Whether its videos are single images, which have no motion."""
        return False

    @property
    def is_of_pairs(self) -> bool:
        """Whether each of its videos is a pair of images."""
        return False

    @property
    def parts(self) -> "Sequence[CorpusSettings]":
        """The corpora that it is made of: itself, if it is not several."""
        return (self,)

    @property
    def places(self) -> str:
        """Where it lies, in words."""
        return ", ".join(str(one.root) for one in self.parts)

    @field_validator("emotions")
    @classmethod
    def _in_the_projects_words(cls, emotions: tuple[str, ...]) -> tuple[str, ...]:
        words = tuple(map(canonical_emotion, emotions))
        if len(set(words)) < len(words):
            raise ValueError("it names a class twice")
        if "" in words:
            raise ValueError("one of its classes has no name")
        if max(map(len, words)) > MOST_SIGNS:
            raise ValueError(f"one of its classes has a name of more than {MOST_SIGNS} characters")
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
    exceed_memory: bool = Field(
        False, description="train although it is estimated to take more memory than is free: estimates may be wrong"
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


_MOST_SEEDS = 1000
#: Settings of the training by which the models of a study are compared, or begin.
_OF_ALL_FAMILIES = {"treatment", "initial_weights", "refit", "precision"}


def _within(key: str, error: ValidationError) -> ValidationError:
    """The same problems, of settings that stand under a key."""
    lines = [
        InitErrorDetails(type=one["type"], loc=(key, *one["loc"]), input=one["input"], ctx=one.get("ctx", {}))
        for one in error.errors()
    ]
    return ValidationError.from_exception_data(error.title, lines)


class StudySettings(Settings):
    """Everything a study needs."""

    name: str = Field(
        "study",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=MOST_SIGNS,
        description="names the study's folder and MLflow experiment",
    )
    data_root: DataPath = Field(
        Path("fer-data"), description="folder, or URL such as s3://bucket/prefix, for all results; one for each corpus"
    )
    corpus: Corpus = CorpusSettings()
    prepare: PrepareSettings = PrepareSettings()
    split: SplitSettings = SplitSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    training_of_family: dict[str, dict[str, Any]] = Field(
        {},
        description="what differs in the training of a family's arms (`fer models` names the families), such as "
        "{backbone: {learning_rate: 0.0003}}",
    )
    execution: ExecutionSettings = ExecutionSettings()
    watch: WatchSettings = WatchSettings()
    test_on: TestOn = Field(
        (),
        description="data roots of other corpora, on whose videos every run is evaluated too; of each a path, or "
        "{data_root: .., name: .., labels: {their word: the study's}}",
    )
    arms: tuple[Annotated[str, Field(max_length=MOST_SIGNS)], ...] = Field(
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
    ensemble: Literal["none", "seeds"] = Field(
        "none",
        description="`seeds`: beside every arm that is trained with several seeds stands an ensemble, which averages "
        "the probabilities of its models",
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

    @field_validator("test_on")
    @classmethod
    def _of_other_corpora(cls, others: TestOn, before: ValidationInfo) -> TestOn:
        check_roots(before.data.get("data_root"), others)
        return others

    @field_validator("training_of_family")
    @classmethod
    def _of_known_families(
        cls, families: dict[str, dict[str, Any]], others: ValidationInfo
    ) -> dict[str, dict[str, Any]]:
        """The settings as `TrainingSettings` has them, each of which fits those that the families share."""
        training = others.data.get("training", TrainingSettings()).model_dump()
        found: dict[str, dict[str, Any]] = {}
        for family, own in families.items():
            one_of(FAMILIES, "family")(family)
            if shared := _OF_ALL_FAMILIES & own.keys():
                names = " and ".join(sorted(shared))
                raise ValueError(f"{family}: {names} cannot differ between families; set it in training")
            try:
                found[family] = TrainingSettings.model_validate(training | own).model_dump(
                    mode="json", include=set(own)
                )
            except ValidationError as error:
                raise _within(family, error) from error
        return found

    @field_validator("seeds", mode="before")
    @classmethod
    def _so_many(cls, seeds: Any) -> Any:
        if not isinstance(seeds, int) or isinstance(seeds, bool):
            return seeds
        if seeds > _MOST_SEEDS:
            raise ValueError(f"it should be at most {_MOST_SEEDS}")
        return tuple(range(1, seeds + 1))

    @field_validator("arms", "treatments", "seeds")
    @classmethod
    def _once_each(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError("it names one twice")
        return values

    def result_settings(self) -> dict[str, Any]:
        """All that can change a result: not how, when, where and how fast the work is done.

        Of files that are named, the content decides: it is part of the manifest, of the split, of the shards' folder.
        Other corpora are tested on after all of it.
        """
        corpus = {"root": True, "label_map": True, "corpora": {"__all__": {"root"}}}
        places: dict[str, Any] = {"corpus": corpus, "prepare": {"detector_model"}, "split": {"folds_file"}}
        others = dict.fromkeys(("data_root", "execution", "watch", "test_on"), True)
        return self.model_dump(mode="json", exclude={**others, **places})

    def recorded(self) -> dict[str, Any]:
        """What a data root says of the settings: all but its own place, which it may leave."""
        return self.model_dump(mode="json", exclude={"data_root"})

    def for_watching(self) -> "StudySettings":
        """These settings for a corpus that grows meanwhile: a file that is being copied waits for the next look."""
        settle_s = self.execution.settle_s or SETTLE_S
        return self.model_copy(update={"execution": self.execution.model_copy(update={"settle_s": settle_s})})

    def all_arms(self) -> list[Arm]:
        """The arms of the study, each with each treatment, but for those that are solved for, which stand there once.

        An ensemble comes after the arm that it is of.

        Raises:
            UserError: there is no such arm, it is an ensemble, or two second stages would follow its training.
        """
        arms: list[Arm] = []
        for name in self.arms:
            if get_arm(name).num_members:
                raise UserError(f"{name} cannot be among the arms: `ensemble: seeds` adds the ensembles of all arms.")
            for how in (() if get_arm(name).is_solved else self.treatments) or (None,):
                arm = get_arm(f"{name}+{how}" if how else name)
                self._check_stages(arm)
                arms.append(arm)
                if self.ensemble == "seeds" and len(self.seeds) > 1 and not arm.is_solved:
                    arms.append(ensemble_of(arm, len(self.seeds)))
        return arms

    def _check_stages(self, arm: Arm) -> None:
        """Raise `UserError` when two second stages would follow the training of an arm, each in place of the other."""
        treatment = arm.treatment or self.training.treatment
        if self.model.video_classifier == "linear_svm" and TREATMENTS[treatment].refit and not arm.is_solved:
            raise UserError(
                f"The treatment {treatment} of {arm.name} fits the last layer again, whose place the machine of "
                "model.video_classifier linear_svm takes: choose another treatment, or mean_probability."
            )
