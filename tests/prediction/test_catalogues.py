"""Predicting catalogues in all the forms that preparation reads, from all places of posters."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

from mmgenre import schema
from mmgenre.prediction import table
from mmgenre.prediction.table_request import TableRequest, open_questions
from tests.commands import run_module, run_several
from tests.poster_server import PosterServer, serve


def answers(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def movies(demo_corpus):
    """Eight movies of the demo corpus with an overview and a poster."""
    with (demo_corpus / "movies_metadata.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["overview"] and row["poster_path"]]
    return [row for row in rows if (demo_corpus / "posters" / row["poster_path"][1:]).exists()][:8]


def written(movies, names, **options) -> str:
    """The movies as CSV, under other names of columns."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, **options)
    writer.writerow(names)
    writer.writerows([row[name] for name in names.values()] for row in movies)
    return file.getvalue()


def predicted(run, catalogue: Path, **options) -> list[dict]:
    out = catalogue.parent / f"{len(list(catalogue.parent.iterdir()))}.jsonl"
    request = TableRequest(str(run.path), catalogue, **options)
    table.predict_table(request, out)
    return answers(out)


NAMES = {"movieId": "id", "Name": "title", "Plot": "overview", "Poster_URL": "poster_path"}


@pytest.fixture(scope="module")
def expected(movies, tiny_run, demo_corpus, tmp_path_factory):
    path = tmp_path_factory.mktemp("expected") / "m.csv"
    path.write_text(written(movies, NAMES))
    found = predicted(tiny_run, path, posters=str(demo_corpus / "posters"))
    assert [answer["id"] for answer in found] == [row["id"] for row in movies]
    assert all(answer["has_poster"] and answer["has_overview"] for answer in found)
    return found


def test_every_form_gives_the_same_answers(movies, expected, tiny_run, demo_corpus, tmp_path):
    rows = [{name: row[of] for name, of in NAMES.items()} for row in movies]
    files = {
        "semicolons.csv": written(movies, NAMES, delimiter=";").encode("utf-16"),
        "packed.tsv.gz": gzip.compress(written(movies, NAMES, delimiter="\t").encode()),
        "lines.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "array.json": json.dumps(rows, indent=1).encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        found = predicted(tiny_run, tmp_path / name, posters=str(demo_corpus / "posters"))
        assert found == expected, name
    pyarrow = pytest.importorskip("pyarrow")
    parquet_files = pytest.importorskip("pyarrow.parquet")
    parquet_files.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "m.parquet")
    posters = str(demo_corpus / "posters")
    assert predicted(tiny_run, tmp_path / "m.parquet", posters=posters) == expected
    (tmp_path / "named.csv").write_text(written(movies, {"N": "id", "T": "overview"}))
    found = predicted(tiny_run, tmp_path / "named.csv", columns="overview=T,id=N")
    assert [a["id"] for a in found] == [a["id"] for a in expected]
    assert all(a["has_overview"] and not a["has_poster"] for a in found)


def test_posters_come_from_width_folders_addresses_and_files_by_id(
    movies, expected, tiny_run, demo_corpus, tmp_path
):
    wide, by_id = tmp_path / "served" / "w342", tmp_path / "by_id"
    wide.mkdir(parents=True)
    by_id.mkdir()
    for row in movies:
        data = (demo_corpus / "posters" / row["poster_path"][1:]).read_bytes()
        (wide / row["poster_path"][1:]).write_bytes(data)
        (by_id / f"{row['id']}.png").write_bytes(data)
    path = tmp_path / "m.csv"
    path.write_text(written(movies, NAMES))
    assert predicted(tiny_run, path, posters=str(tmp_path / "served")) == expected
    assert predicted(tiny_run, path, posters=str(by_id)) == expected
    with serve(PosterServer(tmp_path / "served")) as server:
        assert predicted(tiny_run, path, posters=server.base) == expected
        assert predicted(tiny_run, path, posters=f"{server.base}/w342/") == expected
        assert set(server.log.requests) <= {
            f"/{width}{row['poster_path']}" for width in ("w154", "w185", "w342") for row in movies
        }
        addressed = [
            row | {"poster_path": f"https://image.tmdb.org/t/p/w92{row['poster_path']}"}
            for row in movies
        ]
        addressed[0]["poster_path"] = f"{server.base}/w342{movies[0]['poster_path']}?size=1"
        (tmp_path / "addresses.csv").write_text(written(addressed, NAMES))
        assert predicted(tiny_run, tmp_path / "addresses.csv", posters=server.base) == expected


def test_a_folder_of_posters_is_a_catalogue(movies, tiny_run, demo_corpus, tmp_path):
    posters = tmp_path / "posters"
    posters.mkdir()
    for row in movies:
        data = (demo_corpus / "posters" / row["poster_path"][1:]).read_bytes()
        (posters / f"{row['id']}.JPG").write_bytes(data)
    (posters / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "out.jsonl"
    done = run_module(
        "mmgenre.predict", "--run", tiny_run.path, "--posters", posters, "--out", out, "--top", 3
    )
    assert done.returncode == 0, done.stderr
    found = {answer["id"]: answer for answer in answers(out)}
    assert found.keys() == {row["id"] for row in movies} | {"broken"}
    assert not found["broken"]["has_poster"] and "poster: " in found["broken"]["note"]
    for row in movies:
        answer = found[row["id"]]
        ranked = sorted(schema.GENRES, key=lambda genre: -answer["probabilities"][genre])
        assert [answer["probabilities"][g] for g in answer["genres"]] == [
            answer["probabilities"][g] for g in ranked[:3]
        ]


DIRT = (
    "id,title,overview,genres,adult\n"
    "1,One,A boy finds a map.,\"[{'id': 18, 'name': 'Drama'}]\",False\n"
    "2,Two,A ship sails.,[],False\n"
    '3,"Never closed,A dog barks.,[],False\n'
    "4,Few\n"
    "1997-08-20,Five,A king falls.,[],prose that is no value\n"
    "6,Six,No overview found.,,False\n"
    "7,Seven,A war ends.,Drama,False\n"
)


def test_there_are_as_many_answers_as_rows_and_they_are_printed(tiny_run, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(DIRT)
    done = run_module("mmgenre.predict", "--run", tiny_run.path, "--csv", path, "--out", "-")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in found] == ["1", "2", "", "", "", "6", "7"]
    notes = [answer["note"] for answer in found]
    assert "row 3 cannot be read: not CSV: damaged quoting: '3,\"Never" in notes[2]
    assert "row 4 cannot be read: shifted columns: too few cells" in notes[3]
    assert "row 5 cannot be read: shifted columns: the id is not a number" in notes[4]
    assert notes[5] == "neither poster nor overview: no prediction"
    assert all(answer["probabilities"]["Drama"] is None for answer in found[2:6])
    assert [bool(answer["note"]) for answer in found] == [False] * 2 + [True] * 4 + [False]
    assert "overview from 'overview'" in done.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_only_movies_without_a_genre_are_asked_about(tiny_run, tmp_path):
    path, out = tmp_path / "m.csv", tmp_path / "out.csv"
    path.write_text(DIRT)
    command = ["--run", tiny_run.path, "--csv", path, "--only-missing", "--out"]
    results = run_several("mmgenre.predict", [[*command, out], [*command, "-"]])
    assert [code for code, _, _ in results] == [0, 0], results
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["2", "6"]
    assert [json.loads(line)["id"] for line in results[1][1].splitlines()] == ["2", "6"]
    assert all("2 rows have a genre, 3 cannot be read" in error for _, _, error in results)


def test_the_mistakes_of_catalogues(tiny_run, tmp_path):
    plain, empty = tmp_path / "plain.csv", tmp_path / "empty"
    plain.write_text("id,overview\n1,A boy.\n")
    empty.mkdir()
    run = ["--run", tiny_run.path]
    cases = [
        (["--csv", plain, "--only-missing", "--out", "-"], "no column of genres"),
        (["--csv", plain, "--columns", "overview=Text", "--out", "-"], "has no column 'Text'"),
        (["--csv", plain, "--top", "0", "--out", "-"], "--top is 0"),
        (["--csv", plain, "--runner", "DirectRunner", "--out", "-"], "needs a file"),
        (["--csv", plain, "--nonsense", "--out", "-"], "unrecognized arguments"),
        (["--csv", plain, "--posters", "http://", "--out", "-"], "no address"),
        (["--posters", empty, "--out", "-"], "no folder with posters alone"),
        (["--posters", "https://a.example", "--out", "-"], "give the catalogue"),
        (["--csv", empty, "--out", "-"], "holds no table"),
        (["--overview", "A boy.", "--only-missing"], "go with --csv"),
    ]
    results = run_several("mmgenre.predict", [[*run, *case] for case, _ in cases])
    for (case, said), (code, printed, error) in zip(cases, results, strict=True):
        assert code == 2 and printed == "", (case, error)
        assert said in error and len(error.strip().splitlines()) == 1, (case, error)


def test_rows_without_ids_are_called_by_their_number(tiny_run, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("plot\nA boy.\n\nA dog.\n")
    with open_questions(TableRequest(str(tiny_run.path), path)) as questions:
        assert [question.id for question in questions] == ["1", "2"]


@pytest.mark.slow
def test_beam_gives_the_same_answers(movies, tiny_run, demo_corpus, tmp_path):
    path, parts = tmp_path / "m.csv", tmp_path / "beam.jsonl.parts"
    path.write_text(written(movies * 80, NAMES) + "x,few\n")
    options = ["--run", tiny_run.path, "--csv", path, "--posters", demo_corpus / "posters"]
    here, beam = tmp_path / "here.jsonl", tmp_path / "beam.jsonl"
    done = run_module("mmgenre.predict", *options, "--out", here)
    assert done.returncode == 0, done.stderr
    parts.mkdir()  # Of an interrupted command that asked something else.
    (parts / "facts.json").write_text("{}\n")
    (parts / "answers-000000.jsonl").write_text("[0, 0]\n")
    done = run_module(
        "mmgenre.predict", *options, "--out", beam, "--runner", "DirectRunner",
        "--direct_running_mode=multi_threading", "--direct_num_workers=2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "641 predictions" in done.stdout and len(answers(beam)) == 641
    assert beam.read_bytes() == here.read_bytes()
    assert not parts.exists()
