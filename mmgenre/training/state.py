"""Everything that training changes from step to step."""

from collections.abc import Mapping
from typing import Any, Self

import flax.struct
import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from mmgenre.models.fusion import FusionModel, ParamPath, init_params


class TrainState(flax.struct.PyTreeNode):
    """The state between two steps; what a checkpoint holds.

    There is no iterator state and no random key in it: both follow from the seed and the step.

    Attributes:
      step: <int32>[], steps done.
      params: the model's parameters.
      opt_state: the optimizer's state.
    """

    step: jax.Array
    params: Any
    opt_state: optax.OptState

    @classmethod
    def create(
        cls, model: FusionModel, optimizer: optax.GradientTransformation, key: jax.Array
    ) -> Self:
        """Returns the state at step 0, with parameters drawn from `key`.

        Args:
          model: whose parameters they are.
          optimizer: whose state they get.
          key: a PRNG key.
        """
        params = init_params(model, key)
        return cls(step=jnp.zeros((), jnp.int32), params=params, opt_state=optimizer.init(params))

    def as_dict(self) -> dict[str, Any]:
        """The parts by their names, as a checkpoint holds them."""
        return {"step": self.step, "params": self.params, "opt_state": self.opt_state}

    def with_params(self, given: Mapping[ParamPath, jax.Array]) -> Self:
        """Returns the state with other values for some parameters.

        Args:
          given: arrays by the parameter's path, of the shape and dtype of what is there.

        Raises:
          ValueError: there is no such parameter, or it is another array.
        """
        params = flatten_dict(self.params)
        for path, value in given.items():
            there = params.get(path)
            if there is None or (there.shape, there.dtype) != (value.shape, value.dtype):
                raise ValueError(f"{path} cannot be {value.shape} {value.dtype}: {there}")
        return self.replace(params=unflatten_dict({**params, **given}))

    def apply_gradients(self, grads: Any, optimizer: optax.GradientTransformation) -> Self:
        """Returns the state after one step of the optimizer."""
        updates, opt_state = optimizer.update(grads, self.opt_state, self.params)
        params = optax.apply_updates(self.params, updates)
        return self.replace(step=self.step + 1, params=params, opt_state=opt_state)
