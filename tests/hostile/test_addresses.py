"""Addresses of strangers: read or refused, and none leads into the user's own network."""

import contextlib
import socket

import pytest

from mmgenre.errors import UserError
from mmgenre.inputs import web_addresses
from mmgenre.inputs.web_addresses import Kind
from tests import movie_files
from tests.get_poster import by_fetch, by_predict
from tests.hostile.raw_server import answer, serve_raw

GOOD = movie_files.jpeg(1)


def to(location: str) -> bytes:
    return answer(b"", "302 Found", f"Location: {location}")


def send_good(connection: socket.socket, path: str) -> None:
    connection.sendall(answer(GOOD))


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("http://[::1", "Invalid IPv6 URL"),
        ("HTTP://[::1]:port", "Port could not be cast"),
        ("http://127.0.0.1:99999/t/p", "Port out of range"),
        ("http://127.0.0.1:0", "nobody listens on port 0"),
        ("http://", "it names no host"),
        ("https:///t/p", "it names no host"),
        ("http://a..b", "its host is not a name"),
        ("http://a b", "its host is not a name"),
        (f"http://{'a' * 64}", "its host is not a name"),
        ("http://\x7f", "its host is not a name"),
    ],
)
def test_an_address_of_a_server_that_is_none(tmp_path, base, words):
    from data_prep.prepare import PrepareConfig, prepare

    with pytest.raises(UserError, match=r"^--posters is ") as error:
        prepare(PrepareConfig(tmp_path / "m.csv", base, tmp_path / "out", progress="none"))
    assert words in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("8.8.8.8", Kind.PUBLIC),
        ("2606:4700::1", Kind.PUBLIC),
        ("127.0.0.1", Kind.LOOPBACK),
        ("127.255.0.1", Kind.LOOPBACK),
        ("0.0.0.0", Kind.LOOPBACK),
        ("::", Kind.LOOPBACK),
        ("::1", Kind.LOOPBACK),
        ("::ffff:127.0.0.1", Kind.LOOPBACK),
        ("2002:7f00:1::", Kind.LOOPBACK),
        ("64:ff9b::7f00:1", Kind.LOOPBACK),
        ("169.254.169.254", Kind.LINK_LOCAL),
        ("::ffff:169.254.169.254", Kind.LINK_LOCAL),
        ("fe80::1%lo", Kind.LINK_LOCAL),
        ("10.1.2.3", Kind.PRIVATE),
        ("172.16.0.1", Kind.PRIVATE),
        ("192.168.1.1", Kind.PRIVATE),
        ("100.64.0.1", Kind.PRIVATE),
        ("198.18.0.1", Kind.PRIVATE),
        ("224.0.0.1", Kind.PRIVATE),
        ("255.255.255.255", Kind.PRIVATE),
        ("fd00:ec2::254", Kind.PRIVATE),
        ("fec0::1", Kind.PRIVATE),
        ("ff02::1", Kind.PRIVATE),
        ("::7f00:1", Kind.PRIVATE),
    ],
)
def test_kinds_of_addresses(address, kind):
    assert web_addresses.kind(address) is kind


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("localhost", Kind.LOOPBACK),
        ("a.localhost", Kind.LOOPBACK),
        ("127.1", Kind.LOOPBACK),
        ("0x7f.1", Kind.LOOPBACK),
        ("2130706433", Kind.LOOPBACK),
        ("0251.0376.0251.0376", Kind.LINK_LOCAL),
        ("example.org", None),
        ("1.2.3.4.5", None),
    ],
)
def test_kinds_of_names(host, kind):
    assert web_addresses.kind_of_name(host) is kind
    assert web_addresses.parse(f"http://{host}/x").host == host


@pytest.fixture
def outside(monkeypatch):
    """Takes 127.0.0.1 for an address of the outside world, and 127.0.0.2 for what it is."""
    kind = web_addresses.kind

    def seen(address: str) -> Kind:
        return Kind.PUBLIC if address == "127.0.0.1" else kind(address)

    monkeypatch.setattr(web_addresses, "kind", seen)


@contextlib.contextmanager
def inside():
    """A server on this machine alone that must not be asked."""
    with serve_raw(
        lambda connection, path: connection.sendall(answer(GOOD)), "127.0.0.2"
    ) as server:
        yield server
        assert not server.requests


@pytest.mark.parametrize("get", [by_fetch, by_predict])
@pytest.mark.parametrize("host", ["127.0.0.2", "127.2", "[::ffff:127.0.0.2]", "2130706434"])
def test_no_redirect_leads_from_outside_to_this_machine(outside, get, host):
    with inside() as secret:
        location = f"http://{host}:{secret.port}/x.jpg"
        with serve_raw(lambda connection, path: connection.sendall(to(location))) as server:
            with pytest.raises(
                UserError, match=r"private network or to this machine|cannot be read"
            ):
                get(server.base)
            assert len(server.requests) == 1


@pytest.mark.parametrize("get", [by_fetch, by_predict])
def test_no_name_leads_from_outside_to_this_machine(outside, monkeypatch, get):
    """What a name was before does not count, but where it leads now: DNS rebinding."""
    look_up, asked = socket.getaddrinfo, []

    def rebind(host, port, *args, **kwargs):
        if host != "images.example":
            return look_up(host, port, *args, **kwargs)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return look_up(address, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    with inside() as secret:
        if get is by_fetch:  # It looks the server up once to know what it is.
            base = f"http://images.example:{secret.port}"
            with pytest.raises(UserError, match="private network or to this machine"):
                get(base)
            return
        location = f"http://images.example:{secret.port}/x.jpg"
        asked.append("once, when it was harmless")
        with (
            serve_raw(lambda connection, path: connection.sendall(to(location))) as server,
            pytest.raises(UserError, match="private network or to this machine"),
        ):
            get(server.base)


@pytest.mark.parametrize("get", [by_fetch, by_predict])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_of_this_machine_may_redirect_within_it(get, host):
    with serve_raw(send_good) as other:
        location = f"http://{host}:{other.port}/x.jpg"
        with serve_raw(lambda connection, path: connection.sendall(to(location))) as server:
            assert get(server.base) == GOOD
