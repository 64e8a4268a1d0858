"""The programs of a training: how its state starts, its step and its evaluation.

None of it needs TensorFlow, so that the first step of a run can be compiled in threads while
TensorFlow and Orbax are imported, which takes seconds, too.
"""

import concurrent.futures
import functools
from collections.abc import Mapping

import jax
import numpy as np

from mmgenre import schema
from mmgenre.config import Config
from mmgenre.dataset.batch_plan import epoch_plan
from mmgenre.dataset.prepared import PreparedDataset
from mmgenre.distributed import device_mapping
from mmgenre.errors import UserError
from mmgenre.evaluation import eval_steps
from mmgenre.kernels.lstm_choice import require_kernel
from mmgenre.models import fusion
from mmgenre.models.fusion import ParamPath
from mmgenre.training import input_mode
from mmgenre.training.learner import Learner
from mmgenre.training.state import TrainState


class Programs:
    """The functions of one training.

    Attributes:
      steps_per_epoch: batches of an epoch.
      config: of the training, with a `data.mode` other than "auto".
      learner: the network, the optimizer and the step, not compiled.
      views_step: as of `eval_steps.compiled_views`, which the evaluation at the end takes, too.
    """

    def __init__(self, config: Config, dataset: PreparedDataset):
        """Compiles nothing yet.

        Raises:
          UserError: settings, data and devices do not fit together.
        """
        device_mapping.check_batch_size(config.batch_size)
        config = input_mode.settled(config, dataset)
        require_kernel(config.model)
        if dataset.info.vocabulary_size > config.model.vocabulary_size:
            raise UserError(
                f"the tokenizer of {dataset.path} has {dataset.info.vocabulary_size:,} words, more "
                f"than config.model.vocabulary_size ({config.model.vocabulary_size:,}); raise it"
            )
        if config.model.use_vectors and not dataset.info.encoders:
            raise UserError(
                f"config.model.use_vectors asks for the vectors of frozen encoders, but "
                f"{dataset.path} has none; prepare it with --text-encoder, --poster-encoder or both"
            )
        self._num_tokens = dataset.index(schema.TRAIN).num_tokens
        self.steps_per_epoch = len(self._num_tokens) // config.batch_size
        if self.steps_per_epoch == 0:
            raise UserError(
                f"config.batch_size is {config.batch_size}, but {dataset.path} has only "
                f"{len(self._num_tokens)} movies to train on; lower it"
            )
        self.learner = Learner(
            config,
            config.epochs * self.steps_per_epoch,
            len(dataset.info.genres),
            dataset.info.vector_sizes,
        )
        self.views_step = eval_steps.compiled_views(self.learner.model)
        self.config = config
        self._mapped = device_mapping.pmap_train_step(self.learner.train_step)
        self._state_ahead: concurrent.futures.Future[None] | None = None
        self._steps_ahead: dict[int, concurrent.futures.Future[None]] = {}

    def compile_ahead(self, *, all_lengths: bool | None = None) -> None:
        """Begins to compile, in threads, what a new run needs up to its first step.

        Whoever uses it waits for it. Does nothing where several processes train together.

        Args:
          all_lengths: whether to compile the steps of all lengths of the first epoch, in the order
            in which they are needed, while the first ones run; by default not on a CPU, whose cores
            the first steps need themselves.
        """
        if jax.process_count() > 1:
            return
        threads = concurrent.futures.ThreadPoolExecutor(2, "compiler")
        self._state_ahead = threads.submit(self.learner.compile_initial_state)
        if self.config.data.mode != "resident":
            lengths = epoch_plan(self.config, self._num_tokens, 0).lengths.tolist()
            if not (jax.default_backend() != "cpu" if all_lengths is None else all_lengths):
                lengths = lengths[:1]
            for length in dict.fromkeys(lengths):
                self._steps_ahead[length] = threads.submit(self._compile_step, length)
        threads.shutdown(wait=False)

    def wait(self) -> None:
        """Waits for what `compile_ahead` has begun."""
        _wait(self._state_ahead, *self._steps_ahead.values())

    def initial_state(self, given: Mapping[ParamPath, np.ndarray] | None = None) -> TrainState:
        """Returns the state at step 0; parameters in `given`, by their path, start from there."""
        _wait(self._state_ahead)
        return self.learner.initial_state(given)

    def mapped_train_step(
        self, state: TrainState, batch: Mapping[str, np.ndarray], vote: int = 0
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """Starts a step on all devices: see `device_mapping.MappedStep`."""
        _wait(self._state_ahead, self._steps_ahead.get(batch[schema.TOKENS].shape[1]))
        return self._mapped(state, batch, vote)

    def _compile_step(self, length: int) -> None:
        model = self.learner.model
        batch = functools.partial(
            fusion.example_batch,
            self.config.batch_size,
            length,
            model.num_genres,
            model.vector_sizes,
        )
        self._mapped.compile(self.learner.state_shapes, jax.eval_shape(batch))


def _wait(*ahead: concurrent.futures.Future[None] | None) -> None:
    # Errors are not asked for: what could not be compiled ahead fails again where it is used.
    concurrent.futures.wait([future for future in ahead if future is not None])
