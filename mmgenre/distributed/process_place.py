"""A process' place in a run of several: what the command line and the environment say of it.

Imports nothing heavy, so that a mistake on the command line is answered at once.
"""

import dataclasses
import importlib.util
import re
from collections.abc import Mapping
from typing import Final, Self

from mmgenre.errors import UserError

JOIN_TIMEOUT_S: Final = 300

FINDS_COORDINATOR: Final = ("slurm", "ompi")
"""The clusters of which JAX finds out everything by itself."""

_READ_BY_JAX: Final = {
    "slurm": {
        "SLURM_JOB_ID": r"\d+",
        "SLURM_STEP_NODELIST": r"\w[\w.-]*(\[[\d,-]+\][\w.-]*)?(,.+)?",
        "SLURM_NTASKS": r"\d+",
        "SLURM_PROCID": r"\d+",
        "SLURM_LOCALID": r"\d+",
    },
    "ompi": {
        "OMPI_MCA_orte_hnp_uri": r"\d+\.\d+;(tcp://[\d.]+[,:]|tcp6://\[[\da-fA-F:]+[,\]]).*",
        "OMPI_COMM_WORLD_SIZE": r"\d+",
        "OMPI_COMM_WORLD_RANK": r"\d+",
        "OMPI_COMM_WORLD_LOCAL_RANK": r"\d+",
    },
}
"""The variables without which JAX finds nobody, and the forms of them that it can read."""

_MEND: Final = (
    "start all processes as launch/README.md says, or give --coordinator <host of process 0>:<port>"
    ", --num_processes and --process_id"
)


@dataclasses.dataclass(frozen=True)
class Membership:
    """A process' place in a run of several.

    Attributes:
      coordinator: "host:port" of process 0; None where JAX finds it out.
      num_processes: of the run; None where JAX finds it out.
      process_id: of this process; None where JAX finds it out.
      cluster: what was detected: "slurm", "ompi", "k8s"; empty for none.
      local_rank: of this process among those on its host, by which it takes a GPU; None where
        nothing says it.
      join_timeout_s: so long it waits at the start until all processes are there.
    """

    coordinator: str | None
    num_processes: int | None
    process_id: int | None
    cluster: str = ""
    local_rank: int | None = None
    join_timeout_s: int = JOIN_TIMEOUT_S

    @classmethod
    def detect(
        cls,
        coordinator: str | None,
        num_processes: int | None,
        process_id: int | None,
        environ: Mapping[str, str],
        local_rank: int | None = None,
    ) -> Self | None:
        """Completes what the flags say by what the environment says.

        Returns:
          None for a run of one process.

        Raises:
          UserError: something is missing, cannot be read, or the numbers do not fit.
        """
        environ = {name: value.strip() for name, value in environ.items() if value.strip()}
        coordinator = coordinator or environ.get("JAX_COORDINATOR_ADDRESS")
        found = _detect_cluster(environ)
        if num_processes is None:
            num_processes = _number(environ, found.count, least=1)
        if num_processes == 1:
            return None
        if process_id is None:
            process_id = _number(environ, found.index, least=0)
        if coordinator is None and num_processes is None and process_id is None:
            return None
        if coordinator is not None:
            _check_coordinator(coordinator)
        elif found.cluster in FINDS_COORDINATOR:
            _require_what_jax_reads(found.cluster, environ)
        if found.cluster == "k8s" and None in (coordinator, num_processes):
            _require_kubernetes_api(process_id, environ)
        elif None in (num_processes, process_id) or (
            coordinator is None and found.cluster not in FINDS_COORDINATOR
        ):
            raise UserError(
                "several processes need --coordinator <host of process 0>:<port>, --num_processes "
                f"and --process_id; known are {coordinator}, {num_processes} and {process_id}"
            )
        if num_processes is not None and process_id is not None and process_id >= num_processes:
            raise UserError(
                f"--process_id (or {found.index}) is {process_id}, but it must be 0 to "
                f"{num_processes - 1}: one less than --num_processes (or {found.count}), "
                f"{num_processes}, at most"
            )
        if local_rank is None and found.local_index:
            local_rank = _number(environ, found.local_index, least=0)
        return cls(coordinator, num_processes, process_id, found.cluster, local_rank)


@dataclasses.dataclass(frozen=True)
class _Found:
    """What started the process: its name, and the variables of the numbers."""

    cluster: str
    count: str
    index: str
    local_index: str = ""


def _detect_cluster(environ: Mapping[str, str]) -> _Found:
    if "SLURM_STEP_NODELIST" in environ and "SLURM_PROCID" in environ:  # Only within `srun`.
        count = "SLURM_NTASKS" if "SLURM_NTASKS" in environ else "SLURM_STEP_NUM_TASKS"
        return _Found("slurm", count, "SLURM_PROCID", "SLURM_LOCALID")
    if "OMPI_COMM_WORLD_SIZE" in environ or "OMPI_COMM_WORLD_RANK" in environ:
        # Open MPI 5 no longer says where its first process runs: then --coordinator is needed.
        cluster = "ompi" if "OMPI_MCA_orte_hnp_uri" in environ else ""
        local = "OMPI_COMM_WORLD_LOCAL_RANK"
        return _Found(cluster, "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", local)
    if "JOB_COMPLETION_INDEX" in environ:  # A pod of an indexed Job.
        return _Found("k8s", "JAX_NUM_PROCESSES", "JOB_COMPLETION_INDEX")
    return _Found("", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def _number(environ: Mapping[str, str], name: str, least: int) -> int | None:
    """Returns the number in a variable, None where it is not set."""
    value = environ.get(name)
    if value is None:
        return None
    # Not `str.isdigit` alone, which takes "\N{SUPERSCRIPT TWO}" for a digit.
    if not re.fullmatch("[0-9]{1,9}", value) or int(value) < least:
        raise UserError(
            f"{name} is {value[:40]!r}, but it must be a whole number, at least {least}: {_MEND}"
        )
    return int(value)


def _check_coordinator(coordinator: str) -> None:
    match = re.fullmatch(r"(\[[^\[\]\s]+\]|[^\[\]:\s]+):([0-9]{1,5})", coordinator)
    if not match or not 0 < int(match[2]) < 1 << 16:
        raise UserError(
            f"--coordinator (or JAX_COORDINATOR_ADDRESS) is {coordinator[:200]!r}, but it must be "
            "<host>:<port>, or [<IPv6 address>]:<port>"
        )


def _require_what_jax_reads(cluster: str, environ: Mapping[str, str]) -> None:
    """Raises UserError where JAX would find nobody, or could not read what it finds."""
    for name, form in _READ_BY_JAX[cluster].items():
        value = environ.get(name)
        if value is None:
            raise UserError(
                f"this process is one of several by its environment, but {name} is not set: {_MEND}"
            )
        if not re.fullmatch(form, value, re.ASCII):
            raise UserError(f"{name} is {value[:200]!r}, which says nothing to JAX: {_MEND}")


def _require_kubernetes_api(process_id: int | None, environ: Mapping[str, str]) -> None:
    """Raises UserError where JAX cannot ask the Kubernetes API for what a pod was not told."""
    if "KUBERNETES_SERVICE_HOST" in environ and importlib.util.find_spec("kubernetes"):
        return
    raise UserError(
        f"this is pod {process_id} of an indexed Job, and nothing says how many train together: "
        "set JAX_NUM_PROCESSES (1 where each pod trains alone) and JAX_COORDINATOR_ADDRESS as "
        "launch/kubernetes.yaml does, or install the package 'kubernetes' and let the pod's "
        "service account read pods and jobs"
    )
