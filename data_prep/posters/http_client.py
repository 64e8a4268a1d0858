"""One poster over HTTP: polite, persistent, and never fooled by half an answer."""

import asyncio
import contextlib
import dataclasses
import email.utils
import random
import time
import urllib.parse
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import tenacity
import yarl

from data_prep.posters import image_check
from mmgenre.errors import UserError
from mmgenre.inputs import poster_decoder

MISSING: Final = "missing: HTTP 404"
_GONE: Final = frozenset((404, 410))
_TRY_AGAIN: Final = frozenset((408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524))
_BLOCK: Final = 1 << 16


@dataclasses.dataclass(frozen=True)
class FetchConfig:
    """How to ask a server for posters.

    Attributes:
      base: its address; a poster is at `<base>/<width><poster_path>`.
      widths: to ask for, the first one wanted, the others where it cannot be had.
      concurrency: requests under way at a time, each on a connection that is used again.
      rate: requests per second at most; None has no limit.
      tries: requests for one address until it is given up.
      timeout: seconds to connect; the whole answer may take twice as long, and a second more.
      backoff: seconds before the second try, doubled before each further one, with jitter.
      max_wait: longest wait between two tries. A server that asks for more is asked another day.
    """

    base: str
    widths: tuple[str, ...]
    concurrency: int = 32
    rate: float | None = None
    tries: int = 6
    timeout: float = 20.0
    backoff: float = 0.5
    max_wait: float = 120.0


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What asking for a poster came to.

    Attributes:
      data: the image file's bytes, or None.
      width: that it was had at, or "".
      status: "" with data; else why there is none: "missing: ...", "corrupt: ..." or "refused: ..."
        for good, "gave up: ..." for now.
    """

    data: bytes | memoryview | None
    width: str
    status: str

    @property
    def is_final(self) -> bool:
        """Whether asking again would be pointless."""
        return not self.status.startswith("gave up")


class _Transient(Exception):
    """Worth another try; `wait` is how long the server asked us to wait, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0, corrupt: bool = False):
        super().__init__(reason)
        self.wait = wait
        self.corrupt = corrupt


class _NoConnection(_Transient):
    """The server cannot be reached at all."""


class Client:
    """Asks one server. Made by `open_client`.

    Attributes:
      num_requests: sent so far.
      unreachable: requests in a row that did not reach the server.
    """

    def __init__(self, config: FetchConfig, session: aiohttp.ClientSession):
        self.num_requests = 0
        self.unreachable = 0
        self._config = config
        self._session = session
        self._base = config.base.rstrip("/")
        # Of the requests under way; without one, `end_overdue` has ended it.
        self._deadlines: dict[asyncio.Task, float] = {}
        self._not_before = 0.0  # A server that answers 429 means every request.
        self._next_slot = 0.0

    async def poster(self, poster_path: str) -> Answer:
        """Asks for a poster, at one width after the other until it is had.

        Raises:
          UserError: the server has been out of reach for many requests in a row.
        """
        answer = Answer(None, "", MISSING)
        for width in self._config.widths:
            path = f"/{width}{poster_path}"
            if not path.isascii() or " " in path:
                path = urllib.parse.quote(path)
            previous = answer
            answer = await self._ask_until_had(yarl.URL(self._base + path, encoded=True), width)
            if answer.data is not None or not answer.is_final:
                return answer
            if answer.status == MISSING:  # That an image at another width is corrupt says more.
                answer = previous
        return answer

    async def _ask_until_had(self, url: yarl.URL, width: str) -> Answer:
        try:
            try:
                return Answer(await self._ask(url), width, "")
            except _Transient as error:
                first = error
            retrying = tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception_type(_Transient),
                stop=tenacity.stop_after_attempt(self._config.tries - 1),
                wait=self._wait,
                reraise=True,
            )
            if self._config.tries <= 1:
                raise first
            await asyncio.sleep(self._seconds(first, 1))
            return Answer(await retrying(self._ask, url), width, "")
        except _Final as error:
            return Answer(None, "", str(error))
        except _Transient as error:
            return Answer(None, "", f"{'corrupt' if error.corrupt else 'gave up'}: {error}")

    def _wait(self, state: tenacity.RetryCallState) -> float:
        assert state.outcome is not None
        return self._seconds(state.outcome.exception(), state.attempt_number + 1)

    def _seconds(self, error: BaseException | None, tries: int) -> float:
        """How long to wait after this many tries: doubling, with jitter, or as the server asks."""
        wait = min(self._config.backoff * 2.0 ** (tries - 1), self._config.max_wait)
        asked = error.wait if isinstance(error, _Transient) else 0.0
        return max(asked, wait * random.uniform(0.5, 1.0))

    async def _ask(self, url: yarl.URL) -> bytes:
        """One request; raises `_Transient` or `_Final`."""
        if self._not_before or self._config.rate is not None:
            await self._wait_for_turn()
        self.num_requests += 1
        task = asyncio.current_task()
        assert task is not None
        self._deadlines[task] = time.monotonic() + 2 * self._config.timeout
        try:
            async with self._session.get(url) as response:
                self.unreachable = 0
                if response.status != 200:
                    raise self._bad_status(response)
                data = await _body(response)
        except (aiohttp.NonHttpUrlClientError, aiohttp.InvalidURL) as error:
            raise _Final("refused: redirected to something other than http(s)") from error
        except aiohttp.TooManyRedirects as error:
            raise _Final("refused: too many redirects") from error
        except aiohttp.ClientConnectorError as error:
            self.unreachable += 1
            if self.unreachable >= 2 * max(self._config.concurrency, 10):
                raise UserError(
                    f"the image server {self._base} cannot be reached ({error.strerror or error}); "
                    "run the same command again to go on when it can"
                ) from error
            raise _NoConnection("no connection") from error
        except asyncio.CancelledError as error:
            if task in self._deadlines or task.uncancel() > 0:
                raise  # Somebody else wants the task to end.
            raise _Transient("timed out") from error
        except TimeoutError as error:
            raise _Transient("timed out") from error
        except aiohttp.ClientPayloadError as error:
            raise _Transient("truncated answer", corrupt=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _Transient(type(error).__name__) from error
        finally:
            self._deadlines.pop(task, None)
        problem = image_check.problem(data)
        if problem:
            raise _Transient(problem, corrupt=True)
        return data

    async def end_overdue(self) -> None:
        """Ends, for as long as it runs, the requests that take too long.

        One look a second at all of them: aiohttp's timer for each costs a tenth of the speed.
        """
        while True:
            await asyncio.sleep(min(1.0, self._config.timeout))
            now = time.monotonic()
            for task in [task for task, deadline in self._deadlines.items() if deadline < now]:
                del self._deadlines[task]
                task.cancel()

    def _bad_status(self, response: aiohttp.ClientResponse) -> Exception:
        status = response.status
        if status in _GONE:
            return _Final(MISSING)
        if status not in _TRY_AGAIN:
            return _Final(f"gave up: HTTP {status}")
        wait = retry_after(response.headers.get("Retry-After", ""))
        if wait > self._config.max_wait:
            return _Final(f"gave up: HTTP {status}, asked to wait {wait:,.0f} s")
        if status == 429:
            self._not_before = max(self._not_before, time.monotonic() + wait)
        return _Transient(f"HTTP {status}", wait)

    async def _wait_for_turn(self) -> None:
        """Waits while the server wants none of us, and for the next slot of the rate."""
        while (pause := self._not_before - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        if self._config.rate is not None:
            slot = max(self._next_slot, time.monotonic())
            self._next_slot = slot + 1.0 / self._config.rate
            await asyncio.sleep(slot - time.monotonic())


class _Final(Exception):
    """No further try would help; the message is the status."""


async def _body(response: aiohttp.ClientResponse) -> bytes:
    length = response.content_length
    if length is not None and length <= poster_decoder.MAX_BYTES:
        return await response.read()
    too_large = _Final(f"corrupt: too large: more than {poster_decoder.MAX_BYTES:,} bytes")
    if length is not None:
        raise too_large
    data = bytearray()
    async for block in response.content.iter_chunked(_BLOCK):
        data += block
        if len(data) > poster_decoder.MAX_BYTES:
            raise too_large
    return bytes(data)


def retry_after(value: str) -> float:
    """Seconds that a Retry-After header asks to wait: a number, or a date; 0 without one."""
    value = value.strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


@contextlib.asynccontextmanager
async def open_client(config: FetchConfig) -> AsyncIterator[Client]:
    """Yields a client; closes its connections at the end."""
    timeout = aiohttp.ClientTimeout(sock_connect=config.timeout)  # The rest: `Client.end_overdue`.
    async with aiohttp.ClientSession(
        timeout=timeout,
        connector=aiohttp.TCPConnector(limit=config.concurrency, ttl_dns_cache=300),
        auto_decompress=False,  # Images are compressed as they are; this way a size is a size.
        headers={"Accept-Encoding": "identity", "User-Agent": "mmgenre data preparation"},
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        client = Client(config, session)
        watch = asyncio.create_task(client.end_overdue())
        try:
            yield client
        finally:
            watch.cancel()
