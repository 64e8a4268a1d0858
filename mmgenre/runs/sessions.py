"""When and with what a run was trained: a line for each start of the program.

A run that was interrupted and resumed has several sessions, maybe on different machines.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from etils import epath

from mmgenre.machine import environment, files
from mmgenre.runs.directory import RunDirectory


def sessions_file(run: RunDirectory) -> epath.Path:
    """One JSON object a line: "started", "seconds" (null where it was cut off), "versions", ..."""
    return run.path / "sessions.jsonl"


@contextlib.contextmanager
def recorded(run: RunDirectory) -> Iterator[None]:
    """Writes down the session that goes on inside; the first process does, the others need not."""
    import jax  # Here, since whoever only reads sessions needs none.

    if jax.process_index() != 0:
        yield
        return
    session: dict[str, Any] = {
        "started": environment.now(),
        "seconds": None,
        "versions": environment.versions(),
        "hardware": environment.hardware(),
    }
    earlier = read_sessions(run)
    _write(run, [*earlier, session])
    start = time.monotonic()
    try:
        yield
    finally:
        session["seconds"] = round(time.monotonic() - start, 1)
        _write(run, [*earlier, session])


def read_sessions(run: RunDirectory) -> list[dict[str, Any]]:
    """Reads the sessions of a run, the oldest first; lines that are damaged are left out."""
    path = sessions_file(run)
    sessions = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            sessions.append(json.loads(line))
    return sessions


def _write(run: RunDirectory, sessions: list[dict[str, Any]]) -> None:
    lines = [json.dumps(session, allow_nan=False) + "\n" for session in sessions]
    files.write_text(sessions_file(run), "".join(lines))
