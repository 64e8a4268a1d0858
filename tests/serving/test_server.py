"""The server as its clients meet it: what it answers, and what it says of their mistakes."""

import base64
import contextlib
import io
import json
import random
import re
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from mmgenre.prediction.predictor import GenrePredictor
from tests.bad_posters import write_bad_posters, write_wide_poster
from tests.prediction_server import PAGE, page_commands, run_command, served

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

OVERVIEW = "A boy finds a map, and a detective follows him."
SECRET = "nobody but its owner reads this"


@pytest.fixture(scope="module")
def server(tiny_run, tmp_path_factory):
    log = tmp_path_factory.mktemp("server") / "log.txt"
    options = ["--max-characters", "500", "--max-movies", "32", "--max-body-mib", "2"]
    with served(tiny_run.path, log, *options, "--max-poster-mib", "1") as server:
        yield server
        assert server.process.poll() is None
    assert log.read_text().startswith("SIGTERM")  # Nothing else was said in all these tests.


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def poster(demo_corpus):
    return sorted((demo_corpus / "posters").iterdir())[0].read_bytes()


@pytest.fixture(scope="module")
def predictor(tiny_run):
    return GenrePredictor.load(tiny_run.path)


def form(**fields):
    """A form's fields for httpx; text goes as text, bytes as an upload."""
    return {
        name: ("file.png", value) if isinstance(value, bytes) else (None, value)
        for name, value in fields.items()
    }


def encoded(data):
    return base64.b64encode(data).decode()


def assert_same(answer, expected):
    """Equal, but for the rounding of other batches in the last digit."""
    assert list(answer) == list(expected)
    assert answer | {"probabilities": 0} == expected | {"probabilities": 0}
    assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=3e-6)


def assert_said(answer, status, words):
    """One plain sentence in JSON."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"], answer.text
    said = answer.json()["error"]
    assert words in said and said.endswith(".") and "\n" not in said and len(said) < 400, said
    assert "Traceback" not in said


def test_a_form_is_answered_as_the_command_answers(client, predictor, poster):
    cases = [
        (form(poster=poster, overview=OVERVIEW), poster, OVERVIEW),
        (form(poster=poster), poster, None),
        (form(overview=OVERVIEW), None, OVERVIEW),
        (form(poster=poster, overview=""), poster, ""),
        (form(poster=b"", overview=OVERVIEW), None, OVERVIEW),
    ]
    for fields, picture, overview in cases:
        answer = client.post("/v1/predict", files=fields)
        assert answer.status_code == 200, answer.text
        (expected,) = predictor.predict([picture], [overview])
        assert_same(answer.json(), json.loads(json.dumps(expected.as_json())))


def test_a_list_is_answered_in_its_order(client, predictor, poster):
    overviews = [OVERVIEW, None, "War in space. " * 20, "Love."] * 8
    movies = [{"overview": text} if text else {"poster": encoded(poster)} for text in overviews]
    answer = client.post("/v1/predict", json={"movies": movies})
    expected = predictor.predict([None if text else poster for text in overviews], overviews)
    assert len(answer.json()["movies"]) == 32
    for found, wanted in zip(answer.json()["movies"], expected, strict=True):
        assert_same(found, json.loads(json.dumps(wanted.as_json())))


def test_mistakes_in_forms(client, poster, tmp_path):
    cases = [
        (form(overview=""), 422, "neither a poster nor an overview"),
        (form(overview="No overview found."), 422, "its overview says nothing"),
        (form(overview="x" * 501), 413, "too long: 501 characters, at most 500"),
        (form(overview="x" * 3_000), 400, "the form cannot be read"),
        (form(poster="poster.jpg"), 400, "the form cannot be read"),
        (form(overview=b"x"), 400, "the form cannot be read"),
        (form(overview="x", url="http://127.0.0.1/p.jpg"), 400, "the form cannot be read"),
        ([("overview", (None, "a")), ("overview", (None, "b"))], 400, "the form cannot be read"),
        (form(poster=bytes((1 << 20) + 1)), 413, "larger than 1 MiB"),
        (form(poster=bytes(3 << 20)), 413, "more than 2 MiB"),
    ]
    for fields, status, words in cases:
        answer = client.post("/v1/predict", files=fields)
        words = words[:1].upper() + words[1:] if status == 400 else words
        assert_said(answer, status, words)
    wide = write_wide_poster(tmp_path / "wide.png").read_bytes()
    assert_said(client.post("/v1/predict", files=form(poster=wide)), 422, "30000 x 3000")
    bad = tmp_path / "bad"
    bad.mkdir()
    for path, words in write_bad_posters(bad).items():
        if path.exists() and path.is_file() and 0 < path.stat().st_size <= 1 << 20:
            answer = client.post("/v1/predict", files=form(poster=path.read_bytes()))
            assert_said(answer, 422, "The poster cannot be used")
            assert any(word in answer.json()["error"] for word in words.split("|")), (path, words)


def test_mistakes_in_lists(client, poster):
    text = encoded(poster)
    cases = [
        ({"movies": []}, 422, "no movie"),
        ({}, 422, "missing required field `movies`"),
        ([], 422, "Expected `object`"),
        ({"movies": [{"overview": "x"}, {}]}, 422, "movie 1 has neither"),
        ({"movies": [{"overview": "Love."}] * 33}, 413, "33 movies, at most 32"),
        ({"movies": [{"overview": 1}]}, 422, "$.movies[0].overview"),
        ({"movies": [{"overview": "x", "path": "/etc/passwd"}]}, 422, "unknown field `path`"),
        ({"movies": [{"poster": "/etc/passwd"}]}, 422, "$.movies[0].poster"),
        ({"movies": [{"poster": "http://127.0.0.1/p.jpg"}]}, 422, "$.movies[0].poster"),
        ({"movies": [{"poster": text}, {"poster": "AAAA"}]}, 422, "poster of movie 1 cannot be"),
        ({"movies": [{"overview": "x"}, {"overview": "x" * 501}]}, 413, "of movie 1 is too long"),
    ]
    for body, status, words in cases:
        answer = client.post("/v1/predict", json=body)
        assert words.lower() in answer.json()["error"].lower(), answer.text
        assert_said(answer, status, "")
    deep = b'{"movies": ' + b"[" * 500_000
    for body in (b"", b"{", b"\xff\xfe", deep, b'{"movies": [{"overview": "\xff"}]}'):
        answer = client.post(
            "/v1/predict", content=body, headers={"Content-Type": "application/json"}
        )
        assert_said(answer, answer.status_code, "")
        assert answer.status_code in (400, 422)


def test_other_content_and_other_addresses(client):
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx",
                 "application/json; charset=punycode", "image/png"):  # fmt: skip
        headers = {"Content-Type": kind} if kind else {}
        assert_said(
            client.post("/v1/predict", content=b"{}", headers=headers), 415, "application/json"
        )
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x; charset=punycode"):
        answer = client.post("/v1/predict", content=b"x", headers={"Content-Type": kind})
        assert_said(answer, 400, "form")
    for method in ("GET", "PUT", "DELETE"):
        answer = client.request(method, "/v1/predict")
        assert_said(answer, 405, "Use POST; see /docs.")
        assert answer.headers["Allow"] == "POST"
    assert_said(client.post("/healthz"), 405, "Use GET")
    for path in ("/", "/redoc", "/v1", "/../../etc/passwd", "/v1/predict/", "/%00"):
        assert_said(client.get(path), 404, "/docs")


def test_posters_are_limited_all_together(tiny_run, tmp_path):
    buffer = io.BytesIO()
    Image.new("1", (8000, 5000)).save(buffer, "PNG")  # 40 million pixels, of 64 for a request.
    movie = {"poster": encoded(buffer.getvalue())}
    # Against the code alone: a server for this would take long to start.
    from mmgenre.inputs.limited_decoder import LimitedDecoder
    from mmgenre.serving import request_movies
    from mmgenre.serving.settings import Settings

    predictor = GenrePredictor.load(tiny_run.path)
    reader = request_movies.Reader(
        lambda pixels, overview, number: predictor.movie(pixels, overview, number=number),
        Settings(),
    )
    questions = request_movies.parse_json(json.dumps({"movies": [movie, movie]}).encode())
    decoder = LimitedDecoder()
    try:
        assert len(reader.read(questions[:1], decoder, float("inf"))) == 1
        with pytest.raises(
            request_movies.Mistake, match="of movie 1 has too many pixels"
        ) as caught:
            reader.read(questions, decoder, float("inf"))
        assert caught.value.status == 413
        with pytest.raises(request_movies.Mistake) as caught:
            reader.read(questions, decoder, 0.0)
        assert caught.value.status == 504
    finally:
        decoder.close()


def test_nothing_that_a_client_names_is_read(client, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/p.jpg"
        for name in (str(secret), f"file://{secret}", url):
            for body in (
                {"files": {"poster": (name, b"no picture")}},
                {"files": form(poster=name)},
                {"files": form(overview=name)},
                {"json": {"movies": [{"overview": name}, {"poster": name}]}},
            ):
                answer = client.post("/v1/predict", **body)
                assert SECRET not in answer.text and answer.status_code in (200, 400, 422)
        with contextlib.suppress(BlockingIOError):
            asked.append(listener.accept())
    assert asked == []


def test_only_its_own_names_and_pages_are_answered(client):
    for host in ("evil.example", "localhost.evil.example"):
        assert_said(client.get("/healthz", headers={"Host": host}), 403, "--allow-host")
    answer = client.post("/v1/predict", files=form(overview="x"), headers={"Origin": "http://evil"})
    assert_said(answer, 403, "own page")


def test_what_it_says_of_itself(client, server, poster):
    health = client.get("/healthz").json()
    assert health["status"] == "ok" and health["step"] > 0
    schema = client.get("/openapi.json").json()
    assert set(schema["paths"]) == {"/v1/predict", "/healthz", "/metrics"}
    content = schema["paths"]["/v1/predict"]["post"]["responses"]["200"]["content"]
    described = content["application/json"]["schema"]["oneOf"][0]["properties"]
    answer = client.post("/v1/predict", files=form(poster=poster)).json()
    assert set(described) == set(answer)
    page = client.get("/docs")
    assert "curl" in page.text and f"{server.address}/v1/predict" in page.text
    assert "<script" not in page.text and " src=" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    before = server.metric(client, "mmgenre_movies_answered_total")
    client.post("/v1/predict", json={"movies": [{"overview": OVERVIEW}] * 3})
    assert server.metric(client, "mmgenre_movies_answered_total") == before + 3
    assert server.metric(client, "process_resident_memory_bytes") > 1e7
    assert server.metric(client, "mmgenre_requests_open") == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_each_command_of_the_page(server, poster, tmp_path):
    (tmp_path / "poster.jpg").write_bytes(poster)
    lines = [line for line in page_commands() if "curl" in line and "token.txt" not in line]
    both, overview, two, picture, health, metrics, schema = (
        run_command(line, server.address, tmp_path) for line in lines
    )
    assert both["missing"] is None and overview["missing"] == "poster"
    assert len(two["movies"]) == 2 and picture["movies"][0]["missing"] == "overview"
    assert health["status"] == "ok" and "mmgenre_requests_total" in metrics
    assert "/v1/predict" in schema["paths"]


def test_the_page_names_each_status():
    from mmgenre.serving import api_schema

    named = re.findall(r"(?m)^\| (\d{3}) \|", PAGE.read_text("utf-8"))
    assert [int(status) for status in named] == list(api_schema.mistakes())


def hostile_requests(count, poster):
    """Yields (body, content type): sound requests with pieces changed, cut or repeated."""
    rng = random.Random(18)
    request = httpx.Request("POST", "http://x", files=form(overview=OVERVIEW, poster=poster[:2000]))
    sound = [
        (request.read(), request.headers["content-type"]),
        (json.dumps({"movies": [{"overview": OVERVIEW}]}).encode(), "application/json"),
        (json.dumps({"movies": [{"poster": encoded(poster)[:2000]}]}).encode(), "application/json"),
    ]
    for number in range(count):
        body, kind = sound[number % len(sound)]
        changed = bytearray(body)
        for _ in range(rng.randint(1, 6)):
            place, length = rng.randrange(len(changed) + 1), rng.choice((0, 1, 1, 9, 200))
            piece = rng.choice((rng.randbytes(rng.choice((0, 1, 9))), bytes(changed[:place][-50:])))
            changed[place : place + length] = piece
        yield bytes(changed), kind


def test_a_thousand_hostile_requests(client, server, poster):
    sound = {"files": form(overview=OVERVIEW, poster=poster)}
    before = client.post("/v1/predict", **sound).json()

    def send(request):
        body, kind = request
        return client.post("/v1/predict", content=body, headers={"Content-Type": kind})

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, hostile_requests(1_000, poster)))
    statuses = {answer.status_code for answer in answers}
    assert {400, 422} <= statuses <= {200, 400, 413, 422}, statuses
    assert all(list(a.json()) == ["error"] for a in answers if a.status_code != 200)
    assert_same(client.post("/v1/predict", **sound).json(), before)
    assert server.metric(client, "mmgenre_requests_open") == 1


def test_what_is_no_http_at_all(client, server):
    host, port = server.address.removeprefix("http://").split(":")
    rng = random.Random(19)
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
    pieces = [
        b"\x00" * 100,
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"%" * 1_000 + b" HTTP/1.1\r\n\r\n",
        head + b"Content-Length: -1\r\n\r\n",
        head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxx",
        head + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        head + b"Content-Length: 10\r\n\r\nx",
        head + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
        *(rng.randbytes(200) for _ in range(20)),
    ]
    for data in pieces:
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(100)
            except OSError:
                continue
            assert answer == b"" or answer.split()[1].startswith(b"4"), (data[:60], answer)
    assert client.get("/healthz").status_code == 200


def test_a_connection_has_many_requests(server):
    """Kept open, so that a client pays for a connection once."""
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 200"), answer
