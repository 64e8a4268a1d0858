"""Who goes where: exact counts, no copy in two splits, whatever the order of the rows."""

import json
import random

import numpy as np
import pytest

from data_prep.prepare import PrepareConfig, prepare
from data_prep.shards import shard_order
from data_prep.splits import duplicates, split
from data_prep.workspace import movie_file
from mmgenre import schema
from mmgenre.dataset.read_split import read_split
from mmgenre.errors import UserError
from tests import movie_files
from tests.movie_files import row


def test_the_counts_of_the_original():
    counts = split.split_counts(41_068)
    assert counts == {schema.TRAIN: 29_568, schema.TEST: 8_214, schema.VALIDATION: 3_286}


@pytest.mark.parametrize("num_movies", [1, 2, 3, 7, 100, 1001])
def test_counts_are_those_of_train_test_split(num_movies):
    from sklearn.model_selection import train_test_split

    counts = split.split_counts(num_movies)
    assert sum(counts.values()) == num_movies
    if num_movies >= 3:
        rest, test = train_test_split(range(num_movies), test_size=0.2)
        train, validation = train_test_split(rest, test_size=0.1)
        assert counts == {"train": len(train), "validation": len(validation), "test": len(test)}


def _counts(assignment):
    return {name: int((assignment == code).sum()) for code, name in enumerate(schema.SPLITS)}


def test_groups_stay_together_and_counts_are_exact():
    rng = np.random.default_rng(0)
    sizes = np.r_[rng.integers(2, 8, 40), [300], np.ones(1500, int)]
    component = np.repeat(np.arange(len(sizes)), sizes)
    ids = rng.permutation(len(component)).astype(np.int64)
    assignment = split.assign(ids, component, seed=0)
    assert _counts(assignment) == split.split_counts(len(ids))
    for group in range(len(sizes)):
        assert len(set(assignment[component == group])) == 1
    assert assignment[component == 40][0] == schema.SPLITS.index(schema.TRAIN)  # The big one.
    assert len({assignment[component == group][0] for group in range(40)}) == 3


def test_the_choice_depends_on_ids_and_seed_alone():
    rng = np.random.default_rng(1)
    ids = rng.choice(10**6, 1000, replace=False).astype(np.int64)
    component = np.arange(1000)
    first = dict(zip(ids, split.assign(ids, component, 0), strict=True))
    shuffled = rng.permutation(ids)
    again = dict(zip(shuffled, split.assign(shuffled, component, 0), strict=True))
    other = dict(zip(ids, split.assign(ids, component, 1), strict=True))
    assert first == again != other


def test_chains_of_shared_keys_make_one_group():
    keys = duplicates.Keys(6)
    for number, (imdb, overview, poster) in enumerate(
        [("tt1", "A", 0), ("tt1", "B", 5), ("", "b!", 0), ("", "c", 5), ("", "", 0), ("", "", 0)]
    ):
        keys.add(number, movie_file.Movie(number, imdb, "", overview, (0,), ""), poster)
    component = keys.components()
    assert len(set(component[:4])) == 1 and len(set(component)) == 3
    assert keys.copies() == {"imdb id": 2, "overview": 2, "poster": 2}


def test_titles_of_a_franchise_have_one_stem():
    rocky = ("Rocky", "ROCKY II", "Rocky 3: Again", "Rocky - The Musical", "Rocky: Part Four")
    assert {duplicates.title_stem(title) for title in rocky} == {"rocky"}
    assert duplicates.title_stem("Dune, Part Two") == duplicates.title_stem("Dune") == "dune"
    assert duplicates.title_stem("Alien") != duplicates.title_stem("Aliens")
    assert duplicates.title_stem("It 2") == duplicates.title_stem("") == ""


def test_franchises_stay_in_one_split_where_that_is_asked_for(tmp_path):
    rows = [row(n, title=f"Saga {n % 20} thing: part {n}") for n in range(1, 101)]
    titles = {}
    for keep in (False, True):
        dataset, audit = _prepare(tmp_path, rows, None, f"{keep}", keep_franchises=keep)
        titles[keep] = [
            {duplicates.title_stem(t) for t in read_split(dataset, name, schema.TITLE)["title"]}
            for name in dataset.info.splits
        ]
        assert audit["copies"]["sharing"].get("title", 0) == (100 if keep else 0)
    assert set.intersection(*titles[False])
    assert sum(map(len, titles[True])) == 20 == len(set.union(*titles[True]))


def test_the_order_of_records_is_that_of_tfds():
    from tensorflow_datasets.core import hashing, shuffle

    ids = np.arange(1, 500, dtype=np.int64) * 7
    shards = shard_order.shards(np.arange(len(ids)), ids, "train", 5)
    hasher = hashing.Hasher("train")
    keyed = sorted((hasher.hash_key(str(id_)), number) for number, id_ in enumerate(ids.tolist()))
    largest = keyed[-1][0]
    expected = [[] for _ in range(5)]
    for key, number in keyed:
        expected[shuffle.get_bucket_number(key, 5, largest)].append(number)
    assert [shard.tolist() for shard in shards] == expected


def _prepare(tmp_path, rows, posters, name, **options):
    metadata = movie_files.write_csv(tmp_path / f"{name}.csv", rows)
    out = tmp_path / name
    dataset = prepare(
        PrepareConfig(metadata, posters, out, progress="none", **({"name": "x"} | options))
    )
    return dataset, json.loads((out / "audit.json").read_text())


def test_copies_duplicates_and_the_order_of_rows(tmp_path):
    """The same data set from shuffled rows, with copies of every kind in it."""
    posters = movie_files.write_posters(tmp_path / "posters", range(1, 81))
    (posters / "poster90.jpg").write_bytes(movie_files.jpeg(5))  # As movie 5's.
    rows = [row(n) for n in range(1, 101)]
    rows.append(row(101, overview=rows[10]["overview"].upper() + "!"))
    rows.append(row(102, imdb_id="tt0000020"))
    rows.append(row(30, overview="Short."))  # The id is there with a longer overview.
    rows.append(row(31, genres=rows[30]["genres"], poster_path=""))
    dataset, audit = _prepare(tmp_path, rows, posters, "a")
    assert audit["rows"]["read"] == 104 and audit["rows"]["kept"] == 102
    assert audit["duplicates_merged"] == 2
    assert audit["copies"]["groups"] == 3 and audit["copies"]["movies"] == 6
    assert audit["copies"]["sharing"] == {"imdb id": 2, "overview": 2, "poster": 2}
    random.Random(0).shuffle(rows)
    assert _prepare(tmp_path, rows, posters, "b")[0].info == dataset.info


def test_too_few_movies_for_a_train_split(tmp_path):
    posters = movie_files.write_posters(tmp_path / "posters", [1])
    with pytest.raises(UserError, match="train"):
        _prepare(tmp_path, [row(1), row(2)], posters, "a")
    assert not (tmp_path / "a" / "dataset.json").exists()
