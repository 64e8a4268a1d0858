"""Dirty metadata: every row is kept or dropped for a reason, and nothing crashes."""

import gzip
import zipfile
from pathlib import Path

import pytest

from data_prep.metadata.read import Read
from data_prep.workspace.movie_file import Movie, MovieFile
from data_prep.workspace.stages import Workspace
from mmgenre import schema
from mmgenre.errors import UserError
from tests import movie_files
from tests.movie_files import row


def _read(tmp_path: Path, metadata, require="overview"):
    """Reads metadata (bytes, text or a list of rows); returns (outcome, movies)."""
    if isinstance(metadata, list):
        metadata = movie_files.csv_text(metadata)
    if isinstance(metadata, str):
        metadata = metadata.encode("utf-8", "surrogatepass")
    path = tmp_path / "movies_metadata.csv"
    path.write_bytes(metadata)
    with Workspace(tmp_path / "work") as workspace:
        outcome = workspace.do(Read(path, require))
        with MovieFile(workspace.path) as movies:
            kept = list(movies)
            assert [movies[number] for number in range(len(movies))] == kept
    assert outcome.kept == len(kept)
    assert outcome.rows == outcome.kept + sum(outcome.dropped.values())
    return outcome, kept


def test_a_clean_row(tmp_path):
    genres = "[{'id': 1, 'name': 'War'}, {'id': 2, 'name': 'Action'}]"
    _, kept = _read(tmp_path, [row(7, genres=genres, overview="A war.", title="T")])
    action_and_war = (schema.GENRES.index("Action"), schema.GENRES.index("War"))
    assert kept == [
        Movie(7, "tt0000007", "T", "A war.", action_and_war, "/poster7.jpg"),
    ]


def test_utf_8_that_was_read_as_windows_1252_is_mended_and_counted(tmp_path):
    rows = [row(7, overview="A cafÃ©â€™s war."), row(8, overview="A café’s other war.")]
    outcome, kept = _read(tmp_path, rows)
    assert [movie.overview for movie in kept] == ["A café’s war.", "A café’s other war."]
    assert outcome.notes["overviews with UTF-8 read as Windows-1252, mended"] == 1


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"id": "1997-08-20", "adult": " - Written by"}, "the id is not a number"),
        ({"id": ""}, "the id is not a number"),
        ({"adult": " - Written by Someone"}, "'adult' is neither"),
        ({"genres": "[]"}, "no genre"),
        ({"genres": ""}, "no genre"),
        ({"genres": "[{'name': 'Carousel Productions', 'id': 11176}]"}, "unknown genres only"),
        ({"genres": "[{'name': 'TV Movie'}, {'name': 'Foreign'}]"}, "no genre but TV Movie"),
        ({"genres": "__import__('os').system('true')"}, "unknown genres only"),
        ({"genres": "[" * 5000}, "the genres are not a list"),
        ({"genres": "12.5"}, "unknown genres only"),
        ({"overview": ""}, "no overview"),
        ({"overview": " "}, "no overview"),
        ({"overview": "No overview found."}, "no overview"),
        ({"overview": "NO OVERVIEW FOUND"}, "no overview"),
        ({"overview": "n/a"}, "no overview"),
        ({"overview": "\x00\x00"}, "no overview"),
        ({"overview": "12.5"}, "no overview"),
        ({"overview": "nan"}, "no overview"),
        ({"overview": "[{'iso': 'en', 'name': 'English'}]"}, "no overview"),
        ({"overview": "..."}, "no overview"),
    ],
)
def test_dropped_rows(tmp_path, changes, reason):
    outcome, kept = _read(tmp_path, [row(1), row(2, **changes), row(3)])
    assert [movie.id for movie in kept] == [1, 3]
    (dropped,) = outcome.dropped
    assert reason in dropped and outcome.dropped[dropped] == 1


@pytest.mark.parametrize(
    "changes, field, value",
    [
        ({"id": "862.0"}, "id", 862),
        ({"genres": '[{"id": null, "name": "War"}]'}, "labels", (schema.GENRES.index("War"),)),
        ({"genres": "[{'name': 'war '}, {'name': 'X'}]"}, "labels", (schema.GENRES.index("War"),)),
        ({"overview": "one\x00two\ud800"}, "overview", None),
        ({"overview": 'He said "no",\nand left.'}, "overview", 'He said "no",\nand left.'),
        ({"overview": "東京の物語"}, "overview", "東京の物語"),
        ({"title": "", "original_title": "O"}, "title", "O"),
        ({"imdb_id": "0"}, "imdb_id", ""),
        ({"poster_path": "x.jpg"}, "poster_path", "/x.jpg"),
        ({"poster_path": "nan"}, "poster_path", ""),
        ({"poster_path": "/../../etc/passwd"}, "poster_path", ""),
        ({"poster_path": "/a/../../x.jpg"}, "poster_path", ""),
        ({"poster_path": "//evil.example/x.jpg"}, "poster_path", ""),
        ({"poster_path": "/..\\..\\x.jpg"}, "poster_path", ""),
        ({"poster_path": "/x.jpg?y=1"}, "poster_path", ""),
        ({"poster_path": "/x\n.jpg"}, "poster_path", ""),
    ],
)
def test_mended_cells(tmp_path, changes, field, value):
    _, kept = _read(tmp_path, [row(5, **changes)])
    actual = getattr(kept[0], field)
    if value is None:
        assert actual.startswith("one two") and "\x00" not in actual and "\ud800" not in actual
    else:
        assert actual == value


def test_requirements(tmp_path):
    rows = [
        row(1),
        row(2, overview=""),
        row(3, poster_path=""),
        row(4, overview="", poster_path=""),
    ]
    for require, expected in (
        ("overview", [1, 3]),
        ("poster", [1, 2]),
        ("both", [1]),
        ("any", [1, 2, 3]),
    ):
        _, kept = _read(tmp_path, rows, require)
        assert [movie.id for movie in kept] == expected


def test_line_ends_and_a_byte_order_mark(tmp_path):
    rows = [row(n, overview=f"Two\nlines {n}") for n in range(1, 6)]
    expected = _read(tmp_path, rows)[1]
    text = movie_files.csv_text(rows, lineterminator="\n")
    for variant in (
        text.replace("\n", "\r\n").replace("Two\r\n", "Two\n"),
        "\ufeff" + text,
        text.replace("\n", "\n\n").replace("Two\n\n", "Two\n"),
    ):
        assert _read(tmp_path, variant)[1] == expected
    assert _read(tmp_path, text.encode("utf-16"))[1] == expected


def test_bytes_that_are_no_utf_8(tmp_path):
    data = movie_files.csv_text([row(1, overview="caf@ noir")]).encode().replace(b"@", b"\xe9")
    outcome, kept = _read(tmp_path, data)
    assert kept[0].overview == "café noir"
    assert "no UTF-8: read as Windows-1252" in outcome.form
    text = movie_files.csv_text([row(1, overview="café, à la carte: caf@ noir")])
    outcome, kept = _read(tmp_path, text.encode().replace(b"@", b"\xe9"))
    assert kept[0].overview == "café, à la carte: caf\ufffd noir"
    assert any("1 bytes are no UTF-8" in line for line in outcome.form)


def test_a_cell_of_10_mb(tmp_path):
    big = "word " * 2_000_000
    outcome, kept = _read(tmp_path, [row(1), row(2, overview=big), row(3)])
    assert [movie.id for movie in kept] == [1, 2, 3] and len(kept[1].overview) <= 100_000
    assert any("cut" in note for note in outcome.notes)
    outcome, kept = _read(tmp_path, [row(1), row(2, genres=big), row(3)])
    assert [movie.id for movie in kept] == [1, 3]


@pytest.mark.parametrize("damage", ['x"y', '"never closed', 'a "b" c"'])
def test_damaged_quoting_costs_its_own_row_only(tmp_path, damage):
    rows = [row(n) for n in range(1, 21)]
    lines = movie_files.csv_text(rows, lineterminator="\n").splitlines(keepends=True)
    cells = lines[10].split(",")
    lines[10] = ",".join([*cells[:2], f'"{damage}', *cells[3:]])
    outcome, kept = _read(tmp_path, "".join(lines))
    assert [movie.id for movie in kept] == [*range(1, 10), *range(11, 21)]
    assert outcome.rows == 20


def test_shifted_columns(tmp_path):
    lines = movie_files.csv_text([row(n) for n in range(1, 6)], lineterminator="\n").splitlines()
    lines[2] = lines[2] + ",one more"
    lines[3] = ",".join(lines[3].split(",")[:9])
    outcome, kept = _read(tmp_path, "\n".join(lines))
    assert [movie.id for movie in kept] == [1, 4, 5]
    assert outcome.dropped == {
        "shifted columns: too few cells": 1,
        "shifted columns: too many cells": 1,
    }


def test_gzip_and_zip(tmp_path):
    rows = [row(n) for n in range(1, 9)]
    expected = _read(tmp_path, rows)[1]
    data = movie_files.csv_text(rows).encode()
    assert _read(tmp_path, gzip.compress(data))[1] == expected
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("keywords.csv", "id,keywords\n")
        file.writestr("__MACOSX/._movies_metadata.csv", "x")
        file.writestr("archive/movies_metadata.csv", data)
    assert _read(tmp_path, archive.read_bytes())[1] == expected


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "is empty"),
        (b"\n\n", "not a table of movies"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 50, "a PNG image"),
        (b"%PDF-1.7", "a PDF"),
        (b"<html><body>Sign in</body></html>", "not a table of movies"),
        (bytes(range(256)) * 40, "not a table of movies"),
        (movie_files.csv_text([]).encode(), "no rows"),
        (movie_files.csv_text([row(1, genres="[]")]).encode(), "no row .* can be kept"),
        (gzip.compress(movie_files.csv_text([row(1)]).encode())[:-20], "damaged or truncated"),
        (b"PK\x03\x04" + b"0" * 100, "damaged or truncated"),
    ],
)
def test_what_cannot_be_read_is_the_users_mistake(tmp_path, data, message):
    with pytest.raises(UserError, match=message) as caught:
        _read(tmp_path, data)
    assert "movies_metadata.csv" in str(caught.value)


def test_genres_and_an_overview_or_a_poster_are_needed(tmp_path):
    def without(*left_out: str) -> str:
        columns = [name for name in movie_files.COLUMNS if name not in left_out]
        return movie_files.csv_text([row(1)], columns=columns)

    with pytest.raises(UserError, match="no column of genres"):
        _read(tmp_path, without("genres"))
    with pytest.raises(UserError, match="neither a column of overviews nor of posters"):
        _read(tmp_path, without("overview", "poster_path"))
    _, kept = _read(tmp_path, without("id", "imdb_id", "title", "original_title", "poster_path"))
    assert [(movie.id, movie.title, movie.poster_path) for movie in kept] == [(1, "", "")]


def test_a_missing_file(tmp_path):
    with (
        Workspace(tmp_path / "work") as workspace,
        pytest.raises(UserError, match="there is no file"),
    ):
        workspace.do(Read(tmp_path / "nothing.csv", "overview"))
