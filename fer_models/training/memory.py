"""What the training of a model takes of memory at its peak, estimated from its size before any of it is there.

The factors were measured with TensorFlow on a CPU (`benchmarks/memory.py`, figures in `benchmarks/RESULTS.md`). JAX
takes more there; what a GPU takes was not measured.
"""

from dataclasses import dataclass

from fer_models.models.sizes import ModelSize
from fer_models.settings import ModelSettings, TrainingSettings
from fer_models.training.belief import MOST_VALUES as MOST_OF_BELIEF
from fer_models.training.blocks import most_held
from fer_models.training.engine import PREDICT_BATCH
from fer_models.training.machines import MOST_VALUES as MOST_OF_MACHINE

#: Blocks of segments that are there at once: as they are read, on the device, and on their way to it.
_BLOCKS = 4
#: Bytes of a parameter, of its gradient and of each value that the optimizer keeps of it.
_PARAMETER = 4
#: Of the weights: where they are, as a checkpoint is made, and as they are looked at.
_COPIES = 3
#: What a step holds at once, over what its backward pass needs and two of the largest outputs.
_OF_A_STEP = 1.2
#: What a prediction holds at once, over the outputs of operations that stand side by side.
_OF_A_PREDICTION = 1.8
#: Of what the smaller of the two takes, what the larger cannot use again.
_LEFT = 0.25
#: Bytes that a compiled step takes, and each operation of its graph.
_STEP, _OPERATION = 40 * 2**20, 1_200_000
#: Bytes of a feature of a row: as it is made, scaled in double precision, and within the solver.
_OF_A_MACHINE = 36
#: The same in a belief network: as it is made, and scaled.
_OF_BELIEF = 12
#: How many views a prediction holds at once.
_VIEWS = {"none": 1, "mirror": 2, "mirror_and_shifts": 10}


@dataclass(frozen=True)
class TrainingData:
    """What is trained on: the bytes of its frames, with those of the validation subset, and how much there is of it."""

    num_bytes: int
    num_segments: int
    num_videos: int


@dataclass(frozen=True)
class Memory:
    """What a training takes at its peak, in bytes.

    Args:
        data: what is there of the segments at once.
        model: weights, and what the optimizer keeps of them; as they are, and as checkpoints are made.
        step: the rest: activations and gradients of training steps and predictions.
    """

    data: int
    model: int
    step: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.data + self.model + self.step


def training_memory(
    size: ModelSize,
    settings: ModelSettings,
    training: TrainingSettings,
    data: TrainingData,
    is_solved: bool,
    device_bytes: int | None = None,
) -> Memory:
    """What the training of a model of that size takes.

    Args:
        is_solved: the layer of its logits is solved for, see `fer_models.training.solving`.
    """
    held = data.num_bytes
    if held > most_held(training.engine, device_bytes):
        held = min(held, _BLOCKS * training.block_mb * 2**20)
    prediction = PREDICT_BATCH * (_OF_A_PREDICTION * size.widest + _VIEWS[settings.views] * size.inputs)
    overhead = _STEP + _OPERATION * size.num_operations
    of_videos = settings.video_classifier == "linear_svm"
    features = 0
    if is_solved or of_videos:
        ways = 2 if training.augmentation and training.augmentation.mirror else 1
        rows = data.num_videos if of_videos else data.num_segments
        features = ways * _OF_A_MACHINE * min(rows * size.num_features, MOST_OF_MACHINE)
    copies = _COPIES * size.num_parameters
    if is_solved:
        return Memory(held, _PARAMETER * copies, round(prediction + features + overhead))
    kept = {"rmsprop": 1, "adamw": 2}[training.optimizer] + bool(training.ema)
    copies += 2 * kept * size.trained  # where they are, and as a checkpoint is made
    step = training.batch_size * (_OF_A_STEP * (size.kept + 2 * size.largest) + 2 * size.inputs)
    step += _PARAMETER * 2 * size.trained  # gradients, and what the optimizer makes of them
    belief = _OF_BELIEF * min(data.num_segments * size.num_visible, MOST_OF_BELIEF)
    prediction += max(features, belief)
    computation = max(step, prediction) + _LEFT * min(step, prediction)
    return Memory(held, _PARAMETER * copies, round(computation + overhead))
