"""The whole command: its options, its errors, and being run again."""

import json

import pytest

from data_prep.options import parse_args
from data_prep.prepare import PrepareConfig, prepare
from data_prep.shards import shard_order
from data_prep.workspace.stages import Workspace
from mmgenre.errors import UserError
from tests import movie_files
from tests.movie_files import NUM_RAW_MOVIES
from tests.prepare_command import command, run


def test_a_second_run_does_nothing(raw_movies, tmp_path, capfd):
    config = PrepareConfig(*raw_movies, tmp_path / "out", progress="lines")
    first = prepare(config)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    capfd.readouterr()
    assert prepare(config).info == first.info
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    shown = capfd.readouterr().err
    for stage in ("read", "split", "tokenise", "write", "index"):
        assert f"{stage}: done before" in shown


def test_changed_inputs_are_noticed(raw_movies, tmp_path):
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
def test_requirements(raw_movies, tmp_path, require, count):
    dataset = prepare(
        PrepareConfig(*raw_movies, tmp_path / "out", require=require, progress="none")
    )
    assert sum(split.num_movies for split in dataset.info.splits.values()) == count
    audit = json.loads((dataset.path / "audit.json").read_text())
    assert audit["rows"]["read"] == count + sum(audit["rows"]["dropped"].values()) == 150


def test_a_data_set_for_evaluation_alone(raw_movies, prepared_movies, tmp_path):
    config = PrepareConfig(
        *raw_movies,
        tmp_path / "out",
        tokenizer=prepared_movies.tokenizer_path,
        all_to="test",
        num_shards=3,
        max_tokens=5,
        progress="none",
    )
    other = prepare(config)
    assert list(other.info.splits) == ["test"] and other.split("test").num_movies == NUM_RAW_MOVIES
    assert len(other.shard_paths("test")) == 3 and other.index("test").num_tokens.max() == 5
    assert other.info.tokenizer_sha256 == prepared_movies.info.tokenizer_sha256


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
def test_wrong_options_are_the_users_mistake(raw_movies, tmp_path, options, message):
    values = {
        "metadata": raw_movies[0],
        "posters": raw_movies[1],
        "out": tmp_path / "out",
    } | options
    with pytest.raises(UserError, match=message):
        prepare(PrepareConfig(**values, progress="none"))


def test_options_for_beam_are_passed_through():
    required = ["--metadata", "m", "--posters", "p", "--out", "o"]
    config = parse_args([*required, "--runner", "DataflowRunner", "--project=x", "--region", "y"])
    assert config.beam_options == ("--project=x", "--region", "y")
    with pytest.raises(UserError, match="unrecognized arguments: --projcet=x"):
        parse_args([*required, "--projcet=x"])
    assert parse_args([*required, "--fallback-widths", "none"]).fallback_widths == ()
    assert parse_args([*required, "--fallback-widths", "w342,w92"]).fallback_widths == (
        "w342",
        "w92",
    )


def test_one_preparation_at_a_time(tmp_path):
    with Workspace(tmp_path), pytest.raises(UserError, match="another preparation"):
        Workspace(tmp_path)


def test_shards_by_default_are_several_and_not_too_big():
    assert [shard_order.num_shards(n, None) for n in (1, 300, 8913, 29_568)] == [1, 2, 8, 8]
    assert shard_order.num_shards(10**6, None) == pytest.approx(131, abs=3)
    assert shard_order.num_shards(3, 10) == 3


def test_the_command(raw_movies, tmp_path):
    done = run(command(raw_movies, tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "rows read" in done.stdout and "Drama" in done.stdout and "per second" in done.stderr
    failed = run(command((tmp_path / "no.csv", raw_movies[1]), tmp_path / "out"))
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: there is no file") and failed.stderr.count("\n") == 1


def test_a_data_set_for_evaluation_by_the_command(raw_movies, prepared_movies, tmp_path):
    """As the README says; TFDS's import has broken on files that were left open before it."""
    options = ("--tokenizer", str(prepared_movies.tokenizer_path), "--all-to", "test")
    for number in range(2):
        done = run(command(raw_movies, tmp_path / str(number), *options))
        assert done.returncode == 0, done.stderr
