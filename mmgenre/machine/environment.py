"""Versions, hardware and time that a run was made with. Names no machine and no person."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any, Final

import mmgenre

_PACKAGES: Final = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "clu",
    "tensorflow-cpu",
    "tensorflow",
    "tensorflow-datasets",
    "numpy",
    "scikit-learn",
    "tokenizers",
    "pillow",
)


def versions() -> dict[str, str]:
    """Returns the versions of this program, of Python and of the libraries that decide results."""
    found = {"mmgenre": mmgenre.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Returns the devices, the processor, its cores and the memory, as people would say them."""
    import jax

    kinds = [device.device_kind for device in jax.devices()]
    return {
        "devices": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "platform": jax.default_backend(),
        "processes": jax.process_count(),
        "cpu": cpu_name(),
        "cores": num_cores(),
        "memory_gib": memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def now() -> str:
    """The time, to the second, in UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """Returns a time as people would say it, such as "2 min 5 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def num_cores() -> int | None:
    """Returns the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def cpu_name() -> str:
    """Returns the processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_gib() -> float | None:
    """Returns the machine's memory in GiB, where the system says."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None
