"""An experiment's network, optimizer and training step, put together in one place."""

import functools
from collections.abc import Mapping
from types import MappingProxyType

import jax
import numpy as np

from mmgenre import schema
from mmgenre.config import Config
from mmgenre.dataset import random_streams
from mmgenre.distributed import device_mapping
from mmgenre.models import fusion
from mmgenre.models.fusion import Batch, ParamPath
from mmgenre.training import losses, optimizer
from mmgenre.training.state import TrainState
from mmgenre.training.train_step import train_step


class Learner:
    """All that a config says about how a network learns; whoever trains or measures takes this.

    Attributes:
      model: computes the logits.
      optimizer: turns gradients into updates.
      init_key: the PRNG key that `create_state` draws from.
      state_shapes: shapes, dtypes and placement of `initial_state`.
    """

    def __init__(
        self,
        config: Config,
        num_steps: int,
        num_genres: int = schema.NUM_GENRES,
        vector_sizes: Mapping[str, int] = MappingProxyType({}),
    ):
        """Compiles nothing yet.

        Args:
          config: the experiment.
          num_steps: of the whole training, for the schedule of the learning rate.
          num_genres: of the data set.
          vector_sizes: of its vectors, by feature.
        """
        self.model = fusion.build(config.model, num_genres, vector_sizes)
        self.optimizer = optimizer.build(config, num_steps)
        self._config, self._num_steps = config, num_steps
        self.init_key = random_streams.init_key(config.seed)
        self._dropout_key = random_streams.stream_key(config.seed, random_streams.DROPOUT)
        self._create_on_devices = device_mapping.jit_replicated(self.create_state)
        self.state_shapes: TrainState = self._create_on_devices.eval_shape(self.init_key)

    def create_state(self, key: jax.Array) -> TrainState:
        """Returns the state at step 0, with parameters drawn from `key`; a pure function."""
        return TrainState.create(self.model, self.optimizer, key)

    def train_step(
        self, state: TrainState, batch: Batch
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """Does a device's part of one step, a pure function: see `train_step.train_step`."""
        return train_step(
            state,
            batch,
            model=self.model,
            optimizer=self.optimizer,
            dropout_key=self._dropout_key,
            auxiliary=losses.AuxiliaryLosses(
                branch=self._config.branch_loss,
                poster=self._config.poster_loss,
                poster_scale=self._config.poster_loss_scale,
            ),
        )

    def learning_rate(self, step: int) -> float:
        """Returns the learning rate of a step, by its number: 1 for the first."""
        return float(self._learning_rates[step - 1])

    @functools.cached_property
    def _learning_rates(self) -> np.ndarray:
        # All at once: a program for each row would wait for the steps under way.
        return optimizer.learning_rates(self._config, self._num_steps)

    def compile_initial_state(self) -> None:
        """Compiles what `initial_state` runs."""
        self._create_on_devices.lower(self.init_key).compile()

    def initial_state(self, given: Mapping[ParamPath, np.ndarray] | None = None) -> TrainState:
        """Returns the state at step 0, whole on each device.

        Args:
          given: parameters by their path that start from these values, not from drawn ones.
        """
        state = self._create_on_devices(self.init_key)
        # Put in afterwards, so that there is one program, whatever is given.
        return state.with_params(device_mapping.put_replicated(given)) if given else state
