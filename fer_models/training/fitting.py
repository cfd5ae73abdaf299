"""Trains one model, epoch by epoch, so that a killed run goes on where its last whole epoch ended.

In: a model with fresh weights, training and validation segments, and where checkpoints go. Out: the model of the epoch
that was chosen by the monitored validation metric, and the history. The test subset is never seen here.

With `refit` a second training follows, on both subsets for as long as the chosen epoch took, and gives the model; the
history stays that of the first, whose model says what it thinks of the validation segments before it goes.

A fresh model that has a deep belief network is prepared first, by the segments that its epochs see.

Treatments of class imbalance act on the rows of an epoch, on their weights, on the loss, or on the last layer of the
best epoch's model, whose place a machine that classifies videos may take. The history is of training and of segments,
so a model with such a second stage may score otherwise on the validation subset.
"""

import math
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np

from fer_models.errors import TrainingDiverged, UserError
from fer_models.models.building import model_network
from fer_models.segments import FrameInputs, JoinedSegments, SegmentSource
from fer_models.settings import TrainingSettings
from fer_models.statistics.metrics import score
from fer_models.training.belief import LayerFit
from fer_models.training.engine import Engine, listed, outputs, predict
from fer_models.training.machines import Machine, choose_machine, fit_again, learning_rows
from fer_models.training.preparing import prepare
from fer_models.training.progress import Checkpoints, Epoch, Progress, chosen_epoch, monitored_value
from fer_models.treatments import TREATMENTS

#: Rows that are looked at in one piece.
_ROWS_AT_ONCE = 1024


def fit(
    build: Callable[[], keras.Model],
    train: SegmentSource,
    validation: SegmentSource,
    settings: TrainingSettings,
    checkpoints: Checkpoints,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_refit: Callable[[int], None] = lambda epochs: None,
    on_streams: Callable[[int], None] = lambda epochs: None,
    on_belief: Callable[[Sequence[LayerFit]], None] = lambda fits: None,
) -> Progress:
    """Train until the last epoch or early stopping, resuming what `checkpoints` hold, and leave the model there.

    Args:
        build: makes the model with fresh weights; called when there is nothing to resume.
        on_epoch: told of each finished epoch, those of an earlier attempt included.
        on_refit: told how many epochs of the training on both subsets are finished, after each.
        on_streams, on_belief: told how a fresh model is prepared (`fer_models.training.preparing`): how many epochs of
            its streams are finished, after each, then how the training of its belief network went.

    Raises:
        UserError: an optical flow is not finite.
        TrainingDiverged: the loss is not finite any more.
    """
    for subset in (train, validation):
        _check_finite(subset)

    def begin(segments: SegmentSource) -> keras.Model:
        model = build()
        if fits := prepare(model, segments, settings, seed, on_streams):
            on_belief(fits)
        return model

    progress = checkpoints.progress()
    for epoch in progress.history if progress else []:
        on_epoch(epoch)
    if not (progress and progress.finished):
        model = checkpoints.load_last(progress) if progress else begin(train)
        engine = Engine(model, train.labels, settings)
    while not (progress and progress.finished):
        epoch = _train_epoch(engine, train, validation, settings, seed, progress.history if progress else [])
        progress = _advance(progress, epoch, settings)
        checkpoints.commit(engine.model, progress)
        on_epoch(epoch)
    if chosen := checkpoints.load_best(progress):
        _fit_second_stage(chosen, train, settings, seed)
        machine = _video_machine(chosen, train, validation, settings)
        if settings.refit != "none":
            checkpoints.keep_validation(validation.names, predict(chosen, validation))
            both = JoinedSegments(train, validation)
            progress, chosen = _refit(begin, both, settings, checkpoints, progress, seed, on_refit)
            _fit_second_stage(chosen, both, settings, seed)
            if machine:
                fit_again(chosen, machine, both, settings)
        checkpoints.finish(chosen, progress)
    return progress


def _refit(
    begin: Callable[[SegmentSource], keras.Model],
    both: SegmentSource,
    settings: TrainingSettings,
    checkpoints: Checkpoints,
    progress: Progress,
    seed: int,
    on_refit: Callable[[int], None],
) -> tuple[Progress, keras.Model]:
    """Train from fresh weights on both subsets for as long as the chosen epoch took, at the same learning rates.

    Epochs follow the history of the first training, for here is no validation that a schedule could look at.
    """
    model = checkpoints.load_last(progress) if progress.num_refitted else begin(both)
    engine = Engine(model, both.labels, settings)
    for number in range(progress.num_refitted, progress.best_epoch):
        start = time.monotonic()
        steps = engine.train_epoch(both, seed, progress.history[:number])
        if not engine.weights_are_finite():
            raise TrainingDiverged(
                f"The weights ceased to be finite in epoch {number + 1} of the training on both subsets at learning "
                f"rate {steps.learning_rate:g}. Lower training.learning_rate."
            )
        name = f"epoch-{len(progress.history) + number + 1:04d}.keras"
        seconds = round(progress.refit_seconds + time.monotonic() - start, 3)
        progress = progress.model_copy(
            update={"num_refitted": number + 1, "refit_seconds": seconds, "last_checkpoint": name}
        )
        checkpoints.commit(model, progress)
        on_refit(number + 1)
    return progress, model


def _check_finite(segments: SegmentSource) -> None:
    """A convolution with ReLU may hide a NaN of its input, so the input is looked at before."""
    if not segments.shape.has_optical_flow:
        return
    if isinstance(segments, FrameInputs) and segments.is_finite is not None:
        bad = ~segments.is_finite[segments.windows].all(axis=1)
    else:
        parts = np.array_split(np.arange(len(segments)), max(1, len(segments) // _ROWS_AT_ONCE))
        flows = (segments.batch(rows)["optical_flow"] for rows in parts)
        bad = np.concatenate([~np.isfinite(flow).all(axis=tuple(range(1, flow.ndim))) for flow in flows])
    if bad.any():
        raise UserError(
            f"The optical flow of {int(bad.sum())} segments is not finite: {listed(segments.names[bad])}; "
            "remove their shards and run `fer prepare` again."
        )


def _train_epoch(
    engine: Engine,
    train: SegmentSource,
    validation: SegmentSource,
    settings: TrainingSettings,
    seed: int,
    history: list[Epoch],
) -> Epoch:
    start = time.monotonic()
    steps = engine.train_epoch(train, seed, history)
    classes = [str(i) for i in range(engine.num_classes)]
    scores = score(validation.labels, engine.predict(validation), classes)
    if not (math.isfinite(scores.loss) and engine.weights_are_finite()):
        raise TrainingDiverged(
            f"The weights or the validation loss ({scores.loss}) ceased to be finite in epoch {len(history) + 1} "
            f"at learning rate {steps.learning_rate:g}; the last batch held {listed(steps.last_names)}. "
            "Lower training.learning_rate."
        )
    return Epoch(
        epoch=len(history) + 1,
        learning_rate=steps.learning_rate,
        train_loss=steps.loss,
        train_accuracy=steps.accuracy,
        val_loss=scores.loss,
        val_accuracy=scores.accuracy,
        val_uar=scores.uar,
        monitored=monitored_value(scores, settings.monitor),
        seconds=round(time.monotonic() - start, 3),
    )


def _advance(progress: Progress | None, epoch: Epoch, settings: TrainingSettings) -> Progress:
    """How far the run is with one more epoch."""
    history = [*(progress.history if progress else []), epoch]
    last = f"epoch-{epoch.epoch:04d}.keras"
    chosen = chosen_epoch(history, settings.choose)
    stalled = epoch.epoch - chosen_epoch(history, "best")
    patience = settings.early_stopping_patience
    return Progress(
        history=history,
        last_checkpoint=last,
        best_checkpoint=last if chosen == epoch.epoch or not progress else progress.best_checkpoint,
        best_epoch=chosen,
        finished=epoch.epoch >= settings.epochs or (patience is not None and stalled >= patience),
    )


def _fit_second_stage(model: keras.Model, train: SegmentSource, settings: TrainingSettings, seed: int) -> None:
    """The second stage of the treatments that have one: the last layer is fitted again."""
    refit = TREATMENTS[settings.treatment].refit
    if refit is None:
        return
    logits = model.get_layer(model_network(model).logits)
    features = outputs(keras.Model(model.inputs, logits.input), train)
    logits.set_weights(refit(*logits.get_weights(), features, train.labels, seed))


def _video_machine(
    model: keras.Model, train: SegmentSource, validation: SegmentSource, settings: TrainingSettings
) -> Machine | None:
    """The machine that takes the place of the last layer of a model that classifies videos; None for other models."""
    if not model_network(model).classifies_videos:
        return None
    return choose_machine(model, learning_rows(model, train, settings), validation, settings)
