"""What a fresh model with a deep belief network learns before its first epoch, in the order of Zhang et al. 2019.

First its streams, by themselves: a layer of logits looks straight at what they give, and is forgotten afterwards. Then
its belief network, without labels, at what the trained streams give. Left out, the first is missed: what fresh streams
give says little of expressions, and the slopes of an error are small beyond layers of sigmoids, so that streams of few
filters stayed as they were drawn.
"""

from collections.abc import Callable

import keras

from fer_models.models.building import model_network, with_plain_head
from fer_models.segments import SegmentSource
from fer_models.settings import TrainingSettings
from fer_models.training.belief import LayerFit, train_belief
from fer_models.training.engine import Engine
from fer_models.training.progress import Epoch

#: Of the epochs of a training, those that its streams are trained for before it.
_STREAMS_SHARE = 0.5


def prepare(
    model: keras.Model,
    segments: SegmentSource,
    settings: TrainingSettings,
    seed: int,
    on_streams: Callable[[int], None] = lambda epochs: None,
) -> tuple[LayerFit, ...]:
    """Train a fresh model's streams, then its belief network; a model without one is left alone.

    Args:
        on_streams: told how many epochs of the training of the streams are finished, after each.

    Returns:
        How the training of each layer of the belief network went.

    Raises:
        TrainingDiverged: the loss is not finite any more.
    """
    layers = model_network(model).belief
    if not layers:
        return ()
    _train_streams(with_plain_head(model, layers[0]), segments, settings, seed, on_streams)
    return train_belief(model, segments, seed)


def _train_streams(
    model: keras.Model,
    segments: SegmentSource,
    settings: TrainingSettings,
    seed: int,
    on_streams: Callable[[int], None],
) -> None:
    """Take so many epochs, with the whole schedule in them; nobody validates them, so training itself is judged."""
    epochs = max(1, round(settings.epochs * _STREAMS_SHARE))
    steps = settings.steps and max(epochs, settings.steps * epochs // settings.epochs)
    settings = settings.model_copy(update={"epochs": epochs, "steps": steps})
    engine = Engine(model, segments.labels, settings)
    history: list[Epoch] = []
    for number in range(1, epochs + 1):
        taken = engine.train_epoch(segments, seed, history)
        history.append(
            Epoch(
                epoch=number,
                learning_rate=taken.learning_rate,
                train_loss=taken.loss,
                train_accuracy=taken.accuracy,
                val_loss=taken.loss,
                val_accuracy=taken.accuracy,
                val_uar=taken.accuracy,
                monitored=-taken.loss,
                seconds=0.0,
            )
        )
        on_streams(number)
