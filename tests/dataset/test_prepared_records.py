"""What preparation writes: every record, the counts, and that TFDS reads it without our code."""

import json
import os

import numpy as np

from data_prep.shards.example import Example
from data_prep.shards.records import Record
from mmgenre import schema
from mmgenre.dataset import tfrecord
from mmgenre.inputs.poster_decoder import decode_poster
from mmgenre.inputs.tokenizer import OverviewTokenizer
from tests import movie_files
from tests.movie_files import NUM_RAW_MOVIES


def _records(dataset, split):
    """Reads a split at random, by its index."""
    index = dataset.index(split)
    paths = dataset.shard_paths(split)
    for place in range(len(index)):
        with paths[index.shard[place]].open("rb") as file:
            file.seek(int(index.offset[place]))
            example = Example.FromString(file.read(int(index.num_bytes[place])))
            assert (
                len(example.features.feature["tokens"].int64_list.value)
                == (index.num_tokens[place])
            )
            yield example.features.feature


def test_counts_and_audit(prepared_movies):
    sizes = {name: split.num_movies for name, split in prepared_movies.info.splits.items()}
    assert sizes == {"train": 108, "validation": 12, "test": 30}
    audit = json.loads((prepared_movies.path / "audit.json").read_text())
    assert audit["rows"]["read"] == audit["rows"]["kept"] == NUM_RAW_MOVIES
    assert audit["posters"] == {
        "found": 100,
        "missing": 49,
        "corrupt": 1,
        "without": {"corrupt: truncated image": 1, "missing: not found": 49},
        "corrupt_posters": {"/poster101.jpg": "corrupt: truncated image"},
    }
    assert (prepared_movies.path / "genres.png").read_bytes().startswith(b"\x89PNG")
    assert prepared_movies.info.name == "movies"


def test_every_record_is_what_the_metadata_and_the_posters_say(prepared_movies, raw_movies):
    tokenizer = OverviewTokenizer.load(prepared_movies.tokenizer_path)
    seen = set()
    for split in schema.SPLITS:
        for feature in _records(prepared_movies, split):
            number = int(feature["id"].bytes_list.value[0])
            seen.add(number)
            row = movie_files.row(number)
            assert feature["title"].bytes_list.value[0].decode() == row["title"]
            assert feature["overview"].bytes_list.value[0].decode() == row["overview"]
            tokens = list(feature["tokens"].int64_list.value)
            assert tokens == tokenizer.encode(row["overview"]).tolist()
            labels = np.array(feature["labels"].int64_list.value)
            assert all(
                genre in row["genres"] for genre in np.asarray(schema.GENRES)[labels.astype(bool)]
            )
            poster = np.frombuffer(feature["poster"].bytes_list.value[0], np.uint8)
            expected = np.zeros(schema.POSTER_SHAPE, np.uint8)
            if number <= 100:
                expected = decode_poster((raw_movies[1] / f"poster{number}.jpg").read_bytes())
            assert np.array_equal(poster.reshape(schema.POSTER_SHAPE), expected)
            assert list(feature["has_poster"].int64_list.value) == [int(number <= 100)]
    assert seen == set(range(1, NUM_RAW_MOVIES + 1))


def test_the_tokenizer_is_built_from_train_alone(prepared_movies):
    overviews = [
        feature["overview"].bytes_list.value[0].decode()
        for feature in _records(prepared_movies, "train")
    ]
    expected = OverviewTokenizer.train(overviews, 20_000)
    assert OverviewTokenizer.load(prepared_movies.tokenizer_path).words == expected.words


def test_tfds_reads_it_without_our_code(prepared_movies):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(prepared_movies.path))
    assert {name: s.num_examples for name, s in builder.info.splits.items()} == {
        "train": 108,
        "validation": 12,
        "test": 30,
    }
    movies = list(tfds.as_numpy(builder.as_dataset(split="test")))
    ids = {movie["id"].decode() for movie in movies}
    assert ids == {
        feature["id"].bytes_list.value[0].decode() for feature in _records(prepared_movies, "test")
    }
    for movie in movies:
        assert set(movie) == set(schema.RECORD_FEATURES)
        assert movie["poster"].shape == schema.POSTER_SHAPE and movie["poster"].dtype == np.uint8
        assert movie["labels"].shape == (18,) and movie["labels"].dtype == np.uint8
        assert movie["tokens"].dtype == np.int32 and movie["has_poster"].dtype == np.bool_


def test_records_are_what_tfds_and_tensorflow_make_of_them():
    """The Example that we build without TensorFlow is theirs, field by field."""
    import tensorflow as tf
    from tensorflow_datasets.core import example_serializer

    from data_prep.shards import tfds_metadata

    for tokens, poster in (([], None), ([5, 1, 7], bytes(range(256)) * 48)):
        labels = np.eye(18, dtype=np.uint8)[3]
        record = Record("12", "T\u00e9", "", labels, np.array(tokens, np.int32), poster)
        features = tfds_metadata.features(schema.NUM_GENRES)
        serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
        theirs = serializer.serialize_example(features.encode_example(record.to_features()))
        assert tf.train.Example.FromString(record.serialise()) == tf.train.Example.FromString(
            theirs
        )


def test_tfrecords_are_tensorflows(tmp_path):
    import tensorflow as tf

    data = [b"", b"x", os.urandom(1000)]
    with (tmp_path / "ours").open("wb") as file:
        for item in data:
            tfrecord.write(file, item)
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for item in data:
            writer.write(item)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    with (tmp_path / "theirs").open("rb") as file:
        assert [item for _, item in tfrecord.read(file)] == data
