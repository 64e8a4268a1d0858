"""Sessions of a run: when and with what it was trained, a line for each start of the program.

A run that was interrupted and resumed has several sessions, maybe on different machines.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any, Final

from etils import epath

from mmgenre.machine import environment, files
from mmgenre.machine.json_files import read_json_lines
from mmgenre.runs import format_version
from mmgenre.runs.directory import RunDirectory

FORMAT_VERSION: Final = 1
"""Of each line; raised whenever an older reader would misread a newer session."""


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
        format_version.KEY: FORMAT_VERSION,
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
    """Reads the sessions of a run, the oldest first; what follows a damaged line is left out.

    Raises:
      UserError: a newer version of the program wrote them.
    """
    path = sessions_file(run)
    sessions: list[dict[str, Any]] = []
    for session in read_json_lines(path) if path.exists() else ():
        try:
            format_version.require_known(path, session, FORMAT_VERSION)
        except ValueError:
            break
        if not _is_session(session):
            break
        sessions.append(session)
    return sessions


def _is_session(session: Any) -> bool:
    if not isinstance(session, dict) or not isinstance(session.get("started"), str):
        return False
    seconds, versions, hardware = (session.get(n) for n in ("seconds", "versions", "hardware"))
    if not isinstance(versions, dict) or not isinstance(hardware, dict):
        return False
    devices = hardware.get("devices")
    others = [value for name, value in hardware.items() if name != "devices"]
    return (
        (seconds is None or isinstance(seconds, int | float))
        and isinstance(devices, dict)
        and {"cpu", "cores", "system"} <= hardware.keys()
        and all(isinstance(count, int) for count in devices.values())
        and all(isinstance(v, str | int | float | None) for v in (*versions.values(), *others))
    )


def _write(run: RunDirectory, sessions: list[dict[str, Any]]) -> None:
    lines = [json.dumps(session, allow_nan=False) + "\n" for session in sessions]
    files.write_text(sessions_file(run), "".join(lines))
