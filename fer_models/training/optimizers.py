"""The optimizers of training, as records of settings make them."""

from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from fer_models.settings import TrainingSettings

#: Names of variables that are not decayed.
_NOT_DECAYED = ("bias", "gamma", "beta")


@keras.saving.register_keras_serializable(package="fer_models")
class KernelAdamW(keras.optimizers.AdamW):
    """AdamW (Loshchilov and Hutter 2019) that decays kernels alone: neither biases nor normalisation.

    Keras would forget what is left out when it saves an optimizer.
    """

    def build(self, variables: list[Any]) -> None:
        """Make the variables; called once."""
        if not self.built:
            # by the variables, not their names, for TensorFlow's have other names than Keras's
            self.exclude_from_weight_decay(var_list=self._not_decayed(variables))
        super().build(variables)

    def _not_decayed(self, variables: list[Any]) -> list[Any]:
        return [variable for variable in variables if variable.name in _NOT_DECAYED]


@dataclass(frozen=True)
class Pace:
    """How variables that others trained are trained.

    The optimizer's own count of steps says how far a training is, so that a resumed one needs no hidden state.

    Args:
        variables: their numbers among those that are trained.
        rate: what their learning rate is multiplied by.
        wait_steps: so many steps they stay as they are.
    """

    variables: tuple[int, ...]
    rate: float
    wait_steps: int


class _Paced(keras.optimizers.Optimizer):
    """An optimizer that updates some variables at a `Pace`; to scale their gradients would do nothing, for these
    optimizers divide by the size of gradients.
    """

    def __init__(self, *args: Any, pace: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pace = Pace(tuple(pace["variables"]), pace["rate"], pace["wait_steps"])

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        if self._get_variable_index(variable) in self.pace.variables:
            begun = ops.cast(self.iterations >= self.pace.wait_steps, "float32")
            learning_rate = learning_rate * begun * self.pace.rate
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """What makes the same optimizer again."""
        return {**super().get_config(), "pace": asdict(self.pace)}


@keras.saving.register_keras_serializable(package="fer_models")
class PacedAdamW(_Paced, KernelAdamW):
    """`KernelAdamW` with a `Pace`; decay would pull what others trained to 0, and is left out there."""

    def _not_decayed(self, variables: list[Any]) -> list[Any]:
        return [*super()._not_decayed(variables), *(variables[number] for number in self.pace.variables)]


@keras.saving.register_keras_serializable(package="fer_models")
class PacedRMSprop(_Paced, keras.optimizers.RMSprop):
    """RMSprop with a `Pace`."""


def make_optimizer(settings: TrainingSettings, pace: Pace | None = None) -> keras.Optimizer:
    """The optimizer that the settings ask for, as it starts."""
    more: dict[str, Any] = {"use_ema": True, "ema_momentum": settings.ema} if settings.ema else {}
    adamw, rmsprop = KernelAdamW, keras.optimizers.RMSprop
    if pace:
        adamw, rmsprop = PacedAdamW, PacedRMSprop
        more["pace"] = asdict(pace)
    if settings.optimizer == "adamw":
        return adamw(settings.learning_rate, weight_decay=settings.weight_decay, **more)
    return rmsprop(settings.learning_rate, rho=settings.rho, **more)


class AveragedWeights:
    """The moving averages of a model's weights that its optimizer keeps, to be put in their place and taken out again.

    Between epochs the model holds the averages, so that it is judged and saved with them, and the optimizer the weights
    that training goes on from. A checkpoint of the model holds both.

    Args:
        variables: the trainable ones, in the order that the optimizer was built with.
    """

    def __init__(self, optimizer: keras.Optimizer, variables: list[Any]) -> None:
        if optimizer.use_ema and not optimizer.built:
            optimizer.build(variables)
        self._optimizer, self._variables = optimizer, variables

    def exchange(self) -> None:
        """Give the model what the optimizer keeps, and the optimizer what the model has; nothing before any step."""
        if not self._optimizer.use_ema or int(self._optimizer.iterations) == 0:
            return
        kept = self._optimizer._model_variables_moving_average
        for variable, other in zip(self._variables, kept, strict=True):
            value = np.array(keras.ops.convert_to_numpy(variable))
            variable.assign(other)
            other.assign(value)
