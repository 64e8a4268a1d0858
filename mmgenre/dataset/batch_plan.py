"""The plan of the batches, movie by movie: a function of the seed and the epoch alone.

Every way of reading movies follows the same plan, so all of them give the same batches in the same
order, and a run resumed at any step goes on exactly where it stopped. NumPy only.

Overviews differ much in length, and the LSTM's time grows with the longest of a batch. So a plan
puts movies of similar length together, and pads a batch to the shortest of a few fixed lengths
("buckets") that holds all its overviews: few, because each length is compiled.
"""

import dataclasses

import numpy as np

from mmgenre.config import Config
from mmgenre.dataset.random_streams import epoch_generator


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """The batches of one pass over a split.

    Attributes:
      movies: <int64>[batches, batch_size], record numbers; -1 is padding of the batch.
      lengths: <int64>[batches], the length that the overviews of each batch are padded to.
    """

    movies: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.movies)


def plan_training_epoch(
    num_tokens: np.ndarray,
    *,
    batch_size: int,
    bucket_lengths: tuple[int, ...],
    seed: int,
    epoch: int,
) -> BatchPlan:
    """Shuffles the movies into full batches of similar overview lengths, in random order.

    The movies that do not fill a batch are left out of this epoch; they are others in each.

    Args:
      num_tokens: <int32>[movies], tokens of each overview.
      batch_size: movies in a batch, at most as many as there are.
      bucket_lengths: ascending lengths to pad to; overviews beyond the last are cut there.
      seed: of the experiment.
      epoch: counted from 0.
    """
    generator = epoch_generator(seed, epoch)
    num_batches = len(num_tokens) // batch_size
    movies = generator.permutation(len(num_tokens))[: num_batches * batch_size]
    # A stable sort by bucket keeps the random order within a bucket. A bucket's last movies share a
    # batch with the first of the next bucket, so no more movies are left out than without buckets.
    order = np.argsort(_bucket_of(num_tokens[movies], bucket_lengths), kind="stable")
    batches = movies[order].reshape((num_batches, batch_size))
    batches = batches[generator.permutation(num_batches)]
    return BatchPlan(batches, _padded_lengths(num_tokens[batches], bucket_lengths))


def epoch_plan(config: Config, num_tokens: np.ndarray, epoch: int) -> BatchPlan:
    """Returns `plan_training_epoch` of an experiment.

    Args:
      config: of the experiment.
      num_tokens: <int32>[movies] of its train split, tokens of each overview.
      epoch: counted from 0.
    """
    return plan_training_epoch(
        num_tokens,
        batch_size=config.batch_size,
        bucket_lengths=config.data.bucket_lengths,
        seed=config.seed,
        epoch=epoch,
    )


def plan_evaluation(
    num_tokens: np.ndarray, *, batch_size: int, bucket_lengths: tuple[int, ...]
) -> BatchPlan:
    """Puts every movie into exactly one batch, by overview length; the last batch is padded."""
    num_batches = -(-len(num_tokens) // batch_size)
    movies = np.full(num_batches * batch_size, -1, np.int64)
    movies[: len(num_tokens)] = np.argsort(_bucket_of(num_tokens, bucket_lengths), kind="stable")
    batches = movies.reshape((num_batches, batch_size))
    tokens = np.where(batches >= 0, num_tokens[batches], 0)
    return BatchPlan(batches, _padded_lengths(tokens, bucket_lengths))


def _bucket_of(num_tokens: np.ndarray, bucket_lengths: tuple[int, ...]) -> np.ndarray:
    buckets = np.searchsorted(bucket_lengths, num_tokens)
    return np.minimum(buckets, len(bucket_lengths) - 1)


def _padded_lengths(num_tokens: np.ndarray, bucket_lengths: tuple[int, ...]) -> np.ndarray:
    longest = _bucket_of(num_tokens, bucket_lengths).max(axis=1, initial=0)
    return np.asarray(bucket_lengths, np.int64)[longest]
