"""The machine that a benchmark ran on: a figure says little without it."""

import os
import time
from typing import Any

from mmgenre.machine import environment


def describe_machine() -> dict[str, Any]:
    """Returns processor, cores, memory, versions, the time, and how busy the machine was."""
    return {
        "cpu": environment.cpu_name(),
        "cores": environment.num_cores(),
        "memory_gib": environment.memory_gib(),
        "load": round(os.getloadavg()[0], 1),
        "utc": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "versions": environment.versions(),
    }
