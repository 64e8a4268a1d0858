"""The input pipeline gives what the shards hold, in the plan's order, whatever the mode."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mmgenre import schema
from mmgenre.config import DataConfig
from mmgenre.dataset.batch_plan import plan_evaluation, plan_training_epoch
from mmgenre.dataset.pipeline import MovieSource
from mmgenre.dataset.prepared import open_dataset
from mmgenre.dataset.read_split import read_split
from mmgenre.dataset.record_reader import ShardReader, check_share
from mmgenre.errors import UserError

BUCKETS = (8, 24)


@pytest.fixture(scope="module", params=["stream", "host"])
def source(request, tiny_dataset):
    config = DataConfig(mode=request.param, max_tokens=24, bucket_lengths=BUCKETS)
    return MovieSource(tiny_dataset, schema.TRAIN, config)


@pytest.fixture(scope="module")
def movies(tiny_dataset):
    """The train split as TFDS reads it, with no code of ours."""
    builder = tfds.builder_from_directory(str(tiny_dataset.path))
    read_config = tfds.ReadConfig(interleave_cycle_length=1)
    return list(tfds.as_numpy(builder.as_dataset(schema.TRAIN, read_config=read_config)))


def test_batches_hold_the_planned_movies(source, movies):
    plan = plan_evaluation(source.num_tokens, batch_size=7, bucket_lengths=BUCKETS)
    batches = list(source.batches(plan))
    assert len(batches) == len(plan)
    for batch, numbers, length in zip(batches, plan.movies, plan.lengths, strict=True):
        assert batch[schema.POSTER].shape == (7, *schema.POSTER_SHAPE)
        assert batch[schema.TOKENS].shape == (7, length)
        np.testing.assert_array_equal(batch[schema.MASK], numbers >= 0)
        np.testing.assert_array_equal(batch[schema.ROW], np.arange(7))
        for row, number in enumerate(numbers):
            if number < 0:
                continue
            movie = movies[number]
            np.testing.assert_array_equal(batch[schema.POSTER][row], movie[schema.POSTER])
            np.testing.assert_array_equal(batch[schema.LABELS][row], movie[schema.LABELS])
            tokens = movie[schema.TOKENS][:length]
            np.testing.assert_array_equal(batch[schema.TOKENS][row][: len(tokens)], tokens)
            assert (batch[schema.TOKENS][row][len(tokens) :] == schema.PAD_ID).all()
            assert batch[schema.LENGTH][row] == max(len(tokens), 1)


def test_dtypes(source):
    plan = plan_evaluation(source.num_tokens, batch_size=7, bucket_lengths=BUCKETS)
    batch = next(source.batches(plan))
    assert {name: value.dtype for name, value in batch.items()} == {
        schema.POSTER: np.uint8,
        schema.TOKENS: np.int32,
        schema.LENGTH: np.int32,
        schema.LABELS: np.uint8,
        schema.ROW: np.int32,
        schema.MASK: np.float32,
    }


def test_start_and_rows_cut_the_same_batches(source):
    plan = plan_training_epoch(
        source.num_tokens, batch_size=8, bucket_lengths=BUCKETS, seed=0, epoch=3
    )
    whole = list(source.batches(plan))
    late = list(source.batches(plan, start=5))
    assert len(late) == len(whole) - 5
    for expected, batch in zip(whole[5:], late, strict=True):
        for name in expected:
            np.testing.assert_array_equal(batch[name], expected[name])
    half = next(source.batches(plan, rows=slice(4, 8)))
    for name, values in half.items():
        np.testing.assert_array_equal(values, whole[0][name][4:])


def test_every_process_reads_only_its_share(tiny_dataset, monkeypatch):
    """Of an epoch's records, and of what is checked at the start: each once, by one process."""
    read = []
    record = ShardReader._record

    def recorded(self, movie):
        read.append(movie)
        return record(self, movie)

    monkeypatch.setattr(ShardReader, "_record", recorded)
    source = MovieSource(
        tiny_dataset, schema.TRAIN, DataConfig(max_tokens=24, bucket_lengths=BUCKETS)
    )
    plan = plan_training_epoch(
        source.num_tokens, batch_size=8, bucket_lengths=BUCKETS, seed=0, epoch=0
    )
    for process in (0, 1):
        read.clear()
        list(source.batches(plan, rows=slice(process * 4, process * 4 + 4)))
        assert sorted(read) == sorted(plan.movies[:, process * 4 : process * 4 + 4].ravel())
    num_movies = sum(split.num_movies for split in tiny_dataset.info.splits.values())
    counts = []
    for process in range(3):
        read.clear()
        check_share(tiny_dataset, process, 3)
        counts.append(len(read))
    assert sum(counts) == num_movies
    assert max(counts) <= num_movies // 3 + len(tiny_dataset.info.splits)


def test_whole_features_come_in_the_order_of_the_records(tiny_dataset, movies):
    read = read_split(tiny_dataset, schema.TRAIN, *schema.RECORD_FEATURES)
    assert list(read) == list(schema.RECORD_FEATURES)
    for name in (schema.ID, schema.TITLE, schema.OVERVIEW):
        assert read[name].tolist() == [movie[name].decode() for movie in movies]
    for name in (schema.POSTER, schema.HAS_POSTER, schema.LABELS):
        expected = np.stack([movie[name] for movie in movies])
        np.testing.assert_array_equal(read[name], expected)
        assert read[name].dtype == expected.dtype
    assert read[schema.TOKENS].dtype == np.int32
    for tokens, movie in zip(read[schema.TOKENS], movies, strict=True):
        length = len(movie[schema.TOKENS])
        np.testing.assert_array_equal(tokens[:length], movie[schema.TOKENS])
        assert (tokens[length:] == schema.PAD_ID).all()
    counts = tiny_dataset.split(schema.TRAIN).genre_counts
    np.testing.assert_array_equal(read[schema.LABELS].sum(axis=0), counts)


@pytest.mark.parametrize("max_tokens", [5, 500])
def test_some_movies_in_any_order_with_tokens_of_any_length(tiny_dataset, max_tokens):
    chosen = np.array([7, 0, 7, 31])
    names = (schema.TITLE, schema.TOKENS)
    everything = read_split(tiny_dataset, schema.TRAIN, *names, max_tokens=500)
    read = read_split(tiny_dataset, schema.TRAIN, *names, max_tokens=max_tokens, movies=chosen)
    assert read[schema.TITLE].tolist() == everything[schema.TITLE][chosen].tolist()
    expected = everything[schema.TOKENS][chosen, :max_tokens]
    np.testing.assert_array_equal(read[schema.TOKENS], expected)


def test_a_damaged_record_is_named(tiny_dataset, tmp_path):
    shutil.copytree(tiny_dataset.path, tmp_path / "copy")
    damaged = open_dataset(tmp_path / "copy")
    path, index = damaged.shard_paths(schema.TEST)[1], damaged.index(schema.TEST)
    content = bytearray(path.read_bytes())
    content[int(index.offset[index.shard == 1][2]) + 50] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"00001-of-\d+ is damaged: record 2 at byte"):
        read_split(damaged, schema.TEST, schema.ID)


def test_a_split_that_is_not_there_is_named(tiny_dataset):
    with pytest.raises(UserError, match="has no split 'dev'; it has"):
        MovieSource(tiny_dataset, "dev", DataConfig())
    info = dataclasses.replace(tiny_dataset.info, splits={})
    with pytest.raises(UserError, match="has no split"):
        dataclasses.replace(tiny_dataset, info=info).index(schema.TRAIN)
