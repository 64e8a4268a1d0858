"""Signals to every real command, at any moment: one line, its exit code, nothing half done left."""

import csv
import json
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.every_command import COMMANDS, SERVERS, Command, Inputs
from tests.scale_helpers import ended, finish, start, wait_for_handlers

PROGRESS = re.compile(
    r"\w+: ([\d,]+ |done before|\S+ is )|explanation: |\d{4}-\d\d-\d\d |"
    r"SIG\w+: (finishing the step|answering what has come in)"
)
"""Lines that a command prints while all is well."""

MOMENTS = 10
GONE_S = 30.0
"""Until a child must have ended; one that trains saves first."""


@pytest.fixture
def inputs(demo_corpus, tiny_dataset, tiny_run, tmp_path):
    table = tmp_path / "movies.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "title", "overview"))
        writer.writerows((n, f"Map {n}", f"A boy finds map {n}.") for n in range(6_000))
    folder = tmp_path / "out"
    folder.mkdir()
    return Inputs(Path(demo_corpus), tiny_dataset, tiny_run, table, folder)


def start_command(command: Command, inputs: Inputs) -> subprocess.Popen:
    """Starts it as the leader of a session."""
    return start(command.module, *command.arguments(inputs), start_new_session=True)


def interrupt(command: Command, inputs: Inputs, signum: int, wait: float) -> int:
    """Sends a signal some seconds after a command has begun to catch it; returns the exit code."""
    process = start_command(command, inputs)
    with ended(process):
        wait_for_handlers(process)
        time.sleep(wait)
        process.send_signal(signum)
        output, errors = process.communicate(timeout=120)
    if signum != signal.SIGKILL and process.returncode != 0:
        assert_one_line(command, signum, process.returncode, errors)
    assert "Traceback" not in output + errors
    deadline = time.monotonic() + GONE_S
    while left := list(session(process.pid)):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    return process.returncode


def assert_one_line(command: Command, signum: int, code: int, errors: str) -> None:
    *before, line = errors.splitlines()
    assert code == 128 + signum, errors
    assert line.startswith(f"{signal.Signals(signum).name}: "), errors
    assert f"; go on with: python -m {command.module} " in line
    assert [other for other in before if not PROGRESS.match(other)] == []


def session(leader: int) -> Iterator[list[str]]:
    """The processes that a command has left behind."""
    for process in psutil.process_iter():
        try:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                yield process.cmdline()
        except (psutil.Error, OSError):
            continue


@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_ends_a_command_in_one_line(inputs, name):
    number = list(COMMANDS).index(name)
    signals = (signal.SIGINT, signal.SIGTERM)
    assert interrupt(COMMANDS[name], inputs, signals[number % 2], 0.0) > 128
    interrupt(COMMANDS[name], inputs, signals[1 - number % 2], 0.5 + 0.5 * (number % 4))
    assert_whole_or_absent(inputs.folder, COMMANDS[name].results)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_anywhere_and_run_again(inputs, name):
    command, rng = COMMANDS[name], random.Random(name)
    seconds = run_to_the_end(command, inputs)
    first = inputs.folder.rename(inputs.folder.with_name("first"))
    inputs.folder.mkdir()
    for _ in range(MOMENTS):
        signum = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM))
        wait = rng.uniform(0, seconds)
        code = interrupt(command, inputs, signum, wait)
        print(f"{name}: {signum.name} after {wait:.1f} s: exit code {code}", flush=True)
        assert_whole_or_absent(inputs.folder, command.results)
        if command.results and all((inputs.folder / r).exists() for r in command.results):
            shutil.rmtree(inputs.folder)  # It was done: begin anew.
            inputs.folder.mkdir()
    run_to_the_end(command, inputs)
    assert names(inputs.folder) == names(first)
    for result in command.results if command.same else ():
        assert (inputs.folder / result).read_bytes() == (first / result).read_bytes(), result


def run_to_the_end(command: Command, inputs: Inputs) -> float:
    """Returns the seconds that it took after it began to catch signals."""
    process = start_command(command, inputs)
    with ended(process):
        wait_for_handlers(process)
        begun = time.monotonic()
        if command.module in SERVERS:
            assert SERVERS[command.module] in process.stdout.readline()
            process.send_signal(signal.SIGINT)
        code, output = finish(process)
    assert code == (130 if command.module in SERVERS else 0), output
    return time.monotonic() - begun


def assert_whole_or_absent(folder: Path, results: tuple[str, ...]) -> None:
    for path in map(folder.joinpath, results):
        if path.suffix == ".json" and path.exists():
            json.loads(path.read_text())
        elif path.suffix == ".html" and path.exists():
            assert path.read_text().rstrip().endswith("</html>")
        elif path.exists():
            assert path.stat().st_size > 1_000


def names(folder: Path) -> set[str]:
    """What a command left, but for what TensorBoard and Orbax name by time and at random."""
    paths = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return {
        path for path in paths if "events.out" not in path and not re.search(r"/(ocdbt\.|d/)", path)
    }
