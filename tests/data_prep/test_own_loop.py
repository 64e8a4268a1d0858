"""Preparation where an event loop is running already, as in a notebook, and in other threads."""

import asyncio
import contextlib
import json
import signal
import threading
from pathlib import Path

import pytest

from data_prep.posters import own_loop
from data_prep.prepare import PrepareConfig, prepare
from tests import movie_files
from tests.poster_server import PosterServer, serve


def _in_a_running_loop(work):
    async def main():
        return work()

    # As a notebook's kernel: `asyncio.run` would keep the first interruption to itself.
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        return loop.run_until_complete(main())


def _in_another_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("where", [_in_a_running_loop, _in_another_thread])
def test_preparation_with_a_server(where, tmp_path: Path):
    metadata, posters = movie_files.make(tmp_path, 30, range(1, 21))
    posters.rename(tmp_path / "w154")
    with serve(PosterServer(tmp_path)) as server:
        config = PrepareConfig(metadata, server.base, tmp_path / "out", progress="none")
        dataset = where(lambda: prepare(config))
        again = where(lambda: prepare(config))
        assert sum(server.log.whole.values()) == 20  # None was asked for again.
    audit = json.loads((dataset.path / "audit.json").read_text())
    assert sum(split["posters"] for split in audit["splits"].values()) == 20
    assert again.info.fingerprint == dataset.info.fingerprint


def test_an_interruption_cancels_what_runs_in_the_thread():
    ended = []

    async def endless() -> None:
        main_thread = threading.main_thread().ident
        threading.Timer(0.05, signal.pthread_kill, (main_thread, signal.SIGINT)).start()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(threading.current_thread())

    with pytest.raises(KeyboardInterrupt):
        _in_a_running_loop(lambda: own_loop.call(lambda run: run(endless())))
    assert len(ended) == 1 and ended[0] is not threading.main_thread()
