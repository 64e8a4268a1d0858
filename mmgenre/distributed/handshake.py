"""First words between two processes: who knows the run's token is one of its processes.

Process 0 makes the token up and hands it out through JAX's key-value store. A process sends it,
is welcomed, and says that it is alive: only then does its connection count. Who does not know it,
such as a scanner of ports, is not told why it was turned away.
"""

import dataclasses
import hmac
import ipaddress
import secrets
import socket
import time
from typing import Final, Self

ALIVE: Final = "alive"
_WELCOME: Final = "welcome"
_GREETING: Final = "mmgenre"
_MAX_LINE: Final = 1024
_HELLO_S: Final = 10.0
"""Seconds that the first words may take."""

_CONNECT_S: Final = 15.0


class TurnedAway(OSError):
    """Process 0 is there, and hung up or did not answer."""


@dataclasses.dataclass(frozen=True)
class Invitation:
    """All that a process needs to reach process 0.

    Attributes:
      address: that process 0 listens on; "" for all of its machine's.
      port: the same.
      token: the secret that only the processes of the run know.
    """

    address: str
    port: int
    token: str

    @classmethod
    def for_socket(cls, server: socket.socket) -> Self:
        """Returns an invitation to a listening socket, with a new token."""
        address, port = server.getsockname()[:2]
        everywhere = ipaddress.ip_address(address.partition("%")[0]).is_unspecified
        return cls("" if everywhere else address, port, secrets.token_hex(32))


class Lines:
    """The lines that come from a socket, each of bounded length and in bounded time."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._received = b""

    def read(self, seconds: float) -> str:
        """Returns the next line, "" at the end.

        Raises:
          TimeoutError: it has not come whole in so many seconds.
          OSError: the connection is broken, or the line is too long.
        """
        deadline = time.monotonic() + seconds
        while b"\n" not in self._received:
            if len(self._received) > _MAX_LINE:
                raise OSError("a line without an end")
            self._connection.settimeout(max(deadline - time.monotonic(), 0.001))
            block = self._connection.recv(_MAX_LINE)
            if not block:
                return ""
            self._received += block
        line, _, self._received = self._received.partition(b"\n")
        return line.decode(errors="replace").strip() or " "


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name: nothing is looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening_socket(host: str, backlog: int = 1024) -> socket.socket:
    """Returns a socket that listens where `host` leads, on a free port.

    On all addresses where the name does not say which one the others see: it may be a service's, or
    this machine calls itself 127.0.1.1.

    Raises:
      OSError: it cannot listen.
    """
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    for family, _, _, _, address in found:
        if is_loopback(str(address[0])) and not is_loopback(host):
            break
        try:
            return socket.create_server(address[:2], family=family, backlog=backlog)
        except OSError:  # Not an address of this machine.
            continue
    if socket.has_dualstack_ipv6():
        family = socket.AF_INET6
        return socket.create_server(("", 0), family=family, backlog=backlog, dualstack_ipv6=True)
    return socket.create_server(("", 0), backlog=backlog)


def join(host: str, invitation: Invitation, process_id: int) -> tuple[socket.socket, Lines]:
    """Connects to process 0 and is welcomed.

    Args:
      host: by which this process knows the machine of process 0.
      invitation: of process 0.
      process_id: of this process.

    Raises:
      TurnedAway: process 0 hung up or did not answer; another try may succeed.
      OSError: it cannot be reached.
    """
    connection = _connect(host, invitation)
    words = f"{_GREETING} {invitation.token} {process_id} {socket.gethostname()}\n"
    try:
        connection.sendall(words.encode())
        lines = Lines(connection)
        if lines.read(_HELLO_S) != _WELCOME:
            raise TurnedAway("it hung up")
        connection.sendall(f"{ALIVE}\n".encode())
    except OSError as error:
        connection.close()
        raise TurnedAway(str(error)) from error
    return connection, lines


def greeting(lines: Lines, token: str, num_processes: int) -> tuple[int, str] | None:
    """Returns a caller's number and the host that it names; None for a stranger."""
    try:
        words = lines.read(_HELLO_S).split(" ", 3)
    except OSError:
        return None
    if len(words) != 4 or not hmac.compare_digest(words[1].encode(), token.encode()):
        return None
    _, _, number, host = words
    if number not in map(str, range(1, num_processes)):
        return None
    return int(number), "".join(filter(str.isprintable, host))[:64]


def welcome(connection: socket.socket, lines: Lines) -> bool:
    """Welcomes a process of the run; whether it is still there and knows that it is welcome."""
    try:
        connection.sendall(f"{_WELCOME}\n".encode())
        return lines.read(_HELLO_S) == ALIVE
    except OSError:
        return False


def _connect(host: str, invitation: Invitation) -> socket.socket:
    """By the name that this process knows, or else at the address where process 0 listens."""
    failure = None
    for place in dict.fromkeys((host, invitation.address or host)):
        try:
            return socket.create_connection((place, invitation.port), timeout=_CONNECT_S)
        except OSError as error:
            failure = failure or error
    assert failure is not None
    raise failure
