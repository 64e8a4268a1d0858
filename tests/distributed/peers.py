"""Processes that watch over each other and do nothing else, for tests."""

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

from tests.commands import ROOT

_PEER = textwrap.dedent(
    """
    import dataclasses, json, sys, time
    from mmgenre.distributed.handshake import Invitation
    from mmgenre.distributed.peer_watch import PeerWatch
    host, process_id, count, invitation = sys.argv[1:]
    watch = PeerWatch()
    if process_id == "0":
        invitation = watch.listen(host, int(count))
        print(json.dumps(dataclasses.asdict(invitation)), flush=True)
    else:
        watch.connect(host, Invitation(**json.loads(invitation)), int(process_id))
        print("connected", flush=True)
    if sys.stdin.readline() == "leave\\n":
        watch.leave()
    else:
        time.sleep(60)
    """
)


def start_peer(
    process_id: int, invitation: dict | None = None, *, count: int = 3, host: str = "localhost"
) -> subprocess.Popen:
    """Starts one process; process 0 writes its invitation, the others "connected"."""
    return subprocess.Popen(
        [sys.executable, "-c", _PEER, host, str(process_id), str(count), json.dumps(invitation)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_peers(
    before: Callable[[dict], None] = lambda invitation: None, host: str = "localhost"
) -> list[subprocess.Popen]:
    """Starts three processes, which have found each other.

    Args:
      before: called with the invitation of process 0 before the others are started.
      host: that the others call at.
    """
    first = start_peer(0, host=host)
    invitation = json.loads(first.stdout.readline())
    before(invitation)
    others = [start_peer(index, invitation, host=host) for index in (1, 2)]
    for other in others:
        assert other.stdout.readline() == "connected\n", other.stderr.read()
    time.sleep(0.3)
    return [first, *others]


def leave(processes: list[subprocess.Popen]) -> None:
    """Lets all processes say goodbye, and asserts that none complains."""
    for process in processes:
        process.stdin.write("leave\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")
