"""One poster over HTTP: polite, persistent, and never fooled by half an answer."""

import asyncio
import contextlib
import dataclasses
import random
import time
import urllib.parse
from collections.abc import AsyncIterator
from typing import Final

import yarl

from data_prep.posters import http_request
from data_prep.posters.http_answer import MISSING, Permanent, Transient
from data_prep.posters.http_request import Requester
from mmgenre.inputs import web_addresses
from mmgenre.inputs.web_addresses import Reach

ADDRESSES: Final = "addresses"
"""The width, so to speak, of posters that have an address of their own."""

NO_SERVER: Final = "not asked for: a path, and no image server is given"


@dataclasses.dataclass(frozen=True)
class FetchConfig:
    """How to ask a server for posters.

    Attributes:
      base: its address; a poster is at `<base>/<width><poster_path>`. "" for no such server: then
        only posters that have an address of their own are fetched.
      widths: to ask for, the first one wanted, the others where it cannot be had.
      concurrency: requests under way at a time, each on a connection that is used again.
      rate: requests per second at most; None has no limit.
      tries: requests for one address until it is given up.
      timeout: seconds to connect; the whole answer may take twice as long, and a second more.
      backoff: seconds before the second try, doubled before each further one, with jitter.
      reach: where addresses may lead; None: public ones, and ones of the server's own kind.
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
    reach: Reach | None = None


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


class Client:
    """Asks one server. Made by `open_client`."""

    def __init__(self, config: FetchConfig, requester: Requester):
        self._config = config
        self._requester = requester
        self._base = str(yarl.URL(config.base)).rstrip("/") if config.base else ""
        self._not_before = 0.0  # A server that answers 429 means every request.
        self._next_slot = 0.0

    @property
    def num_requests(self) -> int:
        """Sent so far."""
        return self._requester.num_requests

    async def poster(self, poster_path: str) -> Answer:
        """Asks for a poster: of an address there, of a path at one width after the other.

        Raises:
          UserError: the server has been out of reach for many requests in a row, or the proxy that
            the environment names is unusable.
        """
        answer = Answer(None, "", MISSING)
        if web_addresses.is_address(poster_path):
            try:
                url = yarl.URL(poster_path)
            except ValueError:
                return Answer(None, "", "refused: an address that cannot be read")
            return await self._ask_until_had(url, ADDRESSES)
        if not self._base:
            return Answer(None, "", NO_SERVER)
        path = urllib.parse.quote(poster_path)
        for width in self._config.widths:
            previous = answer
            url = yarl.URL(f"{self._base}/{width}{path}", encoded=True)
            answer = await self._ask_until_had(url, width)
            if answer.data is not None or not answer.is_final:
                return answer
            if answer.status == MISSING:  # That an image at another width is corrupt says more.
                answer = previous
        return answer

    async def _ask_until_had(self, url: yarl.URL, width: str) -> Answer:
        # By hand: the library for it that was tried cost a tenth of the speed.
        pause, status = 0.0, ""
        for tries in range(self._config.tries):
            if tries:
                await asyncio.sleep(pause)
            if self._not_before or self._config.rate is not None:
                await self._wait_for_turn()
            try:
                return Answer(await self._requester.get(url), width, "")
            except Permanent as error:
                return Answer(None, "", str(error))
            except Transient as error:
                if error.wait > self._config.max_wait:
                    return Answer(None, "", f"gave up: {error}, asked to wait {error.wait:,.0f} s")
                if error.is_busy:
                    self._not_before = max(self._not_before, time.monotonic() + error.wait)
                pause = self._pause(error, tries)
                status = f"{'corrupt' if error.is_corrupt else 'gave up'}: {error}"
        return Answer(None, "", status)

    def _pause(self, error: Transient, tries: int) -> float:
        """How long to wait before the next try: doubling, with jitter, or as the server asks."""
        longest = self._config.max_wait
        wait = min(self._config.backoff * 2.0 ** min(tries, 60), longest)
        return max(error.wait, wait * random.uniform(0.5, 1.0))

    async def _wait_for_turn(self) -> None:
        """Waits while the server wants none of us, and for the next slot of the rate."""
        while (pause := self._not_before - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        if self._config.rate is not None:
            slot = max(self._next_slot, time.monotonic())
            self._next_slot = slot + 1.0 / self._config.rate
            await asyncio.sleep(slot - time.monotonic())


@contextlib.asynccontextmanager
async def open_client(config: FetchConfig) -> AsyncIterator[Client]:
    """Yields a client; closes its connections at the end."""
    async with http_request.open_requester(
        config.base, config.timeout, config.concurrency, config.reach
    ) as requester:
        yield Client(config, requester)
