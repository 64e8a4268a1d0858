"""A process' place in a run of several: what the command line and the environment say of it.

Imports nothing heavy, so that a mistake on the command line is answered at once.
"""

import dataclasses
import importlib.util
from collections.abc import Mapping
from typing import Final, Self

from mmgenre.errors import UserError

FINDS_COORDINATOR: Final = ("slurm", "ompi")
"""The clusters of which JAX finds out everything by itself."""


@dataclasses.dataclass(frozen=True)
class Membership:
    """A process' place in a run of several.

    Attributes:
      coordinator: "host:port" of process 0; None where JAX finds it out.
      num_processes: of the run; None where JAX finds it out.
      process_id: of this process; None where JAX finds it out.
      cluster: what was detected: "slurm", "ompi", "k8s"; empty for none.
    """

    coordinator: str | None
    num_processes: int | None
    process_id: int | None
    cluster: str = ""

    @classmethod
    def detect(
        cls,
        coordinator: str | None,
        num_processes: int | None,
        process_id: int | None,
        environ: Mapping[str, str],
    ) -> Self | None:
        """Completes what the flags say by what the environment says.

        Returns:
          None for a run of one process.

        Raises:
          UserError: something is missing, or the numbers do not fit.
        """
        coordinator = coordinator or environ.get("JAX_COORDINATOR_ADDRESS") or None
        cluster, count, index = _detect_cluster(environ)
        num_processes = count if num_processes is None else num_processes
        process_id = index if process_id is None else process_id
        if num_processes == 1:
            return None
        if coordinator is None and num_processes is None and process_id is None:
            return None
        if cluster in FINDS_COORDINATOR:
            pass  # JAX asks Slurm or Open MPI 4 for what is missing.
        elif cluster == "k8s" and None in (coordinator, num_processes):
            _require_kubernetes_api(process_id, environ)
        elif None in (coordinator, num_processes, process_id):
            raise UserError(
                "several processes need --coordinator <host of process 0>:<port>, --num_processes "
                f"and --process_id; known are {coordinator}, {num_processes} and {process_id}"
            )
        if coordinator is not None and not coordinator.rpartition(":")[2].isdigit():
            raise UserError(f"--coordinator is {coordinator!r}, but it must be <host>:<port>")
        if (
            num_processes is not None
            and process_id is not None
            and not 0 <= process_id < num_processes
        ):
            raise UserError(
                f"--process_id is {process_id}, but it must be 0 to {num_processes - 1}: one less "
                f"than --num_processes ({num_processes}) at most"
            )
        return cls(coordinator, num_processes, process_id, cluster)


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


def _detect_cluster(environ: Mapping[str, str]) -> tuple[str, int | None, int | None]:
    """Returns the cluster, its number of processes and this process' number, as far as known."""

    def number(name: str) -> int | None:
        return int(environ[name]) if environ.get(name, "").isdigit() else None

    if "SLURM_STEP_NODELIST" in environ and "SLURM_PROCID" in environ:  # Only within `srun`.
        return "slurm", number("SLURM_NTASKS"), number("SLURM_PROCID")
    if "OMPI_COMM_WORLD_SIZE" in environ:
        # Open MPI 5 no longer says where its first process runs: then --coordinator is needed.
        name = "ompi" if "OMPI_MCA_orte_hnp_uri" in environ else ""
        return name, number("OMPI_COMM_WORLD_SIZE"), number("OMPI_COMM_WORLD_RANK")
    if "JOB_COMPLETION_INDEX" in environ:  # A pod of an indexed Job.
        return "k8s", number("JAX_NUM_PROCESSES"), number("JOB_COMPLETION_INDEX")
    return "", number("JAX_NUM_PROCESSES"), number("JAX_PROCESS_ID")
