"""Predicting a table: every format, the same answers, dirt, resuming, mistakes."""

import csv
import json
import os
import subprocess
import sys

import pytest

from mmgenre import schema
from mmgenre.prediction import answers
from mmgenre.prediction import table as table_prediction
from mmgenre.prediction.predictor import GenrePredictor
from mmgenre.prediction.table_request import TableRequest
from tests.commands import ROOT, environment, run_several
from tests.hostile.raw_server import answer, serve_raw


@pytest.fixture(scope="module")
def table(demo_corpus, tmp_path_factory):
    """Twenty movies, three of them with faults."""
    with (demo_corpus / "movies_metadata.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["overview"]][:20]
    rows[3]["poster_path"] = "/none.jpg"
    rows[4] |= {"poster_path": "", "overview": ""}
    rows[5] |= {"overview": "word " * 40_000, "poster_path": "/../../etc/hostname"}
    path = tmp_path_factory.mktemp("table") / "movies.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(
            file, ["id", "title", "overview", "poster_path"], extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(rows)
    return path, rows


def test_every_format_says_the_same(table, tiny_run, demo_corpus, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path, rows = table
    options = ["--run", tiny_run.path, "--csv", path, "--posters", demo_corpus / "posters", "--out"]
    files = [tmp_path / f"out.{ending}" for ending in ("csv", "jsonl", "parquet")]
    results = run_several("mmgenre.predict", [[*options, file] for file in files])
    assert [code for code, _, _ in results] == [0, 0, 0], results
    lines = [json.loads(line) for line in files[1].read_text().splitlines()]
    assert [line["id"] for line in lines] == [row["id"] for row in rows]
    (expected,) = GenrePredictor.load(tiny_run.path).predict(
        posters=[demo_corpus / "posters" / rows[0]["poster_path"][1:]],
        overviews=[rows[0]["overview"]],
    )
    assert lines[0]["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    assert "poster: no /none.jpg in" in lines[3]["note"] and lines[3]["has_overview"]
    assert "no prediction" in lines[4]["note"]
    assert lines[4]["probabilities"] == dict.fromkeys(schema.GENRES)
    assert "outside of the folder" in lines[5]["note"] and "cut to 100,000" in lines[5]["note"]
    with files[0].open(newline="") as file:
        as_csv = list(csv.DictReader(file))
    as_parquet = parquet.read_table(files[2]).to_pylist()
    for line, row, record in zip(lines, as_csv, as_parquet, strict=True):
        assert row["genres"] == "|".join(line["genres"]) == "|".join(record["genres"])
        for genre, value in line["probabilities"].items():
            assert row[genre] == ("" if value is None else str(value))
            assert record[genre] == (value if value is None else pytest.approx(value, abs=1e-6))
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_an_interrupted_command_goes_on(table, tiny_run, demo_corpus, tmp_path, monkeypatch):
    path, _ = table
    posters = demo_corpus / "posters"
    request = TableRequest(str(tiny_run.path), path, posters=str(posters))
    monkeypatch.setattr(answers, "CHUNK", 6)
    whole = tmp_path / "whole.jsonl"
    table_prediction.predict_table(request, whole)

    out, answered = tmp_path / "out.jsonl", []
    answer = answers.Answerer.answer

    def interrupted(self, rows):
        if len(answered) == 2:
            raise KeyboardInterrupt
        answered.append(len(rows))
        return answer(self, rows)

    monkeypatch.setattr(answers.Answerer, "answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        table_prediction.predict_table(request, out)
    assert not out.exists()
    partial = tmp_path / "out.jsonl.partial"
    with partial.open("a") as file:
        file.write('{"id": "cut o')  # As a kill leaves it.
    seen = []
    monkeypatch.setattr(
        answers.Answerer, "answer", lambda self, rows: seen.append(len(rows)) or answer(self, rows)
    )
    table_prediction.predict_table(request, out)
    assert sum(answered) == 12 and sum(seen) == 8
    assert out.read_text() == whole.read_text()
    assert not partial.exists()


def test_a_csv_file_for_every_reader(tiny_run, tmp_path):
    """Line ends in a title, formulas, no rows at all, and Excel."""
    titles = ["one\rtwo", "one\r\ntwo", "=1+1", "+49", "-3.5", "-Man", "@home", "\ttab", 'a "b", c']
    table, empty = tmp_path / "movies.csv", tmp_path / "empty.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(("id", "title", "overview"))
        writer.writerows((n - 4, title, "A boy.") for n, title in enumerate(titles))
    empty.write_text("title,overview\n", "utf-8")
    outs = [tmp_path / name for name in ("a.csv", "a.jsonl", "b.csv", "b.jsonl", "b.parquet")]
    options = [[table, outs[0], "--excel"], [table, outs[1]], *([empty, out] for out in outs[2:])]
    commands = [["--run", tiny_run.path, "--csv", t, "--out", *rest] for t, *rest in options]
    results = run_several("mmgenre.predict", commands)
    assert [code for code, _, _ in results] == [0] * 5, results

    assert outs[0].read_bytes().startswith(b"\xef\xbb\xbf")
    with outs[0].open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [str(n - 4) for n in range(len(titles))]
    quoted = {"=1+1", "-Man", "@home", "\ttab"}
    assert [row["title"] for row in rows] == [f"'{t}" if t in quoted else t for t in titles]
    assert b'"one\rtwo"' in outs[0].read_bytes()
    lines = [json.loads(line) for line in outs[1].read_text("utf-8").splitlines()]
    assert [line["title"] for line in lines] == titles  # JSON and Parquet have no formulas.

    own = ["genres", "has_poster", "has_overview", "words", "unknown_words", "note"]
    columns = ["id", "title", *own, *schema.GENRES]
    (header,) = csv.reader(outs[2].read_text("utf-8").splitlines())
    assert header == columns
    assert outs[3].read_bytes() == b""
    parquet = pytest.importorskip("pyarrow.parquet")
    read = parquet.read_table(outs[4])
    assert read.column_names == columns and read.num_rows == 0


def test_mistakes(table, tiny_run, demo_corpus, tmp_path):
    path, _ = table
    columns = tmp_path / "columns.csv"
    columns.write_text("name,year\na,1990\n")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    words = tmp_path / "words.csv"
    words.write_text("overview\na\n")
    there = tmp_path / "there.csv"
    there.write_text("mine")
    before = sorted(tmp_path.iterdir())
    out, run = tmp_path / "out.csv", ["--run", tiny_run.path]
    cases = [
        ([*run, "--csv", columns, "--out", out], "neither a column of overviews nor of posters"),
        ([*run, "--csv", empty, "--out", out], "is empty"),
        ([*run, "--csv", tmp_path / "none.csv", "--out", out], "No such file"),
        ([*run, "--csv", path, "--out", there], "there.csv exists"),
        ([*run, "--csv", path, "--out", tmp_path / "out.txt"], "does not end in"),
        ([*run, "--csv", path, "--out", tmp_path / "no" / "out.csv"], "there is no folder"),
        ([*run, "--csv", path], "add --out"),
        ([*run, "--csv", path, "--out", out, "--posters", tmp_path / "no"], "there is no folder"),
        ([*run, "--csv", words, "--out", out, "--posters", tmp_path], "no column poster"),
        ([*run, "--csv", path, "--overview", "x", "--out", out], "leave the options"),
        (["--run", tmp_path, "--csv", path, "--out", out], "is not a run"),
    ]
    for (arguments, message), (code, printed, error) in zip(
        cases, run_several("mmgenre.predict", [a for a, _ in cases]), strict=True
    ):
        assert code == 2, (arguments, error)
        assert printed == ""
        assert message in error and len(error.strip().splitlines()) == 1, (arguments, error)
    assert sorted(tmp_path.iterdir()) == before


_MEASURED = """
import pathlib, re, runpy, sys
sys.argv[0] = "mmgenre.predict"
try:
    runpy.run_module("mmgenre.predict", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
# Not `ru_maxrss`, which begins with what the process that started this one had.
print(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_table(tiny_run, demo_corpus, tmp_path, ending):
    """Ten times the movies, the same peak: of the whole process, whoever allocated it."""
    poster = sorted((demo_corpus / "posters").iterdir())[0].name
    peaks = []
    for count in (4_000, 40_000):
        table = tmp_path / f"{count}-movies.csv"
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "overview", "poster"))
            for number in range(count):
                text = f"A boy finds map {number} and goes to sea. " * 8
                writer.writerow((number, text, poster if number % 16 == 0 else ""))
        out = tmp_path / f"{count}.{ending}"
        options = ["--run", tiny_run.path, "--csv", table, "--posters", demo_corpus / "posters"]
        process = subprocess.run(
            [sys.executable, "-c", _MEASURED, *options, "--out", out],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        assert out.exists()
        peaks.append(int(process.stdout.split()[-1]) >> 10)
    print(f"peak resident memory, MiB: {peaks}")
    # All 40,000 answers would take 50 MiB as Python objects, their overviews 13 more.
    assert peaks[1] <= peaks[0] + 25, peaks


def test_addresses_in_a_table_are_fetched_only_where_that_was_asked_for(
    tiny_run, demo_corpus, tmp_path
):
    poster = next((demo_corpus / "posters").iterdir())
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "own.jpg").write_bytes(poster.read_bytes())
    with serve_raw(lambda connection, path: connection.sendall(answer(poster.read_bytes()))) as web:
        names = [f"{web.base}/p.jpg", "http://[::1", "ftp://127.0.0.1/p.jpg", "own.jpg", "pipe.jpg"]
        names += [f"HTTP://127.1:{web.port}/p.jpg", f"http://localhost:{web.port}/p.jpg"]
        path = tmp_path / "movies.csv"
        path.write_text("\n".join(["poster", *names]) + "\n")
        lines, requests = [], []
        for options in ([], ["--fetch-posters"], ["--fetch-posters", "any"]):
            out = tmp_path / f"{len(lines)}.jsonl"
            command = ["--run", tiny_run.path, "--csv", path, "--posters", tmp_path, "--out", out]
            ((code, _, error),) = run_several("mmgenre.predict", [[*command, *options]])
            assert code == 0, error
            lines.append([json.loads(line) for line in out.read_text().splitlines()])
            requests.append(len(web.requests))
    assert requests == [0, 0, 3]
    local = [0, 5, 6]
    assert [line["has_poster"] for line in lines[0]] == [name == "own.jpg" for name in names]
    assert [line["has_poster"] for line in lines[1]] == [name == "own.jpg" for name in names]
    assert [i for i, line in enumerate(lines[2]) if line["has_poster"]] == [0, 3, 5, 6]
    for index in (*local, 1, 2):
        assert (
            "an address, and those are not fetched (--fetch-posters allows it)"
            in (lines[0][index]["note"])
        )
    for index in local:
        assert "to this machine (--fetch-posters any allows it)" in lines[1][index]["note"]
    for found in lines[1:]:
        assert "Invalid IPv6 URL" in found[1]["note"]
        assert "only http and https" in found[2]["note"]
    assert all("poster: no /pipe.jpg in" in found[4]["note"] for found in lines)
