"""The demo corpus: its form, dirt and genres, and that it tells the truth about its signals."""

import ast
import csv
import itertools
import random
import re

import numpy as np
import pytest
from PIL import Image

from data_prep.demo import words
from data_prep.demo.corpus import read_planted, write_demo_corpus
from data_prep.demo.posters import HEIGHT, WIDTH, paint_poster
from data_prep.demo.signals import CHANNELS, Channel, Plan, plan_movie
from data_prep.demo.text import cue_words, write_overview
from mmgenre.errors import UserError
from mmgenre.schema import GENRES
from tests.commands import run_module

KAGGLE_COLUMNS = """
adult belongs_to_collection budget genres homepage id imdb_id original_language original_title
overview popularity poster_path production_companies production_countries release_date revenue
runtime spoken_languages status tagline title video vote_average vote_count
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "corpus"
    write_demo_corpus(folder, num_movies=320, seed=3)
    return folder


@pytest.fixture(scope="module")
def rows(corpus):
    with (corpus / "movies_metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def plans():
    return [plan_movie(random.Random(seed)) for seed in range(3000)]


def genre_names(row):
    return [genre["name"] for genre in ast.literal_eval(row["genres"])]


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_columns_are_kaggles(corpus):
    with (corpus / "movies_metadata.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == KAGGLE_COLUMNS.split()


def test_same_seed_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_demo_corpus(tmp_path / name, num_movies=30, seed=seed)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a") != files(tmp_path / "c")


def test_a_movie_does_not_depend_on_how_many_there_are(tmp_path):
    for name, num_movies in (("few", 10), ("more", 20)):
        write_demo_corpus(tmp_path / name, num_movies=num_movies)
    posters = {name: files(tmp_path / name / "posters") for name in ("few", "more")}
    assert posters["few"].items() < posters["more"].items()
    few, more = (list(read_planted(tmp_path / name)) for name in ("few", "more"))
    assert few == more[:10]


def test_dirt_is_there(rows):
    ids = [row["id"] for row in rows]
    assert len(rows) == 320 + 1 + 1  # One broken in two, and one copy.
    assert len(set(ids)) == len(rows) - 1
    (shifted,) = [row for row in rows if not row["id"].isdigit()]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", shifted["id"])
    assert "Written by" in shifted["adult"]
    assert sum(row["title"] is None for row in rows) == 2  # Both halves are too short.
    sound = [row for row in rows if row["id"].isdigit()]
    names = set(itertools.chain.from_iterable(genre_names(row) for row in sound))
    assert {"TV Movie", "Foreign"} < names
    assert any(name.endswith(" Pictures") for name in names)
    assert any(not genre_names(row) for row in sound)
    overviews = [row["overview"] for row in sound]
    assert {"", " ", "No overview found."} & set(overviews)
    assert any("\n" in overview for overview in overviews)
    assert any(not overview.isascii() for overview in overviews)


def test_posters_are_small_jpegs_and_some_are_missing(corpus, rows):
    files = {path.name for path in (corpus / "posters").iterdir()}
    named = [row["poster_path"] for row in rows if row["id"].isdigit()]
    there = [bool(path) and path[1:] in files for path in named]
    assert 0.82 < np.mean(there) < 0.92
    assert any(not path for path in named)
    assert any(path and not exists for path, exists in zip(named, there, strict=True))
    for name in sorted(files)[:20]:
        with Image.open(corpus / "posters" / name) as poster:
            assert (poster.format, poster.size, poster.mode) == ("JPEG", (WIDTH, HEIGHT), "RGB")


def test_planted_words_and_regions_are_where_it_says(corpus, rows):
    by_id = {row["id"]: row for row in rows}
    cues = {cue for genre in GENRES for cue in cue_words(genre)}
    movies = list(read_planted(corpus))
    assert len(movies) == 320
    for movie in movies:
        row = by_id[movie.id]
        assert set(movie.genres) == set(genre_names(row)) & set(GENRES)
        for word in movie.words:
            assert row["overview"][word.start : word.end] == word.text
            assert word.text.lower() in cue_words(word.genre)
        # Nor is there a cue that it does not tell of.
        spoken = re.findall(r"\w+", row["overview"].lower())
        assert [word.text.lower() for word in movie.words] == [w for w in spoken if w in cues]
        for region in movie.regions:
            assert CHANNELS[region.genre] is not Channel.OVERVIEW
            left, top, right, bottom = region.box
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1
        has_poster = row["poster_path"] and (corpus / "posters" / row["poster_path"][1:]).exists()
        assert has_poster or not movie.regions


@pytest.mark.parametrize(
    "genre", [genre for genre in GENRES if CHANNELS[genre] is not Channel.OVERVIEW]
)
def test_a_shape_changes_its_box_and_nothing_else(genre):
    for seed in range(10):
        bare, regions = paint_poster(Plan((genre,), (), ()), "Title", random.Random(seed))
        poster, (region,) = paint_poster(Plan((genre,), (genre,), ()), "Title", random.Random(seed))
        assert regions == ()
        assert region.genre == genre
        change = np.abs(np.asarray(poster, int) - np.asarray(bare, int)).mean(axis=2)
        left, top, right, bottom = np.array(region.box) * (WIDTH, HEIGHT, WIDTH, HEIGHT)
        rows, columns = np.arange(HEIGHT)[:, None], np.arange(WIDTH)
        inside = (left - 1.5 <= columns) & (columns <= right + 1.5)
        inside = inside & (top - 1.5 <= rows) & (rows <= bottom + 1.5)
        assert change[inside].mean() > 15
        assert not change[~inside].any()


def test_cues_mean_one_genre_each_and_neutral_words_none():
    owners = [cue for genre in GENRES for cue in cue_words(genre)]
    assert len(owners) == len(set(owners))
    sentences = itertools.chain.from_iterable(words.CUE_SENTENCES.values())
    neutral = [re.sub(r"\*[^*]+\*", "", sentence) for sentence in sentences]
    neutral += words.CLOSINGS + words.OPENINGS + words.FILLERS + words.SHORT
    neutral += words.TRAITS + words.LOOKS + words.JOBS + words.THINGS
    neutral += words.EVENTS + words.TIMES + words.FIRST_NAMES
    assert not set(re.findall(r"\w+", " ".join(neutral).lower())) & set(owners)


def test_overview_genres_have_cues_and_poster_genres_none():
    for genre, channel in CHANNELS.items():
        assert bool(cue_words(genre)) == (channel is not Channel.POSTER)


def test_overviews_are_as_long_as_real_ones(plans):
    rng = random.Random(0)
    overviews = [write_overview(plan, rng)[0] for plan in plans[:1500]]
    lengths = [len(re.findall(r"\w+|[^\w\s]", overview)) for overview in overviews]
    assert 48 < np.mean(lengths) < 62
    assert min(lengths) <= 8
    assert max(lengths) > 150
    assert not any(re.search(r"[*{}]", overview) for overview in overviews)


def test_genres_are_as_frequent_as_real_ones(plans):
    counts = [len(plan.genres) for plan in plans]
    assert 2.1 < np.mean(counts) < 2.5
    share = {genre: np.mean([genre in plan.genres for plan in plans]) for genre in GENRES}
    assert share["Drama"] == pytest.approx(0.46, abs=0.03)
    assert share["Comedy"] == pytest.approx(0.31, abs=0.03)
    assert share["Western"] == pytest.approx(0.025, abs=0.01)

    def lift(one, other):
        both = np.mean([one in plan.genres and other in plan.genres for plan in plans])
        return both / (share[one] * share[other])

    assert lift("Action", "Adventure") > 2
    assert lift("Animation", "Family") > 4
    assert lift("Crime", "Thriller") > 1.7
    assert lift("Comedy", "Thriller") < 0.6


def test_only_both_halves_decide(plans):
    for genre in (genre for genre, channel in CHANNELS.items() if channel is Channel.BOTH):
        present = {}
        for halves in itertools.product((True, False), repeat=2):
            chosen = [
                genre in plan.genres
                for plan in plans
                if (genre in plan.poster_cues, genre in plan.overview_cues) == halves
            ]
            present[halves] = np.mean(chosen)
        assert present[True, True] > 0.95
        assert max(present[True, False], present[False, True], present[False, False]) < 0.15
        for half in ("poster_cues", "overview_cues"):
            alone = np.mean([genre in p.genres for p in plans if genre in getattr(p, half)])
            assert 0.25 < alone < 0.85


def test_a_poster_pool_shares_posters_and_none_draws_none(tmp_path):
    write_demo_corpus(tmp_path / "pool", num_movies=40, poster_pool=7)
    write_demo_corpus(tmp_path / "none", num_movies=40, poster_pool=0)
    assert 1 <= len(list((tmp_path / "pool" / "posters").iterdir())) <= 7
    movies = list(read_planted(tmp_path / "pool"))
    assert movies[0].regions == movies[7].regions
    assert movies[0].words != movies[7].words
    assert not list((tmp_path / "none" / "posters").iterdir())
    assert not any(movie.regions for movie in read_planted(tmp_path / "none"))


def test_mistakes_are_told_and_leave_nothing(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UserError, match="exists"):
        write_demo_corpus(tmp_path / "full", num_movies=3)
    with pytest.raises(UserError, match="at least 1"):
        write_demo_corpus(tmp_path / "none", num_movies=0)
    with pytest.raises(UserError, match="posters"):
        write_demo_corpus(tmp_path / "none", num_movies=3, poster_pool=-1)
    with pytest.raises(UserError, match="Can't write"):
        write_demo_corpus(tmp_path / "full" / "file" / "corpus", num_movies=3)
    with pytest.raises(UserError, match="not a demo corpus"):
        list(read_planted(tmp_path / "full"))
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_a_failure_midway_leaves_nothing(tmp_path, monkeypatch):
    def fail(poster):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("data_prep.demo.corpus.encode_jpeg", fail)
    with pytest.raises(UserError, match="No space left"):
        write_demo_corpus(tmp_path / "corpus", num_movies=5)
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path):
    out = tmp_path / "corpus"
    done = run_module("data_prep.demo_corpus", "--out", out, "--movies", 5, "--seed", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(out) in done.stdout
    again = run_module("data_prep.demo_corpus", "--out", out, "--movies", 5)
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert again.stderr.startswith("error: ")
