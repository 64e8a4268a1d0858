"""Limits that this process sets itself, for work that strangers' files could make endless."""

import contextlib
import signal
from collections.abc import Iterator

try:
    import resource
except ImportError:  # Windows.
    resource = None  # type: ignore[assignment]


def limit_memory(more: int) -> None:
    """Makes allocations fail that go beyond what this process has now and `more` bytes.

    What it has now is counted as address space, which shared libraries take much of. Does nothing
    where the system does not say how much that is.
    """
    try:
        with open("/proc/self/statm", "rb") as file:
            limit = int(file.read().split()[0]) * resource.getpagesize() + more
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            limit = min(limit, most)
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    except (OSError, ValueError, AttributeError):
        return


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Ends this process by SIGPROF when the block takes more processor time than so many seconds.

    Processor time, so that a machine with other work to do ends nothing. Not for a process that
    has anything to lose: it ends in the midst of whatever it does.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
