"""The whole command: its results, its options, and being killed and run again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data_prep import order, storage, tfrecord
from data_prep.example import Example
from data_prep.options import parse_args
from data_prep.prepare import PrepareConfig, prepare
from data_prep.records import Record
from mmgenre import prepared_dataset, schema
from mmgenre.errors import UserError
from mmgenre.posters import decode_poster
from mmgenre.tokenizer import OverviewTokenizer
from tests import movie_files

REPOSITORY = Path(__file__).resolve().parents[1]
NUM_MOVIES = 150


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(metadata, posters) of 150 movies, of which 100 have a poster and one a corrupt one."""
    folder = tmp_path_factory.mktemp("files")
    metadata, posters = movie_files.make(folder, NUM_MOVIES, range(1, 101))
    (posters / "poster101.jpg").write_bytes(movie_files.jpeg(101)[:-100])
    return metadata, posters


@pytest.fixture(scope="module")
def dataset(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "movies"
    return prepare(PrepareConfig(*files, out, progress="none"))


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


def test_counts_and_audit(dataset):
    sizes = {name: split.num_movies for name, split in dataset.info.splits.items()}
    assert sizes == {"train": 108, "validation": 12, "test": 30}
    audit = json.loads((dataset.path / "audit.json").read_text())
    assert audit["rows"]["read"] == audit["rows"]["kept"] == NUM_MOVIES
    assert audit["posters"] == {
        "found": 100,
        "missing": 49,
        "corrupt": 1,
        "without": {"corrupt: truncated image": 1, "missing: not found": 49},
    }
    assert (dataset.path / "genres.png").read_bytes().startswith(b"\x89PNG")
    assert dataset.info.name == "movies"


def test_every_record_is_what_the_metadata_and_the_posters_say(dataset, files):
    tokenizer = OverviewTokenizer.load(dataset.tokenizer_path)
    seen = set()
    for split in schema.SPLITS:
        for feature in _records(dataset, split):
            number = int(feature["id"].bytes_list.value[0])
            seen.add(number)
            row = movie_files.row(number)
            assert feature["title"].bytes_list.value[0].decode() == row["title"]
            assert feature["overview"].bytes_list.value[0].decode() == row["overview"]
            tokens = list(feature["tokens"].int64_list.value)
            assert tokens == tokenizer.encode(row["overview"]).tolist()
            labels = np.array(feature["labels"].int64_list.value)
            assert all(genre in row["genres"] for genre in schema.decode_genres(labels))
            poster = np.frombuffer(feature["poster"].bytes_list.value[0], np.uint8)
            expected = np.zeros(schema.POSTER_SHAPE, np.uint8)
            if number <= 100:
                expected = decode_poster((files[1] / f"poster{number}.jpg").read_bytes())
            assert np.array_equal(poster.reshape(schema.POSTER_SHAPE), expected)
            assert list(feature["has_poster"].int64_list.value) == [int(number <= 100)]
    assert seen == set(range(1, NUM_MOVIES + 1))


def test_the_tokenizer_is_built_from_train_alone(dataset):
    overviews = [
        feature["overview"].bytes_list.value[0].decode() for feature in _records(dataset, "train")
    ]
    expected = OverviewTokenizer.train(overviews, 20_000)
    assert OverviewTokenizer.load(dataset.tokenizer_path).words == expected.words


def test_tfds_reads_it_without_our_code(dataset):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(dataset.path))
    assert {name: s.num_examples for name, s in builder.info.splits.items()} == {
        "train": 108,
        "validation": 12,
        "test": 30,
    }
    movies = list(tfds.as_numpy(builder.as_dataset(split="test")))
    ids = {movie["id"].decode() for movie in movies}
    assert ids == {
        feature["id"].bytes_list.value[0].decode() for feature in _records(dataset, "test")
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

    from data_prep import index

    for tokens, poster in (([], None), ([5, 1, 7], bytes(range(256)) * 48)):
        labels = np.eye(18, dtype=np.uint8)[3]
        record = Record("12", "T\u00e9", "", labels, np.array(tokens, np.int32), poster)
        features = index.tfds_features()
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


def test_a_second_run_does_nothing(files, tmp_path, capfd):
    config = PrepareConfig(*files, tmp_path / "out", progress="lines")
    first = prepare(config)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    capfd.readouterr()
    assert prepare(config).info == first.info
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    shown = capfd.readouterr().err
    for stage in ("read", "split", "tokenise", "write", "index"):
        assert f"{stage}: done before" in shown


def test_changed_inputs_are_noticed(files, tmp_path):
    metadata, posters = movie_files.make(tmp_path, 60)
    config = PrepareConfig(metadata, posters, tmp_path / "out", progress="none")
    first = prepare(config).info
    (posters / "poster7.jpg").write_bytes(movie_files.jpeg(700))
    second = prepare(config).info
    assert second.fingerprint != first.fingerprint
    rows = [movie_files.row(n) for n in range(1, 60)]
    movie_files.write_csv(metadata, rows)
    assert sum(s.num_movies for s in prepare(config).info.splits.values()) == 59
    # A shard that was lost or cut is written again; the rest is left alone.
    third = prepare(config).info
    shard = next((tmp_path / "out").glob("mmgenre-test*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    assert prepare(config).info == third
    (tmp_path / "out" / "tokenizer.json").unlink()
    assert prepare(config).info == third


@pytest.mark.parametrize("require, count", [("both", 100), ("poster", 100), ("any", 150)])
def test_requirements(files, tmp_path, require, count):
    dataset = prepare(PrepareConfig(*files, tmp_path / "out", require=require, progress="none"))
    assert sum(split.num_movies for split in dataset.info.splits.values()) == count
    audit = json.loads((dataset.path / "audit.json").read_text())
    assert audit["rows"]["read"] == count + sum(audit["rows"]["dropped"].values()) == 150


def test_a_data_set_for_evaluation_alone(files, dataset, tmp_path):
    config = PrepareConfig(
        *files,
        tmp_path / "out",
        tokenizer=dataset.tokenizer_path,
        all_to="test",
        num_shards=3,
        max_tokens=5,
        progress="none",
    )
    other = prepare(config)
    assert list(other.info.splits) == ["test"] and other.split("test").num_movies == NUM_MOVIES
    assert len(other.shard_paths("test")) == 3 and other.index("test").num_tokens.max() == 5
    assert other.info.tokenizer_sha256 == dataset.info.tokenizer_sha256


@pytest.mark.parametrize(
    "options, message",
    [
        ({"all_to": "test"}, "needs --tokenizer"),
        ({"num_shards": 0}, "--num-shards is 0"),
        ({"max_tokens": 0}, "--max-tokens"),
        ({"width": "w1"}, "--width"),
        ({"require": "all"}, "--require"),
        ({"fallback_widths": ("w1",)}, "--fallback-widths"),
        ({"tokenizer": "nothing.json"}, "nothing.json"),
        ({"posters": "nothing"}, "there is no folder nothing"),
    ],
)
def test_wrong_options_are_the_users_mistake(files, tmp_path, options, message):
    values = {"metadata": files[0], "posters": files[1], "out": tmp_path / "out"} | options
    with pytest.raises(UserError, match=message):
        prepare(PrepareConfig(**values, progress="none"))


def test_options_for_beam_are_passed_through(capsys):
    required = ["--metadata", "m", "--posters", "p", "--out", "o"]
    config = parse_args([*required, "--runner", "DataflowRunner", "--project=x", "--region", "y"])
    assert config.beam_options == ("--project=x", "--region", "y")
    with pytest.raises(SystemExit):
        parse_args([*required, "--projcet=x"])
    assert "unrecognized arguments: --projcet=x" in capsys.readouterr().err
    assert parse_args([*required, "--fallback-widths", "none"]).fallback_widths == ()
    assert parse_args([*required, "--fallback-widths", "w342,w92"]).fallback_widths == (
        "w342",
        "w92",
    )


def test_one_preparation_at_a_time(tmp_path):
    with storage.Workspace(tmp_path), pytest.raises(UserError, match="another preparation"):
        storage.Workspace(tmp_path)


def test_shards_by_default_are_several_and_not_too_big():
    assert [order.num_shards(n, None) for n in (1, 300, 8913, 29_568)] == [1, 2, 8, 8]
    assert order.num_shards(10**6, None) == pytest.approx(131, abs=3)
    assert order.num_shards(3, 10) == 3


def _command(files, out, *options):
    return [
        *(sys.executable, "-m", "data_prep.prepare", "--metadata", str(files[0])),
        *("--posters", str(files[1]), "--out", str(out), "--name", "x", *options),
    ]


def _run(command):
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_command(files, tmp_path):
    done = _run(_command(files, tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "rows read" in done.stdout and "Drama" in done.stdout and "per second" in done.stderr
    failed = _run(_command((tmp_path / "no.csv", files[1]), tmp_path / "out"))
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: there is no file") and failed.stderr.count("\n") == 1


def _snapshot(out):
    names = [path.name for path in out.iterdir() if not path.name.startswith(".")]
    return {name: (out / name).read_bytes() for name in sorted(names)}


def _kill_and_resume(tmp_path, num_movies, num_kills, seed):
    """Kills the command at random moments, each time later than the last, then lets it end."""
    files = movie_files.make(tmp_path, num_movies)
    options = ("--progress", "none", "--num-shards", "4", "--processes", "2")
    start = time.monotonic()
    assert _run(_command(files, tmp_path / "whole", *options)).returncode == 0
    seconds = time.monotonic() - start
    rng = random.Random(seed)
    for _ in range(num_kills):
        process = subprocess.Popen(
            _command(files, tmp_path / "killed", *options),
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(0.2, 1.0) * seconds)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = _run(_command(files, tmp_path / "killed", *options))
    assert done.returncode == 0, done.stderr
    assert _snapshot(tmp_path / "killed") == _snapshot(tmp_path / "whole")
    leftovers = list((tmp_path / "killed").rglob("*.tmp"))
    assert not leftovers


def test_killed_and_run_again(tmp_path):
    _kill_and_resume(tmp_path, 700, 2, seed=0)


@pytest.mark.slow
def test_killed_many_times(tmp_path):
    _kill_and_resume(tmp_path, 3000, 15, seed=1)


STAGES = ("read", "decode", "split", "tokenise", "write", "index")


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_the_middle_of_each_file(files, dataset, tmp_path, stage):
    """Dies as SIGKILL would at the very moment when a stage's result is to appear."""
    out = tmp_path / "out"
    code = f"""
import os, sys
from etils import epath
from data_prep import storage
from data_prep.prepare import prepare, PrepareConfig
names = {{"read": "movies.jsonl", "decode": ".npz", "split": "split.npy", "tokenise":
          "tokenise.json", "write": "mmgenre-test", "index": "dataset.json"}}
real = storage.atomic_write
import contextlib
@contextlib.contextmanager
def atomic_write(path, mode="wb"):
    with real(path, mode) as file:
        yield file
        if names[{stage!r}] in epath.Path(path).name:
            os.kill(os.getpid(), 9)
storage.atomic_write = atomic_write
prepare(PrepareConfig({str(files[0])!r}, {str(files[1])!r}, {str(out)!r}, progress="none",
                      name="movies", processes=1))
"""
    process = _run([sys.executable, "-c", code])
    assert process.returncode == -signal.SIGKILL, process.stderr
    with pytest.raises(UserError):
        prepared_dataset.open_dataset(out)
    prepare(PrepareConfig(*files, out, name="movies", progress="none"))
    assert _snapshot(out) == _snapshot(dataset.path)
