"""The command that predicts one movie: what it prints, and how it refuses."""

import http.server
import json
import threading

import pytest

from mmgenre import schema
from mmgenre.decisions.situations import SituationRules
from tests.bad_posters import write_bad_posters
from tests.commands import run_several


@pytest.fixture
def web(tmp_path):
    """Serves a folder on loopback, and addresses that misbehave."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

        def do_GET(self):
            if self.path == "/huge":
                self.send_response(200)
                self.end_headers()
                try:
                    for _ in range(50):
                        self.wfile.write(bytes(1 << 20))
                except OSError:
                    pass
            elif self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "file:///etc/hostname")
                self.end_headers()
            elif self.path == "/short":
                self.send_response(200)
                self.send_header("Content-Length", "100000")
                self.end_headers()
                self.wfile.write(b"\xff\xd8\xff")
            else:
                super().do_GET()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_command(tiny_run, demo_corpus, web, tmp_path):
    folder, address = web
    poster = next((demo_corpus / "posters").iterdir())
    (folder / "p.jpg").write_bytes(poster.read_bytes())
    text = tmp_path / "overview.txt"
    text.write_text("A boy finds a map.")
    run = ["--run", tiny_run.path]
    explained = tmp_path / "why.html"
    results = run_several(
        "mmgenre.predict",
        [
            [*run, "--poster", poster, "--overview", "A boy finds a map.", "--json"],
            [*run, "--poster", f"{address}/p.jpg", "--overview-file", text, "--json"],
            [*run, "--poster", poster],
            [*run, "--overview", "A boy finds a map.", "--json"],
            [*run, "--poster", poster, "--overview-file", text, "--explain", explained],
        ],
    )
    assert [code for code, _, _ in results] == [0] * len(results), results
    as_json, from_web, half, other_half, chart = (out for _, out, _ in results)
    threshold = SituationRules.load(tiny_run.path, schema.GENRES).overview_alone.thresholds[
        schema.GENRES.index("Science Fiction")
    ]
    assert "Science Fiction" in chart and "%" in chart and f"at least {threshold:.2f}" in chart
    answer = json.loads(as_json)
    assert answer["missing"] is None and len(answer["probabilities"]) == 18
    assert json.loads(from_web) == answer
    assert "no overview" in half
    assert json.loads(other_half)["missing"] == "poster"
    page = explained.read_text()
    assert "Completeness" in page and "map" in page and "http" not in page.split("</style>")[1]


def test_mistakes(tiny_run, web, tmp_path):
    _, address = web
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for file in ("config.json", "dataset.json", "tokenizer.json"):
        (fresh / file).write_bytes((tiny_run.path / file).read_bytes())
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    long = tmp_path / "long.txt"
    long.write_text("word " * 2_000_000)
    latin = tmp_path / "latin.txt"
    latin.write_bytes("Amélie".encode("latin-1"))
    there = tmp_path / "there.html"
    there.write_text("mine")
    posters = tmp_path / "posters"
    posters.mkdir()
    run = ["--run", tiny_run.path]
    cases = [
        (["--run", tmp_path / "none", "--overview", "x"], "is not a run (no such folder)"),
        (["--run", posters, "--overview", "x"], "is not a run (no config.json in it)"),
        (["--run", fresh, "--overview", "x"], "has no checkpoint yet"),
        (["--run", broken, "--overview", "x"], "the config is no JSON"),
        ([*run, "--overview", ""], "neither a poster nor an overview"),
        ([*run, "--overview", "   "], "neither a poster nor an overview"),
        ([*run, "--overview-file", long], "too long"),
        ([*run, "--overview-file", latin], "no UTF-8"),
        ([*run, "--overview-file", tmp_path / "none.txt"], "No such file"),
        ([*run], "nothing to predict from"),
        ([*run, "--overview", "x", "--explain", there], "there.html exists"),
        ([*run, "--overview", "x", "--explain", tmp_path / "no" / "x.html"], "there is no folder"),
        ([*run, "--overview", "x", "--out", "y.csv"], "go with --csv"),
        ([*run, "--poster", f"{address}/none.jpg"], "the server says 404"),
        ([*run, "--poster", f"{address}/huge"], "larger than"),
        ([*run, "--poster", f"{address}/away"], "cannot fetch the poster"),
        ([*run, "--poster", f"{address}/short"], "cannot fetch|ended after"),
        ([*run, "--poster", "http://127.0.0.1:1/p.jpg"], "refused"),
        ([*run, "--poster", "gopher://x/p.jpg"], "only http and https"),
        *(([*run, "--poster", p], words) for p, words in write_bad_posters(posters).items()),
    ]
    results = run_several("mmgenre.predict", [arguments for arguments, _ in cases])
    for (arguments, words), (code, out, error) in zip(cases, results, strict=True):
        assert code == 2, (arguments, error)
        assert out == "", arguments
        assert any(w in error for w in words.split("|")), (arguments, error)
        assert len(error.strip().splitlines()) == 1, (arguments, error)
    assert there.read_text() == "mine"
    assert not list(tmp_path.glob("*.tmp"))
