"""Batch plans: every movie once, full batches, the same for the same seed and epoch."""

import numpy as np
import pytest

from mmgenre.dataset.batch_plan import plan_evaluation, plan_training_epoch

BUCKETS = (8, 16, 32)


@pytest.fixture
def num_tokens():
    return np.random.default_rng(0).integers(0, 50, 203).astype(np.int32)


def train_plan(num_tokens, *, seed=0, epoch=0):
    return plan_training_epoch(
        num_tokens, batch_size=10, bucket_lengths=BUCKETS, seed=seed, epoch=epoch
    )


def test_a_training_epoch_has_full_batches_of_different_movies(num_tokens):
    plan = train_plan(num_tokens)
    assert plan.movies.shape == (20, 10)
    assert len(np.unique(plan.movies)) == 200
    assert plan.movies.min() >= 0


def test_overviews_fit_and_are_padded_no_further_than_needed(num_tokens):
    plan = train_plan(num_tokens)
    longest = np.minimum(num_tokens[plan.movies], BUCKETS[-1]).max(axis=1)
    expected = [min(b for b in BUCKETS if b >= n) for n in longest]
    np.testing.assert_array_equal(plan.lengths, expected)
    # Similar lengths are together: at most one batch a boundary between buckets is mixed.
    mixed = sum(len(set(np.searchsorted(BUCKETS[:-1], num_tokens[m]))) > 1 for m in plan.movies)
    assert mixed <= len(BUCKETS) - 1


def test_a_plan_is_a_function_of_seed_and_epoch(num_tokens):
    same = train_plan(num_tokens).movies
    np.testing.assert_array_equal(train_plan(num_tokens).movies, same)
    assert (train_plan(num_tokens, epoch=1).movies != same).any()
    assert (train_plan(num_tokens, seed=1).movies != same).any()


def test_other_movies_are_left_out_in_other_epochs(num_tokens):
    plans = [train_plan(num_tokens, epoch=epoch) for epoch in range(5)]
    left_out = [set(range(203)) - set(plan.movies.ravel().tolist()) for plan in plans]
    assert all(len(movies) == 3 for movies in left_out)
    assert len(set.union(*left_out)) > 3


@pytest.mark.parametrize("num_movies", [1, 9, 10, 11, 203])
def test_evaluation_has_every_movie_exactly_once(num_tokens, num_movies):
    plan = plan_evaluation(num_tokens[:num_movies], batch_size=10, bucket_lengths=BUCKETS)
    movies = plan.movies[plan.movies >= 0]
    assert sorted(movies.tolist()) == list(range(num_movies))
    assert plan.movies.size - num_movies < 10
    tokens = np.where(plan.movies >= 0, num_tokens[plan.movies], 0)
    assert (np.minimum(tokens, BUCKETS[-1]).max(axis=1) <= plan.lengths).all()
