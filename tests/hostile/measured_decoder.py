"""`python -m tests.hostile.measured_decoder`: decodes files, and says what each took.

For each path on stdin one JSON object: what came of it, processor seconds and peak MiB, of this
process and of the one with limits.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from mmgenre.errors import UserError
from mmgenre.inputs import limited_decoder
from mmgenre.inputs.poster_decoder import decode_poster
from tests.commands import ROOT, environment


class MeasuredDecoder:
    """The process. A context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment(),
            text=True,
        )

    def __enter__(self) -> "MeasuredDecoder":
        return self

    def __exit__(self, *unused: object) -> None:
        self._process.communicate(timeout=60)

    def decode(self, path: Path) -> dict[str, object]:
        """Returns what decoding a file came to and took."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(path, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def _processes() -> list[int]:
    child = limited_decoder.shared._child
    return [os.getpid(), *([child.pid] if child is not None else [])]


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) >> 10 if found else 0


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(path: str) -> dict[str, object]:
    """Decodes one file."""
    data = Path(path).read_bytes()
    before = {pid: _processor_seconds(pid) for pid in _processes()}
    ended = os.times().children_user + os.times().children_system
    for pid in before:
        _forget_peak(pid)
    try:
        decode_poster(data)
        result = "decoded"
    except UserError as error:
        result = str(error)
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    after = _processes()
    seconds = sum(_processor_seconds(pid) - before.get(pid, 0.0) for pid in after)
    return {
        "result": result,
        "seconds": seconds + os.times().children_user + os.times().children_system - ended,
        "mib": [_peak(pid) for pid in after],
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(measure(line.rstrip("\n"))), flush=True)
