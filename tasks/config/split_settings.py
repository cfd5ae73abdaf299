"""Settings of the split: who is in which subset."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from fer_models.settings import Settings
from tasks.config.path_types import LocalPath


class SplitSettings(Settings):
    """Subsets by subject: no subject is ever in two of them. All choices are made on validation subjects."""

    protocol: Literal["holdout", "kfold", "loso", "file", "official"] = Field(
        "holdout",
        description="`holdout`: one test subset; `kfold`: every person is tested once; `loso`: leave one subject out; "
        "`file`: folds as in `folds_file`; `official`: those of the corpus's own lists (`fer corpora` says which have "
        "some)",
    )
    folds: int = Field(5, ge=2, description="`kfold`: number of folds")
    folds_file: LocalPath | None = Field(
        None, validate_default=True, description="`file`: CSV or Parquet with the columns subject, fold"
    )
    validation_share: float = Field(
        0.2, gt=0, lt=1, description="share of the subjects (in folds: of those not tested)"
    )
    test_share: float = Field(0.2, gt=0, lt=1, description="`holdout`: share of the subjects")
    seed: int = Field(7, description="draws who is in which subset; another one draws another split")

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
            "official": f"official-{validation}",
            "file": f"file-{self.folds_file.stem if self.folds_file else ''}-{validation}",
        }[self.protocol]
