"""The compiled loop on JAX: Keras's own step in a `fori_loop`, jitted as a whole, the model's state donated.

On CPUs the step alone is jitted and called in a loop of Python: XLA computes convolutions inside of loops several times
more slowly there, and the call costs little beside a step.

Spread over several devices, each has the whole state and all frames, and computes a share of the rows of each step; XLA
adds up what they find. A step draws and learns what it would on one device.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fer_models.models.building import model_network
from fer_models.training.blocks import Block, Blocks


def put(frames: dict[str, np.ndarray]) -> dict[str, Any]:
    """Arrays on the device."""
    return jax.device_put(frames)


def put_everywhere(frames: dict[str, np.ndarray]) -> dict[str, Any]:
    """The same on each device of this process."""
    return jax.device_put(frames, _placed())


def num_devices() -> int:
    """Devices of this process."""
    return jax.local_device_count()


def device_bytes() -> int | None:
    """What the first device has for JAX."""
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


class Program:
    """See `fer_models.training.compiled.Program`.

    Args:
        spreads: over all devices of this process; frames of blocks lie on each of them.
        loops: the whole block is compiled; by default where there is an accelerator.
    """

    def __init__(
        self, trainer: keras.Model, model: keras.Model, blocks: Blocks, spreads: bool, loops: bool | None = None
    ) -> None:
        self._trainer, self._model, self._blocks = trainer, model, blocks
        self._views = model_network(model).views
        optimizer = trainer.optimizer
        self._variables = (trainer.trainable_variables, trainer.non_trainable_variables, optimizer.variables)
        self._rate_at = next(n for n, one in enumerate(optimizer.variables) if one is optimizer._learning_rate)
        self._fresh_metrics = [jnp.zeros_like(one.value) for one in trainer.metrics_variables]
        self._loops = jax.default_backend() != "cpu" if loops is None else loops
        self._everywhere = _placed() if spreads else None
        self._rows = _placed("rows") if spreads else None
        compiled = partial(jax.jit, out_shardings=self._everywhere)
        self._step = compiled(self._take, donate_argnums=0)
        self._loop = compiled(self._take_all, donate_argnums=0)
        self._look = compiled(self._predict)
        self._look_at_all = compiled(self._predict_all)

    def train(self, block: Block) -> np.ndarray:
        """Take the steps; their losses and accuracies, float64 (k, 2)."""
        state = self._state(*self._variables)
        if self._loops:
            state, found = self._loop(state, block.frames, block.plan, block.num_steps)
        else:
            values = []
            for number in range(block.num_steps):
                state, value = self._step(state, block.frames, _step_of(block.plan, number))
                values.append(value)
            found = jnp.stack(values)
        for variables, new in zip(self._variables, state, strict=True):
            for variable, value in zip(variables, new, strict=True):
                variable.assign(value)
        return np.asarray(found[: block.num_steps], np.float64)

    def _state(self, *groups: Any) -> Any:
        state = [[one.value for one in variables] for variables in groups]
        return jax.device_put(state, self._everywhere) if self._everywhere else state

    def _spread(self, own: dict[str, Any]) -> dict[str, Any]:
        """What a step takes, its rows divided among the devices."""
        if self._rows is None:
            return own
        return {
            name: jax.lax.with_sharding_constraint(one, self._rows) if one.ndim else one for name, one in own.items()
        }

    def _take(self, state: Any, frames: dict[str, Any], own: dict[str, Any]) -> tuple[Any, Any]:
        trained, others, optimizer = state
        own = self._spread(own)
        optimizer = [*optimizer]
        optimizer[self._rate_at] = own["rate"]
        data = (self._blocks.inputs(frames, own), own["targets"], own["weights"])
        logs, new = self._trainer.train_step((trained, others, optimizer, self._fresh_metrics), data)
        return [list(one) for one in new[:3]], jnp.stack([logs["loss"], logs["accuracy"]])

    def _take_all(self, state: Any, frames: dict[str, Any], plan: dict[str, Any], num_steps: Any) -> tuple[Any, Any]:
        def step(number: Any, carried: Any) -> Any:
            state, found = carried
            state, value = self._take(state, frames, _step_of(plan, number))
            return state, found.at[number].set(value)

        found = jnp.zeros((len(plan["rate"]), 2), jnp.float32)
        return jax.lax.fori_loop(0, num_steps, step, (state, found))

    def predict(self, block: Block) -> np.ndarray:
        """Probabilities of the rows of all steps, float32 (k * b, classes), the mean over the model's views."""
        state = self._state(*self._variables[:2])
        if self._loops:
            found = self._look_at_all(state, block.frames, block.plan, block.num_steps)[: block.num_steps]
        else:
            steps = (_step_of(block.plan, number) for number in range(block.num_steps))
            found = jnp.stack([self._look(state, block.frames, own) for own in steps])
        return np.asarray(found, np.float32).reshape(-1, found.shape[-1])

    def _predict(self, state: Any, frames: dict[str, Any], own: dict[str, Any]) -> Any:
        views = self._blocks.views(frames, self._spread(own), self._views)
        each = [self._model.stateless_call(*state, one, training=False)[0] for one in views]
        return sum(each[1:], start=each[0]) / len(each)

    def _predict_all(self, state: Any, frames: dict[str, Any], plan: dict[str, Any], num_steps: Any) -> Any:
        found = jnp.zeros((*plan["weights"].shape, self._model.output_shape[-1]), jnp.float32)

        def step(number: Any, found: Any) -> Any:
            return found.at[number].set(self._predict(state, frames, _step_of(plan, number)))

        return jax.lax.fori_loop(0, num_steps, step, found)


def _placed(*axes: str) -> NamedSharding:
    """A whole array on each device, or with `rows` a share of its rows."""
    return NamedSharding(Mesh(np.array(jax.local_devices()), ("rows",)), PartitionSpec(*axes))


def _step_of(plan: dict[str, Any], number: Any) -> dict[str, Any]:
    return {name: column[number] for name, column in plan.items()}
