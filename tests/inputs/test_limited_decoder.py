"""The process that decodes under limits: what ends there costs one picture and no more."""

import concurrent.futures
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from mmgenre.inputs import decoder_child, image_file
from mmgenre.inputs.limited_decoder import LimitedDecoder
from mmgenre.inputs.poster_decoder import LimitError, decode_poster
from tests.commands import ROOT, environment
from tests.hostile import pictures


@pytest.fixture
def decoder():
    decoder = LimitedDecoder()
    yield decoder
    decoder.close()


SMALL = image_file.parse(pictures.file("JPEG"))
EXPECTED = decode_poster(pictures.file("JPEG")).tobytes()


def test_one_process_serves_many_files_and_threads(decoder):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: decoder.decode(SMALL, 64), range(40)))
    assert found == {EXPECTED}
    pid = decoder._child.pid
    assert decoder.decode(SMALL, 64) == EXPECTED and decoder._child.pid == pid
    decoder.close()
    assert not psutil.pid_exists(pid)
    assert decoder.decode(SMALL, 64) == EXPECTED  # A new one.


def test_a_process_that_is_killed_costs_one_picture(decoder):
    large = image_file.parse(pictures.clear_png())
    decoder.decode(SMALL, 64)
    pid = decoder._child.pid
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(LimitError, match=r"the decoder ended \(SIGKILL\)"):
        decoder.decode(large, 64)
    assert not psutil.pid_exists(pid)
    assert decoder.decode(SMALL, 64) == EXPECTED


_LIMITED = """
import sys
from mmgenre.inputs import decoder_child
decoder_child.MEMORY, decoder_child.SECONDS = int(sys.argv[1]), float(sys.argv[2])
decoder_child.main()
"""


def _serve(memory: int, seconds: float, files) -> tuple[list[tuple[int, bytes]], int]:
    """What a child with other limits answers, and how it ends."""
    requests = [pickle.dumps(file) for file in files]
    process = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(memory), str(seconds)],
        input=b"".join(decoder_child.REQUEST.pack(64, len(r)) + r for r in requests),
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    answers, output = [], process.stdout
    while output:
        outcome, length = decoder_child.ANSWER.unpack_from(output)
        end = decoder_child.ANSWER.size + length
        answers.append((outcome, output[decoder_child.ANSWER.size : end]))
        output = output[end:]
    return answers, process.returncode


def test_memory_is_limited_and_the_process_goes_on():
    large = image_file.parse(pictures.clear_png())
    answers, code = _serve(200 << 20, 10, [SMALL, large, SMALL])
    assert answers == [(0, EXPECTED), (2, b"it takes too much memory"), (0, EXPECTED)]
    assert code == 0


def test_processor_time_is_limited():
    large = image_file.parse(pictures.clear_png())
    answers, code = _serve(1 << 30, 0.2, [SMALL, large, SMALL])
    assert answers == [(0, EXPECTED)] and code == -signal.SIGPROF


def test_the_reason_says_that_time_was_up(decoder, monkeypatch):
    decoder.decode(SMALL, 64)
    threading.Timer(0.2, os.kill, (decoder._child.pid, signal.SIGPROF)).start()
    with pytest.raises(LimitError, match="it takes more than 10 seconds"):
        decoder.decode(image_file.parse(pictures.clear_png()), 64)


_ENDED = """
import os, sys, time
from mmgenre.inputs import limited_decoder
from tests.inputs.test_limited_decoder import SMALL
limited_decoder.shared.decode(SMALL, 64)
print(limited_decoder.shared._child.pid, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("how", ["killed", "done"])
def test_it_ends_with_its_parent_and_says_nothing(how):
    process = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", _ENDED, how],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.stderr == "" and process.returncode == (-9 if how == "killed" else 0)
    end = time.monotonic() + 20
    while psutil.pid_exists(int(process.stdout)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not psutil.pid_exists(int(process.stdout))


_FORKED = """
import os
from mmgenre.inputs.limited_decoder import shared
from tests.inputs.test_limited_decoder import EXPECTED, SMALL
assert shared.decode(SMALL, 64) == EXPECTED
before = shared._child.pid
if os.fork() == 0:
    assert shared.decode(SMALL, 64) == EXPECTED and shared._child.pid != before
    shared.close()
    os._exit(0)
assert os.wait()[1] == 0
assert shared.decode(SMALL, 64) == EXPECTED and shared._child.pid == before
"""


def test_a_forked_process_starts_its_own():
    process = subprocess.run(
        [sys.executable, "-c", _FORKED],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
