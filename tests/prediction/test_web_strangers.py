"""Strangers at the page: what a client, or a page that its user's browser opens, does not get."""

import contextlib
import http.server
import io
import json
import random
import socket
import threading
from pathlib import Path

import pytest
from PIL import Image

from tests.web_server import served

pytest.importorskip("starlette")
httpx = pytest.importorskip("httpx")

SECRET = "nobody but its owner reads this"
OVERVIEW = "A boy finds a map."


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    """Where the server would put temporary files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def server(tiny_run, temporary):
    with served(tiny_run.path, temporary, "--allow-host", "movies.example") as address:
        yield address


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server, timeout=120) as client:
        yield client


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


def form(**fields):
    """A form's fields for httpx; text goes as text, bytes as an upload."""
    return {
        name: ("file.png", value) if isinstance(value, bytes) else (None, value)
        for name, value in fields.items()
    }


def picture(size=(40, 60)):
    buffer = io.BytesIO()
    Image.effect_noise(size, 50).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def raw(address, data):
    """Sends bytes, as no library would; returns what comes back."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        answer = b""
        with contextlib.suppress(OSError):  # It need not hear us out.
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(1 << 16):
                answer += chunk
    return answer


def test_a_file_named_by_the_client_is_not_read(client, secret, temporary):
    # What Gradio took for a file to copy into its served folder, wherever text was asked for.
    named = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    texts = [json.dumps(["x", named]), json.dumps(named), str(secret), f"file://{secret}"]
    for text in texts:
        answer = client.post("/", files=form(overview=text))
        assert answer.status_code == 200 and SECRET not in answer.text
        for name in ("poster", "kept", "example"):
            answer = client.post("/", files=form(overview=OVERVIEW, **{name: text}))
            assert answer.status_code == 400 and SECRET not in answer.text, (name, answer.text)
        upload = {"poster": (text, b"no picture")}
        answer = client.post("/", files=upload)
        assert answer.status_code == 422 and SECRET not in answer.text
    assert client.post("/", json={"data": [None, ["x", named]]}).status_code == 400
    assert not list(Path(temporary).rglob("*"))


def test_errors_do_not_tell_which_files_exist(client, secret):
    answers = {
        client.post("/", files=form(overview=OVERVIEW, poster=str(path))).text
        for path in (secret, secret.parent, secret.with_name("none"), "/etc/shadow")
    }
    assert len(answers) == 1


def test_an_address_named_by_the_client_is_not_fetched(client):
    requests = []

    class Inside(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_error(404)

    with http.server.HTTPServer(("127.0.0.1", 0), Inside) as inside:
        threading.Thread(target=inside.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{inside.server_port}/inside"
        for name in ("poster", "kept", "overview"):
            client.post("/", files=form(**{name: address}))
        client.post("/", files={"poster": (address, b"x")})
        client.get(f"/gradio_api/proxy={address}")
        client.get("/", params={"__theme": address, "url": address})
        inside.shutdown()
    assert requests == []


def test_there_is_one_address(client, secret):
    paths = [
        "/openapi.json", "/docs", "/redoc", "/config", "/info", "/monitoring", "/favicon.ico",
        "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/queue/join",
        "/gradio_api/queue/data", "/gradio_api/upload", "/gradio_api/stream/x/y/z",
        f"/gradio_api/file={secret}", f"/file={secret}", f"/{secret}", "//etc/passwd",
        "/../../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/static/../pages.py",
        "/deep_link", "/gradio_api/call/predict", "/index.html", "/%00",
    ]  # fmt: skip
    for path in paths:
        for method in ("GET", "POST"):
            answer = client.request(method, path)
            assert answer.status_code == 404 and SECRET not in answer.text, (method, path)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert client.request(method, "/").status_code == 405, method


def test_every_answer_carries_the_policy(client):
    answers = [
        client.get("/"),
        client.get("/none"),
        client.get("/", headers={"Host": "evil.example"}),
        client.post("/", files=form(overview=OVERVIEW)),
        client.post("/", files=form(overview="")),
        client.post("/", content=bytes(13 << 20)),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 403, 200, 422, 413]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert not any(word in policy for word in ("script", "http:", "ws:", "*", "eval"))
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def test_only_known_hosts_are_answered(server, client):
    port = server.rsplit(":", 1)[1]
    known = [f"127.0.0.1:{port}", "localhost", f"LocalHost:{port}", f"[::1]:{port}",
             "[0:0:0:0:0:0:0:1]", "movies.example", "movies.example:443"]  # fmt: skip
    unknown = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.2",
               "evil.example@localhost", "localhost:x", "[::1", "", "local host", "0.0.0.0",
               "movies.example.", "[::ffff:1.2.3.4]"]  # fmt: skip
    for host in known:
        assert client.get("/", headers={"Host": host}).status_code == 200, host
    for host in unknown:
        answer = raw(server, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert answer.split()[1] in (b"400", b"403"), (host, answer[:200])
        assert b"<html" not in answer, host
    two = "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert raw(server, two.encode()).split()[1] == b"400"
    assert raw(server, b"GET / HTTP/1.0\r\n\r\n").split()[1] == b"400"


def test_only_its_own_page_sends_forms(server, client):
    fields = form(overview="")
    for origin in (server, None):  # Programs that are no browser name no page.
        headers = {"Origin": origin} if origin else {}
        assert client.post("/", files=fields, headers=headers).status_code == 422, origin
    others = ["http://evil.example", "null", server + "1", "http://127.0.0.1:1", "http://localhost",
              server.replace("http", "file"), f"{server}@evil.example", "http://[", ""]  # fmt: skip
    for origin in others:
        answer = client.post("/", files=fields, headers={"Origin": origin})
        assert answer.status_code == 403, origin


def test_bodies_are_limited_each(server, client, temporary):
    ten = 10 << 20
    assert client.post("/", files=form(poster=bytes(ten))).status_code == 422
    answer = client.post("/", files=form(overview=OVERVIEW, poster=bytes(ten + 1)))
    assert answer.status_code == 422 and "larger than 10 MiB" in answer.text
    for content in (bytes(64 << 20), b'{"data": [' + b"[" * (14 << 20)):
        assert client.post("/", content=content).status_code == 413
    many = {f"field{number}": (None, "x") for number in range(2000)}
    pictures = [("poster", ("a.png", picture())), ("poster", ("b.png", picture()))]
    for fields in (many, pictures, form(overview="x" * 500_000), form(other="x")):
        assert client.post("/", files=fields).status_code == 400
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data",
                 "multipart/form-data; boundary=x; charset=punycode"):  # fmt: skip
        answer = client.post("/", content=b"overview=x", headers={"Content-Type": kind})
        assert answer.status_code == 400, kind
    head = f"GET /{'x' * 200_000} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert raw(server, head.encode()).split()[1:2] in ([], [b"400"])
    assert not list(Path(temporary).rglob("*"))


def test_bodies_are_limited_all_together(server, client):
    host, port = server.removeprefix("http://").split(":")
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nxxx"
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(head)
        answer = client.post("/", files=form(overview=""))
        for _ in range(100):  # They may still be on their way.
            if answer.status_code == 503:
                break
            answer = client.post("/", files=form(overview=""))
        assert answer.status_code == 503 and "try again" in answer.text
        assert client.get("/").status_code == 200  # The form alone costs nothing.
    for _ in range(100):
        if client.post("/", files=form(overview="")).status_code == 422:
            break
    else:
        pytest.fail("the places of clients that went away stay taken")


def test_forms_with_bytes_changed_at_random(client):
    rng = random.Random(17)
    request = client.build_request("POST", "/", files=form(overview="", kept="", poster=b"no"))
    body, kind = request.read(), request.headers["content-type"]
    seen = set()
    for _ in range(200):
        changed = bytearray(body)
        for _ in range(rng.randint(1, 6)):
            place, count = rng.randrange(len(changed)), rng.choice((0, 1, 1, 9))
            changed[place : place + count] = rng.randbytes(rng.choice((0, 1, 1, 9)))
        answer = client.post("/", content=bytes(changed), headers={"Content-Type": kind})
        seen.add(answer.status_code)
    assert seen <= {200, 400, 422} and {400, 422} <= seen


@pytest.mark.slow
def test_connections_that_say_nothing_or_drip_are_closed(server, client):
    host, port = server.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
            for _ in range(3)
        ]
        silent[1].sendall(b"GET / HTTP/1.1\r\nHost: loc")
        silent[2].sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
        with contextlib.suppress(ConnectionError):
            assert silent[0].recv(100) == b""
        with contextlib.suppress(ConnectionError):
            assert silent[1].recv(100) == b""
        silent[2].settimeout(120)
        assert silent[2].recv(100).split()[1] == b"408"
    assert client.get("/").status_code == 200
