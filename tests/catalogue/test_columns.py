"""Columns by their usual names, or as the user says."""

import pytest

from mmgenre.catalogue.columns import find_columns, parse_columns, plain, require_columns
from mmgenre.errors import UserError


@pytest.mark.parametrize(
    "names, role, column",
    [
        (["movieId", "title"], "id", "movieId"),
        (["MOVIE_ID"], "id", "MOVIE_ID"),
        (["tconst"], "id", "tconst"),
        (["imdbId"], "id", "imdbId"),
        (["id", "imdb_id"], "id", "id"),
        (["id", "imdb_id"], "imdb_id", "imdb_id"),
        (["imdbID"], "imdb_id", "imdbID"),
        (["original_title", "title"], "title", "title"),
        (["Movie Name"], "title", "Movie Name"),
        (["Plot"], "overview", "Plot"),
        (["Synopsis", "tagline"], "overview", "Synopsis"),
        (["DESCRIPTION"], "overview", "DESCRIPTION"),
        (["genre"], "genres", "genre"),
        (["posterURL"], "poster", "posterURL"),
        (["Poster_Link"], "poster", "Poster_Link"),
        (["cover"], "poster", "cover"),
    ],
)
def test_usual_names_are_found(names, role, column):
    assert find_columns(names, {}, "the file").of_role[role] == column


def test_names_are_the_same_however_they_are_written():
    assert {plain(n) for n in ("movieId", "movie_id", "Movie ID", "MOVIE-ID", "MovieID")} == {
        "movie id"
    }


def test_the_user_is_right():
    given = parse_columns(" overview=plot2, Genres=Kind ")
    columns = find_columns(["id", "overview", "PLOT2", "kind"], given, "the file")
    assert columns.of_role["overview"] == "PLOT2" and columns.of_role["genres"] == "kind"
    assert columns.unused == ("overview",)


@pytest.mark.parametrize(
    "text, said",
    [
        ("overview", "write it as"),
        ("overview=", "write it as"),
        ("plot=overview", "choose from id"),
        ("overview=nowhere", "has no column 'nowhere'"),
    ],
)
def test_what_the_user_says_must_fit(text, said):
    with pytest.raises(UserError, match=said):
        find_columns(["id", "overview"], parse_columns(text), "the file")


@pytest.mark.parametrize("names", [["id", "overview"], ["id", "genres"]])
def test_genres_and_one_half_are_needed(names):
    with pytest.raises(UserError, match="say which with --columns"):
        require_columns(find_columns(names, {}, "the file"), "the file")
