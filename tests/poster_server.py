"""An image server on loopback that misbehaves on purpose, for tests of fetching."""

import asyncio
import collections
import contextlib
import dataclasses
import random
import threading
from collections.abc import Iterator
from pathlib import Path

from aiohttp import web

FAULTS = ("500", "429", "503", "stall", "truncate", "cut", "html", "empty")


@dataclasses.dataclass
class Log:
    """What the server was asked and answered."""

    requests: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    whole: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)


@dataclasses.dataclass
class PosterServer:
    """Serves `<folder>/<width>/<poster>`.

    Attributes:
      folder: with the files.
      fault_share: of the answers that are spoilt, by chance.
      retry_after: seconds that 429 and 503 ask to wait.
      delay: seconds before each answer.
      special: by path, a handler instead of the file.
    """

    folder: Path
    fault_share: float = 0.0
    faults: tuple[str, ...] = FAULTS
    retry_after: str = "0"
    stall: float = 60.0
    delay: float = 0.0
    seed: int = 0
    special: dict = dataclasses.field(default_factory=dict)
    log: Log = dataclasses.field(default_factory=Log)
    base: str = ""

    def __post_init__(self):
        self._random = random.Random(self.seed)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/t/p")
        self.log.requests[path] += 1
        if self.delay:
            await asyncio.sleep(self.delay)
        if path in self.special:
            return await self.special[path](request)
        file = self.folder / path.lstrip("/")
        if self._random.random() < self.fault_share:
            fault = self._random.choice(self.faults)
            self.log.faults[fault] += 1
            return await self._fault(fault, request, file)
        if not file.is_file():
            return web.Response(status=404)
        data = file.read_bytes()
        self.log.whole[path] += 1
        return web.Response(body=data, content_type="image/jpeg")

    async def _fault(self, fault: str, request: web.Request, file: Path) -> web.StreamResponse:
        if fault in ("500", "429", "503"):
            headers = {} if fault == "500" else {"Retry-After": self.retry_after}
            return web.Response(status=int(fault), headers=headers)
        if fault == "stall":
            await asyncio.sleep(self.stall)
            return web.Response(status=500)
        if fault == "html":
            page = "<!DOCTYPE html><html>Try later</html>"
            return web.Response(text=page, content_type="image/jpeg")
        if fault == "empty":
            return web.Response(body=b"", content_type="image/jpeg")
        data = file.read_bytes() if file.is_file() else b"\xff\xd8\xff" * 500
        if fault == "truncate":  # The connection ends before Content-Length bytes came.
            response = web.StreamResponse(headers={"Content-Length": str(len(data))})
            await response.prepare(request)
            await response.write(data[: len(data) // 2])
            request.transport.close()
            return response
        # The server itself has half a file and says that this is all.
        return web.Response(body=data[: len(data) // 2], content_type="image/jpeg")


@contextlib.contextmanager
def serve(server: PosterServer) -> Iterator[PosterServer]:
    """Runs the server in a thread of its own; sets `server.base`."""
    loop = asyncio.new_event_loop()
    runners = []

    async def start() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", server._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        server.base = f"http://127.0.0.1:{runner.addresses[0][1]}/t/p"

    async def stop() -> None:
        await runners[0].cleanup()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
