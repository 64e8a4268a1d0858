"""Which of a host's GPUs a process takes, and whether two processes would take the same.

JAX gives a process all GPUs that it sees unless told otherwise, and most of their memory: a second
one on the host then fails for lack of memory, or both run at half the speed. Imports nothing heavy.
"""

import dataclasses
import importlib.util
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmgenre.errors import UserError


@dataclasses.dataclass(frozen=True)
class Claim:
    """What a process takes.

    Attributes:
      host: tells machines apart, and containers on one machine.
      gpus: names of GPUs on that host; empty where it takes none, or where nobody knows.
    """

    host: str
    gpus: tuple[str, ...]


def visible(environ: Mapping[str, str]) -> list[str]:
    """Returns the names of the GPUs that CUDA shows this process; none where JAX has no CUDA."""
    platforms = environ.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu"} & set(platforms.split(",")):
        return []
    if not any(importlib.util.find_spec(f"jax_cuda{n}_plugin") for n in (12, 13)):
        return []
    if "CUDA_VISIBLE_DEVICES" in environ:
        names = environ["CUDA_VISIBLE_DEVICES"].split(",")
        return [name.strip() for name in names if name.strip() not in ("", "-1")]
    found = (re.fullmatch(r"nvidia(\d+)", path.name) for path in Path("/dev").glob("nvidia*"))
    return [str(number) for number in sorted(int(match[1]) for match in found if match)]


def device_ids(
    local_rank: int | None, seen: Sequence[str], environ: Mapping[str, str]
) -> list[int]:
    """Returns the numbers of the GPUs to take, among those that CUDA shows; empty for all.

    The one of the local rank; but a launcher that shows each process one GPU has chosen already.

    Args:
      local_rank: of this process among those on its host; None where nothing says it.
      seen: as of `visible`.
      environ: JAX_LOCAL_DEVICE_IDS in it wins.

    Raises:
      UserError: there are fewer GPUs than that.
    """
    if ids := environ.get("JAX_LOCAL_DEVICE_IDS", "").strip():
        if not re.fullmatch(r"\d{1,4}(,\d{1,4})*", ids, re.ASCII):
            raise UserError(f"JAX_LOCAL_DEVICE_IDS is {ids[:40]!r}, but it must be like 0 or 0,1")
        return [int(number) for number in ids.split(",")]
    if local_rank is None:
        return []
    if len(seen) == 1:
        return [0]
    if seen and local_rank >= len(seen):
        raise UserError(
            f"this process has local rank {local_rank}, but sees only {len(seen)} GPUs "
            f"({', '.join(seen)}); start at most one process a GPU on each host"
        )
    return [local_rank]


def claim(ids: Sequence[int], seen: Sequence[str], environ: Mapping[str, str]) -> Claim:
    """Returns what a process takes that was given the GPUs with these numbers."""
    taken = [seen[number] for number in ids if number < len(seen)] if ids else seen
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except OSError:
        boot = ""
    # Containers of one machine may each see another GPU under the same name.
    shown = environ.get("NVIDIA_VISIBLE_DEVICES", "")
    return Claim(f"{socket.gethostname()} {boot} {shown}", tuple(taken))


def shared(claims: Sequence[Claim]) -> str:
    """Returns what to tell the user where two processes take the same GPU; empty if none do."""
    takers: dict[tuple[str, str], int] = {}
    for process, one in enumerate(claims):
        for gpu in one.gpus:
            other = takers.setdefault((one.host, gpu), process)
            if other != process:
                return (
                    f"processes {other} and {process} on {one.host.split()[0]} would share GPU "
                    f"{gpu}; give each process of a host --local_rank 0, 1 and so on, or a "
                    "CUDA_VISIBLE_DEVICES of its own, or start one process a host: it uses all "
                    "its GPUs"
                )
    return ""
