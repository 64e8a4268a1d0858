"""Processes that train together: who they are, how they meet, agree and part.

Every process runs the same command. They find each other by `jax.distributed`: under Slurm, Open
MPI and Kubernetes from the environment, elsewhere from `--coordinator`, `--num_processes` and
`--process_id`.
"""

import contextlib
import dataclasses
import itertools
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, Self

import jax
import numpy as np

from mmgenre.distributed import gpu_share
from mmgenre.distributed.handshake import Invitation, is_loopback
from mmgenre.distributed.peer_watch import PeerWatch
from mmgenre.distributed.process_place import FINDS_COORDINATOR, Membership
from mmgenre.errors import Interrupted, RunError, UserError, first_line, report
from mmgenre.machine import devices

_log = logging.getLogger(__name__)

_HEARTBEAT_TIMEOUT_S: Final = 45
"""JAX's own watch, behind `PeerWatch`: ends a process whose threads no longer run."""

_SHUTDOWN_TIMEOUT_S: Final = 60
_A_DAY_MS: Final = 24 * 3600 * 1000


class Cluster:
    """This process' membership of a run, a context manager.

    Starts JAX's devices; with one process that is all.
    """

    def __init__(self, membership: Membership | None):
        self._membership = membership
        self._peers = PeerWatch()

    def __enter__(self) -> Self:
        if self._membership is None:
            devices.start()
            return self
        member = self._membership
        # JAX's service for preemption would take SIGTERM away from `mmgenre.machine.signals`.
        jax.config.update("jax_enable_preemption_service", False)
        known = member.coordinator is not None and member.cluster not in FINDS_COORDINATOR
        seen = gpu_share.visible(os.environ)
        ids = gpu_share.device_ids(member.local_rank, seen, os.environ)
        try:
            with _time_limit(member):
                jax.distributed.initialize(
                    member.coordinator,
                    member.num_processes,
                    member.process_id,
                    local_device_ids=ids or None,
                    coordinator_bind_address=_bind_address(member.coordinator),
                    cluster_detection_method="deactivate" if known else None,
                    initialization_timeout=2 * member.join_timeout_s,
                    heartbeat_timeout_seconds=_HEARTBEAT_TIMEOUT_S,
                    shutdown_timeout_seconds=_SHUTDOWN_TIMEOUT_S,
                )
        except Exception as error:
            raise RunError(f"{_cannot_join(member)}: {first_line(error)}") from error
        _refuse_shared_gpus(gpu_share.claim(ids, seen, os.environ))
        devices.start()
        self._watch_peers()
        _log.info(
            "process %d of %d, with %d of %d devices",
            jax.process_index(),
            jax.process_count(),
            jax.local_device_count(),
            jax.device_count(),
        )
        return self

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes logs, tables and reports."""
        return jax.process_index() == 0

    def _watch_peers(self) -> None:
        host = _state().coordinator_address.rpartition(":")[0].strip("[]")
        count = jax.process_count()
        try:
            invitation = on_first_process(lambda: _invitation(self._peers, host, count))
            if invitation is None or jax.process_index() == 0:
                return
            self._peers.connect(host, Invitation(*invitation), jax.process_index())
        except OSError as error:
            _log.warning(
                "no connection to process 0 at %s (%s): a process that dies will be noticed only "
                "by JAX, after %d seconds",
                host,
                error,
                _HEARTBEAT_TIMEOUT_S,
            )

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if self._membership is None:
            return
        if error is not None and not isinstance(error, Interrupted):
            # An orderly shutdown waits for all processes, which may wait for this one.
            code = report(error) if isinstance(error, Exception) else 1
            sys.stdout.flush()
            sys.stderr.flush()
            time.sleep(1)  # Others with the same error shall say so, not that this one died.
            os._exit(code)
        self._peers.leave()
        jax.distributed.shutdown()


def _refuse_shared_gpus(claim: gpu_share.Claim) -> None:
    """Raises UserError, on all processes, where two of them would take the same GPU.

    Before JAX starts its devices, which takes most of their memory.
    """
    state, folder = _state(), "mmgenre/gpus"
    client = state.client
    client.key_value_set(
        f"{folder}/{state.process_id}", json.dumps(dataclasses.astuple(claim), allow_nan=False)
    )
    if state.process_id == 0:
        claims = [
            gpu_share.Claim(*json.loads(client.blocking_key_value_get(f"{folder}/{i}", _A_DAY_MS)))
            for i in range(state.num_processes)
        ]
        client.key_value_set(f"{folder}/shared", gpu_share.shared(claims) or "-")
    shared = client.blocking_key_value_get(f"{folder}/shared", _A_DAY_MS)
    if shared != "-":
        client.wait_at_barrier(f"{folder}/read", timeout_in_ms=10_000)
        raise UserError(shared)


def _invitation(peers: PeerWatch, host: str, num_processes: int) -> tuple[Any, ...] | None:
    """Listens, as process 0; returns the fields of an invitation, None where it cannot."""
    try:
        return dataclasses.astuple(peers.listen(host, num_processes))
    except OSError as error:
        _log.warning("cannot listen for the other processes: %s", error)
        return None


def _bind_address(coordinator: str | None) -> str | None:
    """Where JAX's own service listens: not beyond this machine where all processes are on it."""
    host = (coordinator or "").rpartition(":")[0].strip("[]")
    return coordinator if is_loopback(host) else None


def _cannot_join(member: Membership) -> str:
    where = member.coordinator or f"the address that {member.cluster} gives"
    return (
        f"cannot join the other processes at {where} as process {member.process_id} of "
        f"{member.num_processes}"
    )


@contextlib.contextmanager
def _time_limit(member: Membership) -> Iterator[None]:
    """Ends the process where what is within takes too long: JAX would abort it, with a trace."""

    def give_up() -> NoReturn:
        error = RunError(  # Counted as a failure: else it would be tried again for ever.
            f"{_cannot_join(member)}: not all were there after {member.join_timeout_s} s. Start "
            "all of them, with the same coordinator, whose port must be open between the machines "
            "(--join_timeout waits longer)"
        )
        code = report(error)
        sys.stderr.flush()
        os._exit(code)

    timer = threading.Timer(member.join_timeout_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


_calls = itertools.count()


def on_first_process(action: Callable[[], Any]) -> Any:
    """Runs `action` on process 0 alone; all processes return its result, which must fit JSON.

    The others wait, without a time limit that a long preparation could exceed.

    Raises:
      UserError: on all processes, where `action` raises it.
    """
    if jax.process_count() == 1:
        return action()
    client = _state().client
    key = f"mmgenre/on_first_process/{next(_calls)}"
    if jax.process_index() == 0:
        try:
            outcome = {"result": action()}
        except UserError as error:
            outcome = {"error": str(error)}
        client.key_value_set(key, json.dumps(outcome, allow_nan=False))
    else:
        outcome = json.loads(client.blocking_key_value_get(key, _A_DAY_MS))
    if "error" in outcome:
        # Process 0 holds the store: it must not be gone before all have read from it.
        client.wait_at_barrier(f"{key}/read", timeout_in_ms=10_000)
        raise UserError(outcome["error"])
    return outcome["result"]


def largest(value: int) -> int:
    """Returns the largest `value` of all processes; all must call it."""
    if jax.process_count() == 1:
        return value
    # Imported here: it costs a tenth of a second, and most runs have one process.
    from jax.experimental import multihost_utils

    return int(multihost_utils.process_allgather(value).max())


def of_first_process(arrays: Any) -> Any:
    """Returns process 0's values of a pytree of NumPy arrays, of the same shapes on all processes.

    To the last bit, the sign of a zero included: bytes are sent, since JAX adds zeros to them.

    What each computes for itself may differ in the last bits, by its processor or its threads, and
    then so would the parameters that all take for the same.
    """
    if jax.process_count() == 1:
        return arrays
    from jax.experimental import multihost_utils

    as_bytes = jax.tree.map(lambda x: np.frombuffer(x.tobytes(), np.uint8), arrays)
    received = multihost_utils.broadcast_one_to_all(as_bytes)
    return jax.tree.map(
        lambda x, like: np.frombuffer(x.tobytes(), like.dtype).reshape(like.shape), received, arrays
    )


def _state() -> Any:
    """JAX's distributed state; Orbax, too, reaches for this private module: there is no other."""
    from jax._src import distributed

    return distributed.global_state
