"""The page, the server, a table and a bundle of a run with frozen encoders, and their mistakes."""

import asyncio
import csv
import json
import re
import subprocess
import sys

import pytest

from mmgenre import schema
from mmgenre.encoders.load import ELSEWHERE
from mmgenre.prediction.bundle_export import export_run
from mmgenre.prediction.predictor import GenrePredictor
from tests.commands import ROOT, environment, run_module
from tests.encoders import tiny

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

OVERVIEW = "A boy finds a map, and a detective follows him."


@pytest.fixture(scope="module")
def bundle(encoded_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundle") / "bundle"
    export_run(str(encoded_run.path), out)
    return out


@pytest.fixture(scope="module")
def poster(demo_corpus):
    return sorted((demo_corpus / "posters").iterdir())[0]


@pytest.fixture(scope="module")
def predictor(encoded_run):
    return GenrePredictor.load(encoded_run.path)


@pytest.fixture(scope="module")
def expected(predictor, poster):
    """The answer for a poster and an overview, which every way in must give."""
    (prediction,) = predictor.predict([str(poster)], [OVERVIEW])
    (without,) = predictor.predict([str(poster)], [None])
    assert prediction.probabilities != pytest.approx(without.probabilities, abs=0.01)
    return prediction.probabilities


def _ask(app, method, path, **content):
    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **content)

    answer = asyncio.run(ask())
    assert answer.status_code == 200, answer.text
    return answer


def _form(**fields):
    return {
        name: ("file.png", value) if isinstance(value, bytes) else (None, value)
        for name, value in fields.items()
    }


@pytest.mark.parametrize("kind", ["run", "bundle"])
def test_the_server(encoded_run, bundle, poster, expected, kind):
    from mmgenre.serving.app import PATHS, build_app
    from mmgenre.serving.metrics import Metrics
    from mmgenre.serving.model import open_model
    from mmgenre.serving.service import Service
    from mmgenre.serving.settings import Settings

    model = open_model(str(encoded_run.path if kind == "run" else bundle))
    metrics, limits = Metrics(PATHS), Settings()
    with Service(model, limits, metrics, readers=1) as service:
        app = build_app(service, metrics, limits)
        files = _form(poster=poster.read_bytes(), overview=OVERVIEW)
        answer = _ask(app, "POST", "/v1/predict", files=files).json()
    assert answer["probabilities"] == pytest.approx(expected, abs=1e-3)


def test_the_page_keeps_a_poster_at_the_size_that_its_encoder_asks_for(
    encoded_run, poster, monkeypatch
):
    """The weights are those of the run; the pictures are as large as real encoders want them."""
    from mmgenre.prediction.web_page import build_app

    monkeypatch.setenv(ELSEWHERE[schema.POSTER_VECTOR], f"{tiny.MODULE}:large_colours")
    predictor = GenrePredictor.load(encoded_run.path)
    app = build_app(predictor)
    first = _ask(app, "POST", "/", files=_form(poster=poster.read_bytes(), overview=OVERVIEW)).text
    (kept,) = re.findall(r'name="kept" value="([^"]+)"', first)
    again = _ask(app, "POST", "/", files=_form(kept=kept, overview=OVERVIEW)).text
    assert _percentages(first) == _percentages(again)
    assert "the frozen encoder of posters" in again
    alone = _ask(app, "POST", "/", files=_form(kept=kept, overview="")).text
    assert _percentages(alone) != _percentages(again)


def _percentages(page):
    return re.findall(r"\d+(?:\.\d+)?\s*%", page)


def test_a_table_by_the_command(encoded_run, poster, expected, tmp_path):
    table, out = tmp_path / "movies.csv", tmp_path / "out.jsonl"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "overview", "poster_path"], [7, OVERVIEW, poster.name]])
    options = ("--csv", table, "--posters", poster.parent, "--out", out)
    process = run_module("mmgenre.predict", "--run", encoded_run.path, *options)
    assert process.returncode == 0, process.stderr
    (line,) = map(json.loads, out.read_text().splitlines())
    assert line["probabilities"] == pytest.approx(expected, abs=1e-3)


_EACH = """
import contextlib, io, json, runpy, sys
results = []
for module, arguments in json.loads(sys.stdin.read()):
    sys.argv, err, code = [module, *arguments], io.StringIO(), None
    with contextlib.redirect_stderr(err):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code
    results.append([module, code, err.getvalue()])
print(json.dumps(results))
"""


@pytest.mark.parametrize(
    "factory, said",
    [
        (f"{tiny.MODULE}:needs_a_package", "needs a_package_that_nobody_has, which is missing"),
        (f"{tiny.MODULE}:other_words", "needs the encoder hashed words with the weights"),
    ],
)
def test_an_encoder_that_is_not_the_runs_is_one_line_at_the_start(
    encoded_run, bundle, poster, tmp_path, factory, said
):
    run = str(encoded_run.path)
    (tmp_path / "movies.csv").write_text("id,overview\n7,A boy finds a map.\n")
    table = ["--csv", str(tmp_path / "movies.csv"), "--out", str(tmp_path / "out.csv")]
    commands = [
        ("mmgenre.serve", ["--run", run, "--port", "0"]),
        ("mmgenre.serve", ["--run", str(bundle), "--port", "0"]),
        ("mmgenre.demo", ["--run", run, "--port", "0"]),
        ("mmgenre.predict", ["--run", run, *table]),
        ("mmgenre.predict", ["--run", run, "--poster", str(poster), "--overview", "A boy."]),
        ("mmgenre.predict", ["--run", run, "--overview", "A boy.", "--explain", "x.html"]),
    ]
    process = subprocess.run(  # In one process, which pays for its imports once.
        [sys.executable, "-c", _EACH],
        input=json.dumps(commands),
        cwd=ROOT,
        env=environment() | {ELSEWHERE[schema.OVERVIEW_VECTOR]: factory},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    results = json.loads(process.stdout.splitlines()[-1])
    assert len(results) == len(commands)
    for module, code, error in results:
        assert code == 2, (module, error)
        (line,) = [line for line in error.splitlines() if line.startswith("error:")]
        assert said in line and "MMGENRE_TEXT_ENCODER=<SPEC>" in line, (module, line)
    assert not (tmp_path / "out.csv").exists()
