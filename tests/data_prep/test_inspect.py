"""What is shown of a catalogue before it is prepared, and the command to copy."""

import json
import shlex

from data_prep import inspect
from tests import movie_files
from tests.commands import run_module
from tests.poster_server import PosterServer, serve


def shown(capsys, *arguments: object) -> str:
    inspect.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_what_is_shown_and_that_the_command_works_when_copied(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [movie_files.row(n) for n in range(1, 41)]
    rows += [movie_files.row(41, genres="[]"), movie_files.row(42, overview="No overview found.")]
    rows += [movie_files.row(1), movie_files.row(43, genres="Silent, Drama")]
    renamed = [
        {
            "Film ID": r["id"],
            "Story": r["overview"],
            "Genre": r["genres"],
            "Cover": r["poster_path"],
        }
        for r in rows
    ]
    path = tmp_path / "my movies.csv"
    columns = ["Film ID", "Story", "Genre", "Cover", "Year"]
    path.write_text(movie_files.csv_text(renamed, columns, delimiter=";") + "few\n")
    posters = tmp_path / "my posters"
    posters.mkdir()
    for number in range(1, 31):
        (posters / f"poster{number}.jpg").write_bytes(movie_files.jpeg(number))
    text = shown(capsys, path, "--posters", posters, "--columns", "overview=Story")
    assert f"{path}: CSV with semicolons" in text
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.startswith("  ")]
    assert ["overview", "Story"] in lines and ["poster", "Cover"] in lines
    assert "not used       Year" in text
    assert "  1: (no title)" in text and f"overview  {rows[0]['overview'][:20]}" in text
    assert "not on the list: Silent (1)" in text
    assert "Of all 45 rows 42 are kept" in text
    for reason in ("no genre: 1", "no overview: 1", "shifted columns: too few cells: 1"):
        assert f"dropped: {reason}" in text
    assert "merged with the fuller one: 1" in text
    assert "31 of 42 that were looked for are in" in text
    assert f"not there: {posters}/poster31.jpg" in text

    command = shlex.split(text.splitlines()[-1])
    assert command[:2] == ["mmgenre", "prepare"]
    done = run_module("mmgenre", *command[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    audit = json.loads((tmp_path / "data" / "my movies" / "audit.json").read_text())
    assert audit["rows"]["read"] == 45 and audit["rows"]["kept"] == 41
    assert audit["posters"]["found"] == 31
    # Beside the data set that is there now.
    assert shown(capsys, path).splitlines()[-1].endswith("--out 'data/my movies-2'")


def test_other_rows_than_the_first_are_not_read(tmp_path, capsys):
    rows = [movie_files.row(n, genres="['Drama']") for n in range(1, 31)]
    path = movie_files.write_csv(tmp_path / "m.csv", rows)
    text = shown(capsys, path, "--rows", "10")
    assert "Of the first 10 rows 10 are kept" in text
    assert "Drama                     10" in text
    text = shown(capsys, path, "--rows", "30", "--require", "both")
    assert "Of all 30 rows 30 are kept" in text
    assert text.splitlines()[-1].count("--require both") == 1


def test_posters_of_a_server_are_asked_for(tmp_path, capsys):
    (tmp_path / "w154").mkdir()
    for number in range(1, 7):
        (tmp_path / "w154" / f"poster{number}.jpg").write_bytes(movie_files.jpeg(number))
    rows = [movie_files.row(n) for n in range(1, 21)]
    path = movie_files.write_csv(tmp_path / "m.csv", rows)
    with serve(PosterServer(tmp_path)) as server:
        text = shown(capsys, path, "--posters", f"{server.base}/w154")
    assert f"6 of 8 that were asked for are at {server.base}/w154" in text
    assert "poster7.jpg: the server says 404" in text


def test_a_catalogue_without_genres_is_shown_as_far_as_it_is_one(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("id,overview,kind\n1,A boy.,Drama\n")
    done = run_module("data_prep.inspect", path)
    assert done.returncode == 2
    assert "not used       kind" in done.stdout
    (line,) = done.stderr.splitlines()
    assert "has no column of genres" in line and "--columns genres=NAME" in line
