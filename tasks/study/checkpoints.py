"""The folder of a training run: its progress and checkpoints while it is trained, its model when it is done.

`progress.json` is the commit: the history so far, and the names of the two checkpoints that go with it.
"""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pyarrow as pa

from fer_models.errors import UserError
from fer_models.models.building import load_model
from fer_models.models.families import load_families
from fer_models.models.float32 import computes_bfloat16, precision_of
from fer_models.training.progress import Progress
from tasks.storage.disk import make_folder
from tasks.storage.expected import Expected
from tasks.storage.files import atomic_write, find_frame, find_json, remove_temporary_files, set_aside, write_json
from tasks.storage.local_copies import local_copy
from tasks.storage.stored_names import path_below

MODEL_FILE = "model.keras"
PROGRESS_FILE = "progress.json"
SETTINGS_FILE = "settings.json"
VALIDATION_FILE = "validation.parquet"
_EPOCHS_FOLDER = "epochs"


class RunCheckpoints:
    """Checkpoints in a local folder, as `fer_models.training.fitting.fit` takes them.

    Args:
        keep_epochs: keep the weights of every epoch too.
    """

    def __init__(self, folder: Path, keep_epochs: bool = False) -> None:
        make_folder(folder)
        remove_temporary_files(folder)
        self._folder, self._keep_epochs = folder, keep_epochs

    def progress(self) -> Progress | None:
        """How far the run is; None when it begins, or when what its progress names is not there."""
        progress = read_progress(self._folder)
        if progress is None or (progress.finished and (self._folder / MODEL_FILE).is_file()):
            return progress
        named = (progress.best_checkpoint, progress.last_checkpoint)
        return progress if all(self._checkpoint(name).is_file() for name in named) else None

    def commit(self, model: keras.Model, progress: Progress) -> None:
        """Save a checkpoint, then name it in `progress.json` by one rename, then drop what is no longer named."""
        with atomic_write(self._checkpoint(progress.last_checkpoint)) as temporary:
            model.save(temporary)
        if self._keep_epochs and not progress.num_refitted:
            weights = f"epoch-{progress.history[-1].epoch:04d}.weights.h5"
            with atomic_write(self._folder / _EPOCHS_FOLDER / weights) as temporary:
                model.save_weights(temporary)
        write_json(self._folder / PROGRESS_FILE, progress)
        for path in self._folder.glob("epoch-*.keras"):
            if path.name not in (progress.last_checkpoint, progress.best_checkpoint):
                path.unlink(missing_ok=True)

    def load_last(self, progress: Progress) -> keras.Model:
        """The model as it was committed last, with its optimizer; raises `UserError` where only others compute it."""
        load_families()
        model = keras.saving.load_model(self._checkpoint(progress.last_checkpoint), safe_mode=True)
        if precision_of(model) != "float32" and not computes_bfloat16():
            raise UserError(
                f"{self._folder} was begun in {precision_of(model)}, which TensorFlow does not compute here; go on "
                "where it was begun, or remove the folder to train the run anew."
            )
        return model

    def load_best(self, progress: Progress) -> keras.Model | None:
        """The model of the chosen epoch, without its optimizer; None when the run is done and has left its model."""
        named = {self._checkpoint(name) for name in (progress.last_checkpoint, progress.best_checkpoint)}
        if all(path.is_file() for path in named):
            return load_model(self._checkpoint(progress.best_checkpoint))
        for path in named:  # `finish` was dropping them
            path.unlink(missing_ok=True)
        return None

    def keep_validation(self, names: np.ndarray, probabilities: np.ndarray) -> None:
        """Keep what the model of the chosen epoch says of the validation segments, for `read_validation`."""
        columns = {str(number): column for number, column in enumerate(probabilities.T)}
        with atomic_write(self._folder / VALIDATION_FILE) as temporary:
            pd.DataFrame({"name": names.astype(str), **columns}).to_parquet(temporary, index=False)

    def finish(self, model: keras.Model, progress: Progress) -> None:
        """Leave the model as `model.keras`, then drop the checkpoints.

        What a kill leaves of them is no sign of work left, for the model is there.
        """
        with atomic_write(self._folder / MODEL_FILE) as temporary:
            model.save(temporary)
        for name in (progress.last_checkpoint, progress.best_checkpoint):
            self._checkpoint(name).unlink(missing_ok=True)

    def _checkpoint(self, name: str) -> Path:
        """A checkpoint that the run's progress names; raises `UserError` for a name of something else."""
        advice = f"remove {self._folder} to train the run anew"
        stored_in = self._folder / PROGRESS_FILE
        path = path_below(self._folder, name, stored_in, advice)
        if not name.endswith(".keras"):  # other formats can hold code
            raise UserError(f"{stored_in} holds {name[:200]!r}, which does not end in .keras; {advice}.")
        return path


def read_progress(folder: Path) -> Progress | None:
    """How far the run in a folder is; None when it has not finished an epoch, or what tells has lost its content."""
    return find_json(folder / PROGRESS_FILE, Progress)


def load_trained(folder: Path, name: str) -> keras.Model:
    """The model of the run of that name, in its folder.

    Raises:
        UserError: it cannot be loaded. What has lost its content is set aside.
    """
    path = folder / MODEL_FILE
    try:
        with local_copy(path) as copy:
            return load_model(copy)
    except UserError as error:
        if getattr(error.__cause__, "errno", None) is not None or isinstance(error.__cause__, MemoryError):
            raise  # a fault of the disk or of the machine, not of the content
        set_aside(path)
        raise UserError(f"{error} Run `fer train` again, which trains {name} anew.") from error


def read_validation(folder: Path, names: np.ndarray) -> np.ndarray:
    """What the model that was trained without the validation segments said of them: float32 (n, classes).

    Raises:
        UserError: that is not known of the segments of these names, (n,).
    """
    path = folder / VALIDATION_FILE
    table = find_frame(path, Expected(pa.schema({"name": pa.string()}), may_be_empty=True))
    if table is None or table["name"].tolist() != [str(name) for name in names]:
        raise UserError(f"{path} does not hold the validation segments; remove {folder} and run `fer train` again.")
    return table.drop(columns="name").to_numpy(np.float32)


def epoch_weights(folder: Path) -> list[Path]:
    """Files with the weights of each epoch of a run, in order; none unless they were kept."""
    return sorted((folder / _EPOCHS_FOLDER).glob("epoch-*.weights.h5"))
