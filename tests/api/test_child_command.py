"""Commands in a process of their own: what they print, how they fail, how they are ended."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from mmgenre.api import child_command
from mmgenre.errors import UserError
from tests.commands import environment

DEMO = "data_prep.demo_corpus"
MANY = ["--movies", "1000000", "--out"]  # More than it will ever come to.


def test_what_it_prints_appears_and_nothing_of_the_caller_changes(tmp_path, capfd):
    handlers = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    child_command.run(DEMO, ["--movies", "3", "--out", str(tmp_path / "a")])
    assert "The demo corpus of 3 movies is in" in capfd.readouterr().out
    child_command.run(DEMO, ["--movies", "3", "--out", str(tmp_path / "b")], shown="progress")
    assert (tmp_path / "b" / "movies_metadata.csv").is_file()
    assert capfd.readouterr() == ("", "")
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_mistake_is_the_sentence_that_the_command_prints(tmp_path, capfd):
    with pytest.raises(UserError, match=r"^A demo corpus needs at least 1 movie, not 0\.$"):
        child_command.run(DEMO, ["--movies", "0", "--out", str(tmp_path / "a")])
    assert capfd.readouterr() == ("", "")


def caller(out) -> tuple[subprocess.Popen, psutil.Process]:
    """A process that runs a command that takes long, and the process of the command."""
    code = f"from mmgenre.api import child_command as c; c.run({DEMO!r}, {[*MANY, str(out)]!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not any(out.parent.iterdir()):  # Until it writes.
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    (child,) = psutil.Process(process.pid).children()
    return process, child


def test_ctrl_c_is_passed_on_and_raised_once_the_command_has_tidied_up(tmp_path):
    process, child = caller(tmp_path / "corpus")
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=30)
    assert "SIGINT: stopped" in printed and printed.rstrip().endswith("KeyboardInterrupt")
    assert "go on with: python -m data_prep.demo_corpus --movies" in printed
    assert not child.is_running() and not (tmp_path / "corpus").exists()


def test_a_command_ends_when_its_caller_is_killed(tmp_path):
    process, child = caller(tmp_path / "corpus")
    process.kill()
    process.communicate()
    assert child.wait(30) is None and not child.is_running()
