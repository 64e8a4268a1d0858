"""The prediction server, on loopback, by the real command."""

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.commands import ROOT, environment

PAGE = ROOT / "docs" / "serving.md"
PORT = "http://127.0.0.1:8000"


@dataclass
class Server:
    """A server that answers.

    Attributes:
      address: such as http://127.0.0.1:8000.
      process: the command.
      log: the file that has what it says on standard error.
    """

    address: str
    process: subprocess.Popen
    log: Path

    def metric(self, client, name: str) -> float:
        """Returns the sum of a metric's series."""
        text = client.get("/metrics").text
        return sum(map(float, re.findall(rf"(?m)^{name}(?:\{{.*\}})? (\S+)$", text)))


def page_commands() -> list[str]:
    """The commands of docs/serving.md, in their order."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def run_command(line: str, address: str, folder: Path) -> Any:
    """Runs a command of the page against a server; returns what it prints, JSON read."""
    assert PORT in line, line
    process = subprocess.run(
        ["bash", "-c", line.replace(PORT, address).replace("curl ", "curl --silent --fail ")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, (line, process.stderr)
    return json.loads(process.stdout) if process.stdout.startswith("{") else process.stdout


@contextlib.contextmanager
def served(run: Path, log: Path, *options: str, **variables: str) -> Iterator[Server]:
    """Serves a run or a bundle; ends the server if it has not ended.

    Args:
      run: its folder.
      log: a file for what it says on standard error.
      *options: more options.
      **variables: of the environment.
    """
    command = [sys.executable, "-m", "mmgenre.serve", "--run", str(run), "--port", "0", *options]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment() | variables,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, (line, log.read_text())
            yield Server(found[0], process, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
