"""Proxies of the environment: obeyed by fetching and by prediction alike, as curl does."""

import ssl
import subprocess
import sys

import pytest

from mmgenre.errors import UserError
from mmgenre.inputs.proxies import proxy_for
from mmgenre.inputs.web_addresses import Place
from tests import movie_files
from tests.commands import ROOT, environment
from tests.get_poster import by_fetch, by_predict
from tests.hostile.raw_server import answer, serve_raw
from tests.http_proxy import proxy
from tests.prepare_command import command

GOOD = movie_files.jpeg(1)


def send_good(connection, path) -> None:
    connection.sendall(answer(GOOD))


BOTH = pytest.mark.parametrize("get", [by_fetch, by_predict])


@BOTH
@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_http_goes_through_the_proxy(monkeypatch, get, name):
    with proxy(hosts={"images.example": "127.0.0.1"}) as way, serve_raw(send_good) as server:
        monkeypatch.setenv(name, way.address)
        base = f"http://images.example:{server.port}"  # Which only the proxy can look up.
        assert get(base) == GOOD
        assert way.requests == [f"GET {base}/w154/x.jpg HTTP/1.1"]
        assert server.requests == ["GET /w154/x.jpg HTTP/1.1"]
        assert f"Host: images.example:{server.port}" in server.heads[0]
        monkeypatch.setenv(name, way.address.removeprefix("http://"))  # curl takes that, too.
        assert get(base) == GOOD


@BOTH
def test_a_proxy_for_https_is_not_one_for_http(monkeypatch, get):
    with proxy() as way, serve_raw(send_good) as server:
        monkeypatch.setenv("https_proxy", way.address)
        assert get(server.base) == GOOD
        assert not way.requests


@BOTH
def test_small_letters_win_and_a_cgi_takes_no_capitals(monkeypatch, get):
    with proxy() as way, serve_raw(send_good) as server:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("http_proxy", way.address)
        assert get(server.base) == GOOD
        assert len(way.requests) == 1
        monkeypatch.delenv("http_proxy")
        monkeypatch.setenv("REQUEST_METHOD", "GET")  # HTTP_PROXY is the client's header there.
        assert get(server.base) == GOOD
        assert len(way.requests) == 1


@BOTH
@pytest.mark.parametrize(
    "no_proxy", ["127.0.0.1", "127.0.0.0/8", "*", "a.example, 127.0.0.0/24", "10.0.0.0/8 127.0.0.1"]
)
def test_no_proxy_is_asked_directly(monkeypatch, get, no_proxy):
    with proxy() as way, serve_raw(send_good) as server:
        monkeypatch.setenv("http_proxy", way.address)
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert get(server.base) == GOOD
        assert not way.requests


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("example.org", "example.org", True),
        ("example.org", "images.example.org", True),
        (".example.org", "images.example.org", True),
        ("EXAMPLE.org.", "images.example.org", True),
        ("example.org", "notexample.org", False),
        ("example.org", "example.org.evil.net", False),
        ("example.org:80", "example.org", True),
        ("example.org:8080", "example.org", False),
        ("192.168.0.0/16", "192.168.3.4", True),
        ("192.168.0.0/16", "192.169.3.4", False),
        ("192.168.0.0/33,/,*.x,[", "192.168.3.4", False),
        ("fd00::/8", "fd00::1", True),
        ("[::1]", "::1", True),
        ("", "example.org", False),
    ],
)
def test_no_proxy_lists(monkeypatch, no_proxy, host, direct):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert (proxy_for(Place("http", host, 80)) is None) == direct


@BOTH
def test_user_and_password(monkeypatch, get):
    with proxy(password="me:a b@c") as way, serve_raw(send_good) as server:
        monkeypatch.setenv("http_proxy", way.address.replace("//", "//me:a%20b%40c@"))
        assert get(server.base) == GOOD
        assert way.refused == 0
        monkeypatch.setenv("http_proxy", way.address)
        with pytest.raises(UserError, match="wants a user and a password"):
            get(server.base)
        assert len(way.requests) == 1


@BOTH
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("socks5://127.0.0.1:1080", "only http and https are, not 'socks5'"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://127.0.0.1:99999", "Port out of range"),
        ("http://", "it names no host"),
        ("http://me:secret@a..b", "'a..b', cannot be used"),
    ],
)
def test_a_proxy_that_cannot_be_used(monkeypatch, get, value, message):
    monkeypatch.setenv("http_proxy", value)
    with pytest.raises(UserError, match="name the host in NO_PROXY") as error:
        get("http://images.example")
    assert message in str(error.value)
    assert "secret" not in str(error.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of "images.example" with its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    name = ["-subj", "/CN=images.example", "-addext", "subjectAltName=DNS:images.example"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", path.with_suffix(".key"), "-out", path, "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", *key, *files, *name], check=True, capture_output=True
    )
    path.write_bytes(path.read_bytes() + path.with_suffix(".key").read_bytes())
    return path


@pytest.fixture
def secure(certificate):
    """A server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve_raw(send_good, tls=context) as server:
        yield server


@BOTH
def test_a_tunnel_does_not_make_a_certificate_good(monkeypatch, secure, get):
    with proxy(hosts={"images.example": "127.0.0.1"}) as way:
        monkeypatch.setenv("https_proxy", way.address)
        with pytest.raises(UserError):
            get(f"https://images.example:{secure.port}")
        assert way.requests[0].startswith(f"CONNECT images.example:{secure.port} HTTP/1.")
    assert not secure.requests


@BOTH
def test_a_proxy_is_not_asked_for_what_is_out_of_reach(monkeypatch, get):
    """What it would look up is not known, but an address is what it is."""

    def redirect(connection, path):
        connection.sendall(answer(b"", "302 Found", "Location: http://169.254.169.254/x.jpg"))

    with proxy() as way, serve_raw(redirect) as server:
        monkeypatch.setenv("http_proxy", way.address)
        with pytest.raises(UserError, match="private network"):
            get(server.base)
        assert len(way.requests) == 1


def test_the_commands_go_through_a_tunnel(tiny_run, secure, certificate, tmp_path):
    rows = [movie_files.row(n, poster_path=f"/x{n}.jpg") for n in range(1, 31)]
    metadata = movie_files.write_csv(tmp_path / "m.csv", rows)
    base = f"https://images.example:{secure.port}"
    prepare = command((metadata, base), tmp_path / "out", "--progress", "none")
    predict = ("-m", "mmgenre.predict", "--run", tiny_run.path, "--poster", f"{base}/x.jpg")
    with proxy(password="me:word", hosts={"images.example": "127.0.0.1"}) as way:
        proxies = {"HTTPS_PROXY": way.address.replace("//", "//me:word@"), "NO_PROXY": "x.example"}
        env = {**environment(), **proxies, "SSL_CERT_FILE": str(certificate)}
        for arguments, count in ((prepare, 30), ((sys.executable, *map(str, predict)), 31)):
            subprocess.run(arguments, cwd=ROOT, env=env, check=True, capture_output=True)
            assert len(secure.requests) == count
        assert {request.split(" ")[1] for request in way.requests} == {
            base.removeprefix("https://")
        }
