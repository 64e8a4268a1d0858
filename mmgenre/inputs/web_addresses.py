"""Addresses on the web: which can be read, and which a stranger may lead us to.

An address that the user names may be anywhere. One that a server redirects to, or that a table of
somebody else's names, may not lead into the user's own network or to this machine. What counts is
the IP address that is connected to, whatever a name was before or will be. Standard library only.
"""

import dataclasses
import enum
import ipaddress
import socket
import urllib.parse
from typing import Final, Self

SCHEMES: Final = ("http", "https")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Kind(enum.Enum):
    """Who can be at an IP address."""

    PUBLIC = "public"
    PRIVATE = "private"
    LINK_LOCAL = "link-local"
    LOOPBACK = "loopback"


class Refused(OSError):
    """An address is out of the reach that a download has."""

    def __init__(self) -> None:
        super().__init__("it leads into a private network or to this machine")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an address leads: all that is needed to connect to it.

    Attributes:
      scheme: "http" or "https".
      host: a name or an IP address without brackets, in ASCII, in small letters.
      port: the scheme's own where the address has none.
    """

    scheme: str
    host: str
    port: int


def is_address(text: str) -> bool:
    """Whether a text is meant as an address with http or https, well-formed or not."""
    return text.lower().startswith(("http://", "https://"))


def parse(address: str) -> Place:
    """Reads an address; raises ValueError, with a reason in a few words, where it is unusable."""
    parts = urllib.parse.urlsplit(address)  # Says what is wrong with brackets.
    scheme = parts.scheme.lower()
    if scheme not in SCHEMES:
        raise ValueError(f"only http and https are, not {scheme!r}")
    host = parts.hostname or ""
    if not host:
        raise ValueError("it names no host")
    try:
        host = host if ":" in host else host.encode("idna").decode()  # \u2460 is a 1, too.
    except UnicodeError:
        host = ""
    if not host.isprintable() or not host or " " in host:
        raise ValueError("its host is not a name")
    port = parts.port  # Raises ValueError beyond 65535.
    if port == 0:
        raise ValueError("nobody listens on port 0")
    return Place(scheme, host.lower(), port or (443 if scheme == "https" else 80))


def kind(address: str) -> Kind:
    """Returns the kind of an IP address, given as text; raises ValueError where it is none."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return kind(str(inner))
        if ip.is_site_local:
            return Kind.PRIVATE
    if ip.is_loopback or ip.is_unspecified:  # To connect to 0.0.0.0 is to connect to oneself.
        return Kind.LOOPBACK
    if ip.is_link_local:
        return Kind.LINK_LOCAL
    if ip.is_global and not ip.is_multicast and not ip.is_reserved:
        return Kind.PUBLIC
    return Kind.PRIVATE


def kind_of_name(host: str) -> Kind | None:
    """Returns the kind that a host has by its very name; None where it must be looked up."""
    if host == "localhost" or host.endswith(".localhost"):
        return Kind.LOOPBACK
    try:
        return kind(host)
    except ValueError:
        pass
    try:  # 127.1, 0x7f.1 and 2130706433 are 127.0.0.1 to those who look them up.
        return kind(socket.inet_ntoa(socket.inet_aton(host)))
    except (OSError, ValueError):
        return None


def kinds_of(place: Place) -> list[Kind]:
    """Returns the kinds of addresses that a place has, as far as they can be looked up."""
    known = kind_of_name(place.host)
    if known is not None:
        return [known]
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return []
    return [kind(str(address[0])) for *_, address in found]


@dataclasses.dataclass(frozen=True)
class Reach:
    """The kinds of addresses that may be connected to."""

    kinds: frozenset[Kind]

    @classmethod
    def beyond(cls, *visited: Kind) -> Self:
        """Returns where a server at an address of such a kind may redirect to."""
        return cls(frozenset((Kind.PUBLIC, *visited)))

    def check(self, address: str) -> None:
        """Raises Refused where an IP address is out of reach."""
        if kind(address) not in self.kinds:
            raise Refused

    def check_name(self, host: str) -> None:
        """Raises Refused where a host is out of reach by its very name: a proxy will look it up."""
        known = kind_of_name(host)
        if known is not None and known not in self.kinds:
            raise Refused


ANYWHERE: Final = Reach(frozenset(Kind))
PUBLIC: Final = Reach(frozenset((Kind.PUBLIC,)))


def whole_number(text: str) -> int | None:
    """Reads a number of a header; None where it is none, or beyond anything that makes sense.

    `str.isdigit` is true for "²", and `int` refuses what has thousands of digits.
    """
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
