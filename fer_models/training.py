"""Trains one model, epoch by epoch, so that a killed run goes on where its last whole epoch ended.

In: a compiled-to-be model, training and validation arrays. Out: `model.keras`, the epoch that was best by the monitored
validation metric, and its history. The test side is never seen here. A run folder holds, while it is trained,
`progress.json` (the commit: history so far and the names of its two checkpoints).

Treatments of class imbalance act on the rows of an epoch, on their weights, on the loss, or on the last layer of the
best epoch's model; the history is of training, so a refitted model may score otherwise on the validation side.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from pydantic import BaseModel, ValidationError

from fer_models.building import load_model
from fer_models.disk import make_folder, put_in_place
from fer_models.errors import TrainingDiverged, UseError
from fer_models.losses import make_loss
from fer_models.metrics import score
from fer_models.refitting import REFITTING, refit
from fer_models.schedules import learning_rate
from fer_models.segments import SegmentArrays, class_weights, epoch_batches, epoch_rows
from fer_models.settings import TrainingSettings
from fer_models.stored_names import path_below

MODEL_FILE = "model.keras"
PROGRESS_FILE = "progress.json"
_EPOCHS_FOLDER = "epochs"
#: Rows predicted at once; one size only, so that a compiled step is compiled once.
_PREDICT_BATCH = 256


class Epoch(BaseModel):
    """One finished epoch. `monitored` is the monitored value with its sign turned so that larger is better.

    `train_loss` is what was minimised, penalties included; `val_loss` is plain cross entropy whatever the treatment.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    val_uar: float
    monitored: float
    seconds: float


class Progress(BaseModel):
    """How far a run is; whoever reads it finds the checkpoints that it names."""

    history: list[Epoch]
    last_checkpoint: str
    best_checkpoint: str
    best_epoch: int
    finished: bool = False


def fit(
    build: Callable[[], keras.Model],
    train: SegmentArrays,
    validation: SegmentArrays,
    settings: TrainingSettings,
    folder: Path,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Progress:
    """Train until the last epoch or early stopping, resuming what `folder` holds, and leave `model.keras` there.

    Args:
        build: makes the model with fresh weights; called when there is nothing to resume.
        on_epoch: told of each finished epoch, those of an earlier attempt included.

    Raises:
        UseError: an optical flow is not finite.
        TrainingDiverged: the loss is not finite any more.
    """
    for side in (train, validation):
        _check_finite(side)
    make_folder(folder)
    progress = read_progress(folder)
    if progress and not _is_whole(folder, progress):
        progress = None
    for epoch in progress.history if progress else []:
        on_epoch(epoch)
    if not (progress and progress.finished):
        model = _resume(folder, progress) if progress else _compile(build(), settings)
        trainer = _trainer(model, train.labels, settings)
    while not (progress and progress.finished):
        epoch = _train_epoch(model, trainer, train, validation, settings, seed, progress)
        progress = _commit(model, folder, progress, epoch, settings)
        on_epoch(epoch)
    if _checkpoint(folder, progress.best_checkpoint).is_file():
        _finish(folder, progress, train, settings, seed)
    return progress


def read_progress(folder: Path) -> Progress | None:
    """How far the run in a folder is; None when it has not finished an epoch, or what tells has lost its content."""
    try:
        return Progress.model_validate_json((folder / PROGRESS_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def epoch_weights(folder: Path) -> list[Path]:
    """Files with the weights of each epoch of a run, in order; none unless they were kept."""
    return sorted((folder / _EPOCHS_FOLDER).glob("epoch-*.weights.h5"))


def predict(model: keras.Model, segments: SegmentArrays) -> np.ndarray:
    """Probabilities float32 (n, classes) of segments, in their order."""
    parts = []
    for start in range(0, len(segments), _PREDICT_BATCH):
        rows = np.arange(start, start + _PREDICT_BATCH) % len(segments)  # the last batch is filled up
        batch = model.predict_on_batch([segments.faces[rows], segments.optical_flows[rows].astype(np.float32)])
        parts.append(np.asarray(batch, np.float32))
    return np.concatenate(parts)[: len(segments)]


def _is_whole(folder: Path, progress: Progress) -> bool:
    """Whether the files that a run's progress names are there; otherwise it starts anew."""
    if progress.finished and (folder / MODEL_FILE).is_file():
        return True
    return all(_checkpoint(folder, name).is_file() for name in (progress.best_checkpoint, progress.last_checkpoint))


def _checkpoint(folder: Path, name: str) -> Path:
    """A checkpoint that a run's progress names; raises `UseError` for a name of something else."""
    advice = f"remove {folder} to train the run anew"
    path = path_below(folder, name, folder / PROGRESS_FILE, advice)
    if not name.endswith(".keras"):  # other formats can hold code
        raise UseError(f"{folder / PROGRESS_FILE} holds {name[:200]!r}, which does not end in .keras; {advice}.")
    return path


def _compile(model: keras.Model, settings: TrainingSettings) -> keras.Model:
    model.compile(keras.optimizers.RMSprop(settings.learning_rate, rho=settings.rho), jit_compile=_uses_xla())
    return model


def _uses_xla() -> bool:
    """XLA is what makes JAX fast; on TensorFlow's CPU it costs more than it gives."""
    return bool(keras.backend.backend() == "jax")


def _resume(folder: Path, progress: Progress) -> keras.Model:
    return keras.saving.load_model(_checkpoint(folder, progress.last_checkpoint), safe_mode=True)


def _trainer(model: keras.Model, labels: np.ndarray, settings: TrainingSettings) -> keras.Model:
    """What takes the training steps: the model without its softmax, as the losses want logits.

    Layers and optimizer are the model's own, so that a checkpoint of the model holds all that changes.
    """
    trainer = keras.Model(model.inputs, model.get_layer("logits").output)
    trainer.compile(
        model.optimizer,
        loss=make_loss(settings.imbalance, labels, model.output_shape[-1]),
        weighted_metrics=["accuracy"],
        jit_compile=_uses_xla(),
    )
    return trainer


def _finish(folder: Path, progress: Progress, train: SegmentArrays, settings: TrainingSettings, seed: int) -> None:
    """Make `model.keras` of the best checkpoint, without optimizer state, then drop the checkpoints.

    The best one goes last: it is the sign of work left, and a repetition begins with it again.
    """
    model = load_model(_checkpoint(folder, progress.best_checkpoint))
    if settings.imbalance in REFITTING:
        logits = model.get_layer("logits")
        features = predict(keras.Model(model.inputs, logits.input), train)
        kernel, bias = logits.get_weights()
        logits.set_weights(refit(kernel, bias, features, train.labels, settings.imbalance, seed))
    _write_whole(model.save, folder / MODEL_FILE)
    for name in (progress.last_checkpoint, progress.best_checkpoint):
        _checkpoint(folder, name).unlink(missing_ok=True)


def _check_finite(segments: SegmentArrays) -> None:
    """A convolution with ReLU may hide a NaN of its input, so the input is looked at before."""
    bad = ~np.isfinite(segments.optical_flows).all(axis=(1, 2, 3))
    if bad.any():
        raise UseError(
            f"The optical flow of {int(bad.sum())} segments is not finite: {_few(segments.names[bad])}; "
            "remove their shards and run `fer prepare` again."
        )


def _weights_are_finite(model: keras.Model) -> bool:
    return all(bool(np.isfinite(weight).all()) for weight in model.get_weights())


def _seed_draws(model: keras.Model, epoch: int) -> None:
    """Set the model's random generators to where they stand at the start of an epoch; Keras does not save them."""
    for variable in model.variables:
        if variable.path.endswith("seed_generator_state"):
            first = int(np.asarray(keras.ops.convert_to_numpy(variable))[0])
            variable.assign(np.array([first, epoch << 20], np.uint32))


def _train_epoch(
    model: keras.Model,
    trainer: keras.Model,
    train: SegmentArrays,
    validation: SegmentArrays,
    settings: TrainingSettings,
    seed: int,
    progress: Progress | None,
) -> Epoch:
    start = time.monotonic()
    history = progress.history if progress else []
    drawn = epoch_rows(train.labels, settings.imbalance, seed, len(history))
    batches = [drawn[batch] for batch in epoch_batches(len(drawn), settings.batch_size, seed, len(history))]
    num_classes = model.output_shape[-1]
    weighted = settings.imbalance == "class_weights"
    weights = class_weights(train.labels, num_classes) if weighted else np.ones(num_classes)
    _seed_draws(model, len(history))
    steps = []
    rate = settings.learning_rate
    for step, rows in enumerate(batches):
        rate = learning_rate(settings.schedule, settings.learning_rate, len(history) + step / len(batches), history)
        trainer.optimizer.learning_rate = rate
        sample_weights = weights[train.labels[rows]].astype(np.float32)
        logs = trainer.train_on_batch(
            [train.faces[rows], train.optical_flows[rows].astype(np.float32)],
            train.labels[rows],
            sample_weight=sample_weights,
            return_dict=True,
        )
        steps.append((float(logs["loss"]), float(logs["accuracy"]), float(sample_weights.sum())))
        if not math.isfinite(float(logs["loss"])):
            raise TrainingDiverged(
                f"The loss became {float(logs['loss'])} in epoch {len(history) + 1}, step {step + 1} of "
                f"{len(batches)}, at learning rate {rate:g}; the batch held {_few(train.names[rows])}. "
                "Lower training.learning_rate, or look at those segments."
            )
    scores = score(validation.labels, predict(model, validation), [str(i) for i in range(num_classes)])
    if not (math.isfinite(scores.loss) and _weights_are_finite(model)):
        raise TrainingDiverged(
            f"The weights or the validation loss ({scores.loss}) ceased to be finite in epoch {len(history) + 1} "
            f"at learning rate {rate:g}; the last batch held {_few(train.names[batches[-1]])}. "
            "Lower training.learning_rate."
        )
    losses, accuracies, masses = np.array(steps).T  # Keras forgets the batches before the one at hand
    values = {"val_loss": scores.loss, "val_accuracy": scores.accuracy, "val_uar": scores.uar}
    return Epoch(
        epoch=len(history) + 1,
        learning_rate=rate,
        train_loss=float(losses.mean()),
        train_accuracy=float(np.average(accuracies, weights=masses)),
        **values,
        monitored=values[settings.monitor] * (-1.0 if settings.monitor == "val_loss" else 1.0),
        seconds=round(time.monotonic() - start, 3),
    )


def _commit(
    model: keras.Model, folder: Path, progress: Progress | None, epoch: Epoch, settings: TrainingSettings
) -> Progress:
    """Save a checkpoint, then name it in `progress.json` by one rename, then drop what is no longer named."""
    history = [*(progress.history if progress else []), epoch]
    last = f"epoch-{epoch.epoch:04d}.keras"
    _write_whole(model.save, folder / last)
    if settings.keep_epochs:
        make_folder(folder / _EPOCHS_FOLDER)
        _write_whole(model.save_weights, folder / _EPOCHS_FOLDER / f"epoch-{epoch.epoch:04d}.weights.h5")
    is_best = not progress or epoch.monitored > max(past.monitored for past in progress.history)
    best_epoch = epoch.epoch if is_best or not progress else progress.best_epoch
    patience = settings.early_stopping_patience
    now = Progress(
        history=history,
        last_checkpoint=last,
        best_checkpoint=last if is_best or not progress else progress.best_checkpoint,
        best_epoch=best_epoch,
        finished=epoch.epoch >= settings.epochs or (patience is not None and epoch.epoch - best_epoch >= patience),
    )
    text = now.model_dump_json(indent=1)
    _write_whole(lambda path: path.write_text(text, encoding="utf-8"), folder / PROGRESS_FILE)
    for path in folder.glob("epoch-*.keras"):
        if path.name not in (now.last_checkpoint, now.best_checkpoint):
            path.unlink(missing_ok=True)
    return now


def _write_whole(write: Callable[[Path], object], path: Path) -> None:
    """Have a file written under a hidden name, which gets its own when it is on the disk."""
    temporary = path.with_name(f".{path.name}")
    write(temporary)
    put_in_place(temporary, path)


def _few(names: np.ndarray, most: int = 8) -> str:
    listed = ", ".join(map(str, names[:most]))
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
