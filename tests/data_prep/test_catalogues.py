"""Catalogues in other forms than Kaggle's, through the real command."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmgenre import schema
from mmgenre.dataset.prepared import open_dataset
from tests import movie_files
from tests.commands import run_module

GENRES = ("Drama", "Comedy", "Sci-Fi")


def movie(number: int) -> dict[str, Any]:
    words = " ".join(movie_files.WORDS[(number + k) % len(movie_files.WORDS)] for k in range(9))
    return {
        "movieId": f"tt{number:07d}",
        "Movie Name": f"Movie {number}",
        "Plot": f"Number {number}: {words}.",
        "Genre": [GENRES[number % 3]],
    }


def prepare(metadata: Path, out: Path, *options: object) -> dict[str, Any]:
    """Prepares and verifies; returns the audit."""
    done = run_module(
        "data_prep.prepare", "--metadata", metadata, "--out", out, "--progress", "none", *options
    )
    assert done.returncode == 0, done.stderr
    checked = run_module("data_prep.verify", out, "--progress", "none")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return json.loads((out / "audit.json").read_text())


def test_json_lines_with_other_columns_and_text_ids(tmp_path):
    """Posters lie in a folder by id; genres are Sci-Fi; nothing is named as Kaggle names it."""
    path, posters = tmp_path / "catalogue.jsonl", tmp_path / "posters"
    path.write_text("".join(json.dumps(movie(n)) + "\n" for n in range(1, 41)) + "{broken\n")
    posters.mkdir()
    for number in range(1, 21):
        (posters / f"tt{number:07d}.jpeg").write_bytes(movie_files.jpeg(number))
    audit = prepare(path, tmp_path / "out", "--posters", posters)
    assert audit["rows"]["read"] == 41 and audit["rows"]["kept"] == 40
    assert audit["rows"]["dropped"] == {"not a JSON object": 1}
    assert audit["rows"]["form"][0] == "JSON lines"
    assert audit["posters"]["found"] == 20
    assert audit["genres"]["Science Fiction"] == 13
    assert sum(s.num_movies for s in open_dataset(tmp_path / "out").info.splits.values()) == 40


def test_a_catalogues_own_split_is_kept_and_its_leaks_are_counted(tmp_path):
    folder = tmp_path / "catalogue"
    (folder / "dataset").mkdir(parents=True)
    for number in range(1, 31):
        # Number 30 is a copy of number 1, in another split.
        fields = movie(1 if number == 30 else number)
        named = {"title": "T", "plot": ["short", fields["Plot"]], "genres": fields["Genre"]}
        (folder / "dataset" / f"{number:07d}.json").write_text(json.dumps(named))
        (folder / "dataset" / f"{number:07d}.jpeg").write_bytes(movie_files.jpeg(number))
    split = {"train": range(1, 21), "dev": range(21, 26), "test": range(26, 31)}
    names = {name: [f"{n:07d}" for n in numbers] for name, numbers in split.items()}
    (folder / "split.json").write_text(json.dumps(names))
    audit = prepare(folder, tmp_path / "out")
    splits = open_dataset(tmp_path / "out").info.splits
    assert [splits[name].num_movies for name in schema.SPLITS] == [20, 5, 5]
    assert audit["posters"]["found"] == 30
    assert audit["copies"]["across_the_catalogues_splits"] == {"overview": 2}


@pytest.mark.parametrize(
    "header, options, said",
    [
        ("id,story,kind\n", (), "none of its columns has a usual name|no column of genres"),
        ("id,overview,kind\n", (), "say which with --columns genres=NAME"),
        ("id,overview,genres\n", ("--columns", "overview=story"), "has no column 'story'"),
        ("id,overview,genres\n", ("--columns", "story=overview"), "choose from id"),
    ],
)
def test_mistakes_are_said_in_a_line(tmp_path, header, options, said):
    path = tmp_path / "movies.csv"
    path.write_text(header + "1,A story.,Drama\n")
    done = run_module("data_prep.prepare", "--metadata", path, "--out", tmp_path / "out", *options)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert any(part in line for part in said.split("|"))


def test_posters_that_are_nowhere_end_the_preparation(tmp_path):
    posters = tmp_path / "posters"
    posters.mkdir()
    path = movie_files.write_csv(tmp_path / "m.csv", [movie_files.row(n) for n in range(1, 151)])
    command = ("--metadata", path, "--posters", posters, "--out", tmp_path / "out")
    done = run_module("data_prep.prepare", *command)
    assert done.returncode == 2
    assert f"looked for {posters}/poster1.jpg" in done.stderr
