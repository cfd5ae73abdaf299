"""The optimizers of training, as records of settings make them."""

from typing import Any

import keras
import numpy as np

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
            left_out = [variable for variable in variables if variable.name in _NOT_DECAYED]
            self.exclude_from_weight_decay(var_list=left_out)  # TensorFlow's variables have other names than Keras's
        super().build(variables)


def make_optimizer(settings: TrainingSettings) -> keras.Optimizer:
    """The optimizer that the settings ask for, as it starts."""
    average = {"use_ema": True, "ema_momentum": settings.ema} if settings.ema else {}
    if settings.optimizer == "adamw":
        return KernelAdamW(settings.learning_rate, weight_decay=settings.weight_decay, **average)
    return keras.optimizers.RMSprop(settings.learning_rate, rho=settings.rho, **average)


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
