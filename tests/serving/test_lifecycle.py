"""The server among many clients, with a token, and at its end."""

import shutil
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.commands import run_module, run_several
from tests.prediction_server import page_commands, run_command, served

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

TOKEN = "0123456789abcdef-of-the-tests"
MOVIE = {"movies": [{"overview": "A boy finds a map."}]}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def wait_for(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.02)
    raise TimeoutError


def test_token_batches_queue_and_drain(tiny_run, tmp_path):
    """One server with all of it, whose batches wait long, so that what is in flight is known."""
    token = tmp_path / "token.txt"
    token.write_text(TOKEN + "\n")
    options = ["--token-file", str(token), "--batch-ms", "1000", "--queue", "6"]
    with (
        served(tiny_run.path, tmp_path / "log.txt", *options) as server,
        httpx.Client(base_url=server.address, timeout=60, headers=BEARER) as client,
        ThreadPoolExecutor(8) as threads,
    ):

        def ask(_=0):
            return client.post("/v1/predict", json=MOVIE)

        def asked(count):
            return lambda: server.metric(client, "mmgenre_movies_waiting") == count

        _check_token(server)
        if shutil.which("curl"):
            (line,) = [line for line in page_commands() if "curl" in line and "token" in line]
            assert run_command(line, server.address, tmp_path)["missing"] == "poster"

        batches = server.metric(client, "mmgenre_batch_movies_count")
        answers = list(threads.map(ask, range(5)))
        assert [answer.status_code for answer in answers] == [200] * 5
        assert len({answer.text for answer in answers}) == 1
        assert server.metric(client, "mmgenre_batch_movies_count") == batches + 1

        waiting = [threads.submit(ask) for _ in range(6)]
        wait_for(asked(6))
        refused = ask()
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
        assert refused.json() == {"error": "Others are being answered; try again in a moment."}
        assert [future.result().status_code for future in waiting] == [200] * 6

        waiting = [threads.submit(ask) for _ in range(4)]
        wait_for(asked(4))
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not _accepts(server))
        assert server.process.poll() is None
        assert [future.result().status_code for future in waiting] == [200] * 4
        assert server.process.wait(timeout=60) == 143
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert len(lines) == 2 and all(line.startswith("SIGTERM: ") for line in lines), lines
    assert "answering what has come in" in lines[0] and "mmgenre.serve" in lines[1]


def _check_token(server):
    with httpx.Client(base_url=server.address, timeout=60) as stranger:
        assert stranger.get("/healthz").status_code == 200
        assert stranger.get("/docs").status_code == 200
        wrong = ["", TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
                 "Bearer \xe9", "Bearer " + "x" * 5_000]  # fmt: skip
        for shown in [None, *wrong]:
            headers = {} if shown is None else {"Authorization": shown.encode("latin-1")}
            for method, path in (("POST", "/v1/predict"), ("GET", "/metrics"), ("GET", "/none")):
                answer = stranger.request(method, path, headers=headers)
                assert answer.status_code == 401, (shown, path)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert TOKEN not in answer.text
        # A refusal is read although the body was not.
        big = stranger.post("/v1/predict", content=bytes(8 << 20))
        assert big.status_code == 401 and "token" in big.json()["error"]


def _accepts(server):
    host, port = server.address.removeprefix("http://").split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5):
            return True
    except OSError:
        return False


def test_mistakes_of_whoever_starts_it(tiny_run, tmp_path):
    weak, none = tmp_path / "weak.txt", tmp_path / "none.txt"
    weak.write_text("secret")
    run = ["--run", tiny_run.path, "--port", "0"]
    cases = [
        (["--run", tmp_path / "none"], "is not a run"),
        ([*run, "--token-file", weak], "16 to 512 characters"),
        ([*run, "--token-file", none], "cannot read the token"),
        ([*run, "--queue", "0"], "--queue is 0; it must be from 1"),
        ([*run, "--max-movies", "65"], "--max-movies is 65"),
        ([*run, "--timeout-s", "nan"], "--timeout-s is nan"),
        ([*run[:2], "--port", "99999"], "cannot listen on"),
        ([*run, "--host", "203.0.113.1"], "cannot listen on 203.0.113.1"),
    ]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cases.append(([*run[:2], "--port", taken.getsockname()[1]], "choose another --port"))
        results = run_several("mmgenre.serve", [arguments for arguments, _ in cases])
    for (arguments, words), (code, out, error) in zip(cases, results, strict=True):
        assert code == 2 and out == "" and words in error, (arguments, error)
        assert len(error.strip().splitlines()) == 1, error


def test_a_missing_package_is_one_line(tiny_run):
    code = "import sys; sys.modules['fastapi'] = None; import runpy; sys.argv = ['x', '--run', 'y']"
    prefix = ["-c", f"{code}; runpy.run_module('mmgenre.serve', run_name='__main__')"]
    process = run_module("unused", prefix=prefix)
    assert process.returncode == 2, process.stderr
    assert process.stderr == (
        "error: the server needs fastapi; install it with: pip install -e '.[serve]'\n"
    )


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once(tiny_run, tmp_path):
    options = ["--batch-ms", "1000", "--timeout-s", "60"]
    with (
        served(tiny_run.path, tmp_path / "log.txt", *options) as server,
        socket.create_connection(("127.0.0.1", int(server.address.rsplit(":", 1)[1]))) as half,
    ):
        half.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
        time.sleep(0.5)
        server.process.send_signal(signal.SIGINT)
        wait_for(lambda: not _accepts(server))
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=10) == 130
    assert "stopped at once" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
def test_a_bundle_gives_the_same_answers(tiny_run, demo_corpus, tmp_path):
    bundle = tmp_path / "bundle"
    exported = run_module("mmgenre.export", "--run", tiny_run.path, "--out", bundle)
    assert exported.returncode == 0, exported.stderr
    posters = [p.read_bytes() for p in sorted((demo_corpus / "posters").iterdir())[:6]]
    answers = []
    for folder in (tiny_run.path, bundle):
        with (
            served(folder, tmp_path / f"{folder.name}.txt") as server,
            httpx.Client(base_url=server.address, timeout=60) as client,
        ):
            found = []
            for number, poster in enumerate(posters):
                fields = {"poster": ("p", poster)} if number % 3 != 1 else {}
                if number % 3 != 2:
                    fields["overview"] = (None, "A boy finds a map. " * number)
                if fields:
                    found.append(client.post("/v1/predict", files=fields).json())
            answers.append(found)
    for of_run, of_bundle in zip(*answers, strict=True):
        assert of_run | {"probabilities": 0} == of_bundle | {"probabilities": 0}
        assert of_run["probabilities"] == pytest.approx(of_bundle["probabilities"], abs=3e-6)


@pytest.mark.slow
def test_memory_is_flat(tiny_run, demo_corpus, tmp_path):
    poster = sorted((demo_corpus / "posters").iterdir())[0].read_bytes()
    with (
        served(tiny_run.path, tmp_path / "log.txt", "--batch-ms", "1") as server,
        httpx.Client(base_url=server.address, timeout=60) as client,
    ):
        resident = []
        for _ in range(6):
            threads = [threading.Thread(target=_ask_often, args=(client, poster)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            resident.append(server.metric(client, "process_resident_memory_bytes") / 2**20)
        # The first round fills what is kept.
        assert max(resident[1:]) - resident[0] < 16, resident


def _ask_often(client, poster):
    for number in range(250):
        fields = {"overview": (None, f"A boy finds map {number}.")}
        if number % 4 == 0:
            fields["poster"] = ("p.jpg", poster)
        if number % 10 == 0:
            fields["poster"] = ("p.jpg", b"no picture")
        client.post("/v1/predict", files=fields)
