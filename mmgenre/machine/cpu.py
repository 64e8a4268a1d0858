"""Use of the processor by a training: a JAX device for each core, and large pages of memory.

XLA's CPU backend takes both from its surroundings when it starts, so this must run before JAX is
imported; it imports nothing heavy. What the user has set always wins. docs/performance.md has what
each of the two brings.
"""

import contextlib
import ctypes
import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from mmgenre.machine import environment

_DEVICES_FLAG: Final = "--xla_force_host_platform_device_count"
_THREADS_FLAG: Final = "--xla_cpu_multi_thread_eigen"

_ROWS_A_DEVICE: Final = 32
"""Fewer movies a device than this are not worth another copy of the parameters."""

_HEAP_BYTES: Final = 4 << 30
"""Addresses set aside for the heap; memory is taken only as it is touched."""

_HUGE_PAGE_BYTES: Final = 2 << 20
_MADV_HUGEPAGE: Final = 14
_M_TRIM_THRESHOLD: Final = -1  # From <malloc.h>, as the next two.
_M_MMAP_MAX: Final = -4
_M_ARENA_MAX: Final = -8


def use_all_cores(batch_size: int, environ: MutableMapping[str, str] = os.environ) -> None:
    """Prepares this process, the only one of its run, to train on the processor.

    Does nothing where JAX has an accelerator to train on instead.

    Args:
      batch_size: the global batch, which the devices must be able to share evenly.
      environ: where XLA finds its flags.
    """
    if environ.get("JAX_PLATFORMS") != "cpu" and _has_accelerator():
        return
    _split_into_devices(batch_size, environ)
    _keep_memory_in_huge_pages(environ)


def num_devices(batch_size: int, cores: int) -> int:
    """Returns how many devices are to share a batch: at most one a core, evenly."""
    most = max(1, min(cores, batch_size // _ROWS_A_DEVICE))
    return next(count for count in range(most, 0, -1) if batch_size % count == 0)


def available_cores() -> int:
    """Returns the cores that this process may use: by its affinity and by its container's quota."""
    cores = environment.num_cores() or 1
    quota = _container_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def _has_accelerator() -> bool:
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    return bool(plugins) or importlib.util.find_spec("libtpu") is not None


def _split_into_devices(batch_size: int, environ: MutableMapping[str, str]) -> None:
    flags = environ.get("XLA_FLAGS", "")
    if _DEVICES_FLAG in flags:
        return
    cores = available_cores()
    count = num_devices(batch_size, cores)
    if count == 1:
        return
    added = [f"{_DEVICES_FLAG}={count}"]
    if count == cores and _THREADS_FLAG not in flags:
        added.append(f"{_THREADS_FLAG}=false")  # No core is left for a device's further threads.
    environ["XLA_FLAGS"] = " ".join([*added, *flags.split()])


def _container_quota() -> float | None:
    """Returns the cores that Linux grants this container; None where it sets no limit."""
    with contextlib.suppress(OSError, ValueError):  # cgroup 2
        granted, period = Path("/sys/fs/cgroup/cpu.max").read_text("utf-8").split()
        return None if granted == "max" else int(granted) / int(period)
    with contextlib.suppress(OSError, ValueError):  # cgroup 1
        folder = Path("/sys/fs/cgroup/cpu")
        quota = int((folder / "cpu.cfs_quota_us").read_text("utf-8"))
        return None if quota < 0 else quota / int((folder / "cpu.cfs_period_us").read_text("utf-8"))
    return None


def _keep_memory_in_huge_pages(environ: MutableMapping[str, str]) -> None:
    """Makes glibc keep what is freed, in one heap, and asks Linux for huge pages under it.

    A step allocates hundreds of megabytes. By default they go back to the system each time, and
    come again as small pages that are zeroed one fault at a time. Does nothing elsewhere than on
    Linux with glibc, or where the environment already tunes malloc.
    """
    if any(name.startswith(("GLIBC_TUNABLES", "MALLOC_", "LD_PRELOAD")) for name in environ):
        return
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.sbrk.restype, libc.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.mallopt(_M_ARENA_MAX, 1)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, -1)
    start = libc.sbrk(0)
    libc.free(libc.malloc(_HEAP_BYTES))  # The heap grows, and with trimming off stays that large.
    start = -(-start // _HUGE_PAGE_BYTES) * _HUGE_PAGE_BYTES
    size = (libc.sbrk(0) - start) // _HUGE_PAGE_BYTES * _HUGE_PAGE_BYTES
    if size > 0:
        libc.madvise(start, size, _MADV_HUGEPAGE)  # Where Linux has none, it says so: no matter.
