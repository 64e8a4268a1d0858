"""Cells of genres to names, and names to places on a list."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgenre import schema
from mmgenre.catalogue.genre_cells import UnreadableCell, genre_names
from mmgenre.catalogue.genre_list import GenreList, common_genres, default_genres, read_genres
from mmgenre.errors import UserError

THREE = ["Action", "Adventure", "Science Fiction"]


@pytest.mark.parametrize(
    "cell, names",
    [
        ("[{'id': 28, 'name': 'Action'}, {'id': 12, 'name': 'Adventure'}]", THREE[:2]),
        ('[{"id": 28, "name": "Action"}]', ["Action"]),
        ('{"id": 28, "name": "Action"}', ["Action"]),
        ("['Action', 'Adventure', 'Science Fiction']", THREE),
        ("('Action', 'Adventure')", THREE[:2]),
        ('["Action", null, true]', ["Action"]),
        ("Action, Adventure, Science Fiction", THREE),
        ("Action|Adventure|Science Fiction", THREE),
        ("Action; Adventure", THREE[:2]),
        ("Action/Adventure", THREE[:2]),
        ("Action-Adventure-Science Fiction", THREE),
        ("Action-Sci-Fi", ["Action", "Sci-Fi"]),
        ("Sci-Fi", ["Sci-Fi"]),
        ("Film-Noir", ["Film-Noir"]),
        ("['Action' 'Adventure' 'Science Fiction']", THREE),
        ("['Action'\n 'Adventure']", THREE[:2]),
        ("['Action']", ["Action"]),
        ("{'Action', 'Adventure'}", THREE[:2]),
        ('{"/m/02kdv5l": "Action", "/m/03k9fj": "Adventure"}', THREE[:2]),
        ("[28, 12, 878]", THREE),
        ("28", ["Action"]),
        ("28|12", THREE[:2]),
        ("[99999]", ["99999"]),
        ("Action", ["Action"]),
        ("Children's", ["Children's"]),
        ("(no genres listed)", []),
        ("", []),
        ("nan", []),
        ("[]", []),
        ("\\N", []),
        (None, []),
        (float("nan"), []),
        (["Action", "Adventure"], THREE[:2]),
        ([{"id": 28, "name": "Action"}], ["Action"]),
        ({"28": "Action"}, ["Action"]),
        ([28, 12.0], THREE[:2]),
    ],
)
def test_cells_are_read_to_names(cell, names):
    assert genre_names(cell, default_genres().__contains__) == names


@pytest.mark.parametrize(
    "cell", ["[" * 5_000, "[Action, Drama", "__import__('os').x()[", "{'a': 1"]
)
def test_cells_that_cannot_be_read(cell):
    if cell[0] in "[{(":
        with pytest.raises(UnreadableCell):
            genre_names(cell)
    else:
        assert genre_names(cell) == [cell]


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.text(alphabet="[]{}()'\",|;/-: 1Aa\\N\n", max_size=60))
def test_any_text_is_read_or_refused(cell):
    try:
        names = genre_names(cell, default_genres().__contains__)
    except UnreadableCell:
        return
    assert all(isinstance(name, str) and name for name in names)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
    )
)
def test_any_value_is_read_or_refused(value):
    with contextlib.suppress(UnreadableCell):
        assert all(isinstance(name, str) for name in genre_names(value))


def test_the_default_list_is_the_specifications():
    genres = default_genres()
    assert genres.names == schema.GENRES
    assert [genres.place(name) for name in ("Action", "sci-fi", "SF", "Musical", "TV Movie")] == [
        0, 14, 14, 11, None,
    ]  # fmt: skip


def test_an_alias_that_is_on_the_list_stands_for_itself():
    genres = GenreList.of(["Music", "Musical"])
    assert (genres.place("Music"), genres.place("musical")) == (0, 1)


def test_a_list_from_a_file(tmp_path):
    path = tmp_path / "genres.txt"
    path.write_text("# ours\nScience Fiction = Sci-Fi, Future\n\nDrama\n")
    genres = read_genres(path)
    assert genres.names == ("Science Fiction", "Drama")
    assert genres.place("FUTURE") == 0


@pytest.mark.parametrize(
    "text, said",
    [
        ("Drama\n", "it must have 2 to 1,000"),
        ("Drama\nDrama\n", "twice"),
        ("Drama\ndrama\n", "twice"),
        ("A = X\nB = X\n", "stands for two"),
        ("\n".join(f"g{n}" for n in range(1_001)), "it must have 2 to 1,000"),
        ("a\n" + "b" * 200, "has the name"),
    ],
)
def test_a_list_that_is_none(tmp_path, text, said):
    path = tmp_path / "genres.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=said) as refused:
        read_genres(path)
    assert str(path) in str(refused.value)


def test_common_names_join_under_the_commonest_of_them():
    counts = {"Sci-Fi": 9, "Science Fiction": 20, "drama": 3, "Drama": 8, "Rare": 1, "Musical": 5}
    assert common_genres(counts, 5).names == ("Drama", "Musical", "Science Fiction")
