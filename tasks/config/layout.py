"""Where everything lies below a data root, a folder or a URL. One obvious place for each thing."""

from dataclasses import dataclass
from pathlib import Path

from tasks.config.digests import prepare_digest
from tasks.config.settings import StudySettings


@dataclass(frozen=True)
class Layout:
    """Paths of a study.

    <data_root>/manifest.parquet                     every video of the corpus
    <data_root>/splits/<name>.parquet                the subset of every video in every fold, and a copy (.copy)
    <data_root>/prepared/<digest>/shards/..          one file per video
    <data_root>/prepared/<digest>/ledger.parquet     the outcome of every video
    <data_root>/prepared/<digest>/changes.parquet    what changed in the corpus from run to run
    <data_root>/prepared/<digest>/drift.parquet      how each batch of new videos differed from the training data
    <data_root>/prepared/<digest>/arrays/..          the same frames as arrays, for training; in a folder only
    <data_root>/studies/<name>/index/<split>/..      the segments of the study's classes: one file per fold and subset
    <data_root>/studies/<name>/audit.csv             what `fer audit` found
    <data_root>/studies/<name>/runs/<arm>-..         one folder a training run
    <data_root>/studies/<name>/report/index.html
    <data_root>/studies/<name>/other_corpora.json    how its models did on other corpora
    <data_root>/studies/<name>/unfinished            there while `fer watch` has a study to bring to its end
    <data_root>/studies/<name>/mlflow.json           which run of MLflow it is
    <data_root>/inspect/, explain/                   pages that `fer inspect` and `fer explain` made
    <data_root>/watch.lock                           held while `fer watch` works
    <data_root>/in-use/                              who reads or writes shards at this moment
    <data_root>/mlflow.db, mlartifacts/              unless MLFLOW_TRACKING_URI says otherwise; only in a folder

    In an object store the paths are `tasks.storage.remote.RemotePath`s; `tasks.storage.files` and
    `tasks.storage.local_copies` read and write both kinds.
    """

    root: Path
    prepared: Path
    study: Path
    split: Path

    @classmethod
    def of(cls, settings: StudySettings) -> "Layout":
        root = settings.data_root
        return cls(
            root,
            prepared=root / "prepared" / prepare_digest(settings.prepare),
            study=root / "studies" / settings.name,
            split=root / "splits" / f"{settings.split.name}.parquet",
        )

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.parquet"

    @property
    def inspections(self) -> Path:
        return self.root / "inspect"

    @property
    def tile_pages(self) -> Path:
        return self.root / "explain"

    @property
    def mlflow_record(self) -> Path:
        """Which run of MLflow the study is."""
        return self.study / "mlflow.json"

    @property
    def champion_predictions(self) -> Path:
        """What the champion was held against: the predictions of a study's best arm."""
        return self.study / "video_predictions.parquet"

    @property
    def watch_lock(self) -> Path:
        return self.root / "watch.lock"

    @property
    def shards(self) -> Path:
        return self.prepared / "shards"

    @property
    def ledger(self) -> Path:
        return self.prepared / "ledger.parquet"

    @property
    def changes(self) -> Path:
        return self.prepared / "changes.parquet"

    @property
    def drift(self) -> Path:
        return self.prepared / "drift.parquet"

    @property
    def index(self) -> Path:
        return self.study / "index" / self.split.stem

    @property
    def audit(self) -> Path:
        return self.study / "audit.csv"

    @property
    def runs(self) -> Path:
        return self.study / "runs"

    @property
    def other_corpora(self) -> Path:
        return self.study / "other_corpora.json"

    @property
    def unfinished(self) -> Path:
        return self.study / "unfinished"

    @property
    def report(self) -> Path:
        return self.study / "report"
