"""Processes of a run: how they find each other, and what happens when one is lost."""

import signal
import subprocess
import sys
import time

import pytest

from mmgenre.distributed.process_place import Membership
from mmgenre.errors import UserError
from tests.commands import ROOT
from tests.distributed.peers import leave, start_peers
from tests.scale_helpers import ended, finish, free_port, rows, start_main, wait_for_step

NONE = (None, None, None)
SLURM = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_NODELIST": "n[1-2]",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
}
OMPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "0",
}
OMPI4 = {**OMPI, "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911"}
POD = {
    "JOB_COMPLETION_INDEX": "1",
    "JAX_NUM_PROCESSES": "2",
    "JAX_COORDINATOR_ADDRESS": "job-0.job:12321",
}


def without(environ: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in environ.items() if key != name}


@pytest.mark.parametrize(
    ("flags", "environ", "expected"),
    [
        (NONE, {}, None),
        (("a:1", 2, 1), {}, Membership("a:1", 2, 1)),
        ((None, 1, 0), {}, None),
        (NONE, SLURM, Membership(None, 8, 3, "slurm", 1)),
        (NONE, {**SLURM, "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, None),
        (NONE, {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "8"}, None),  # In the batch script itself.
        (NONE, {**SLURM, "SLURM_STEP_NODELIST": "gpu-1.local"}, Membership(None, 8, 3, "slurm", 1)),
        (NONE, without(SLURM, "SLURM_NTASKS") | {"SLURM_STEP_NUM_TASKS": "1"}, None),
        (("a:1", 9, None), {**SLURM, "SLURM_NTASKS": "x"}, Membership("a:1", 9, 3, "slurm", 1)),
        (("[::1]:1", 2, 1), {}, Membership("[::1]:1", 2, 1)),
        (NONE, {"JAX_NUM_PROCESSES": "", "JAX_PROCESS_ID": " "}, None),
        (NONE, OMPI4, Membership(None, 4, 2, "ompi", 0)),
        (("a:1", None, None), OMPI, Membership("a:1", 4, 2, "", 0)),  # Open MPI 5.
        (NONE, POD, Membership("job-0.job:12321", 2, 1, "k8s")),
        (NONE, {**POD, "JAX_NUM_PROCESSES": "1"}, None),  # Pods that train alone.
    ],
)
def test_membership_is_detected(flags, environ, expected):
    assert Membership.detect(*flags, environ) == expected


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        (("a:1", None, None), {}, "--num_processes"),
        (NONE, OMPI, "--coordinator <host of process 0>:<port>"),
        (("a:1", 2, 2), {}, r"--process_id \(or JAX_PROCESS_ID\) is 2, but it must be 0 to 1"),
        *(
            ((address, 2, 1), {}, "must be <host>:<port>")
            for address in (
                "a",
                ":1",
                "a:",
                "a:0",
                "a:65536",
                "a:\N{SUPERSCRIPT TWO}",
                "::1:5",
                "a b:1",
            )
        ),
        *(
            (NONE, without(SLURM, name), f"{name} is not set: start all processes as")
            for name in ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_LOCALID")
        ),
        *(
            (NONE, without(OMPI4, name), f"{name} is not set: start all processes as")
            for name in sorted(OMPI)
        ),
        *(
            (NONE, {**environ, name: value}, f"{name} is '{value}', ")
            for environ in (SLURM, OMPI4)
            for name in environ
            for value in ("x y", "-1", "\N{SUPERSCRIPT TWO}", "9" * 30 + "!")
        ),
        *(
            (NONE, {**POD, name: value}, f"{name} is '{value}', but it must be a whole number")
            for name in ("JOB_COMPLETION_INDEX", "JAX_NUM_PROCESSES")
            for value in ("x", "-1", "1.0")
        ),
        (NONE, {**POD, "JAX_NUM_PROCESSES": "0"}, "whole number, at least 1"),
        (NONE, {**SLURM, "SLURM_PROCID": "8"}, r"\(or SLURM_PROCID\) is 8, but it must be 0 to 7"),
        (NONE, {"JAX_PROCESS_ID": "1"}, "known are None, None and 1"),
        (NONE, {"JAX_COORDINATOR_ADDRESS": "a:1"}, "known are a:1, None and None"),
        (NONE, {"JOB_COMPLETION_INDEX": "1"}, "this is pod 1 of an indexed Job, and nothing says"),
        (NONE, {**POD, "JAX_COORDINATOR_ADDRESS": ""}, "set JAX_NUM_PROCESSES"),
    ],
)
def test_membership_that_does_not_fit(flags, environ, message):
    with pytest.raises(UserError, match=message.replace("<", ".")):
        Membership.detect(*flags, environ)


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        (("--coordinator=a:1",), {}, "several processes need --coordinator"),
        (("--coordinator=a:1", "--num_processes=2", "--process_id=2"), {}, "must be 0 to 1"),
        ((), {"JOB_COMPLETION_INDEX": "0"}, "this is pod 0 of an indexed Job"),
        ((), without(SLURM, "SLURM_NTASKS"), "SLURM_NTASKS is not set"),
    ],
)
def test_the_command_says_what_is_missing(arguments, environ, message):
    process = start_main(*arguments, env=environ)
    with ended(process):
        code, output = finish(process)
    assert code == 2
    (line,) = output.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_ends_the_others_at_once(lost):
    processes = start_peers()
    with ended(*processes):
        processes[lost].kill()
        for index, process in enumerate(processes):
            if index != lost:
                _, errors = process.communicate(timeout=20)
                assert process.returncode == 75
                assert errors.startswith(f"error: process {lost}"), errors
                assert "has ended before the run was over" in errors
                assert "resume from the latest checkpoint" in errors


def test_processes_that_leave_end_nobody():
    processes = start_peers()
    with ended(*processes):
        leave(processes)


@pytest.mark.slow
@pytest.mark.parametrize(("lost", "how"), [(1, "SIGKILL"), (0, "SIGKILL"), (1, "SIGSTOP")])
def test_training_ends_without_hanging_and_resumes(tiny_dataset, tmp_path, lost, how):
    workdir = tmp_path / "run"
    processes = start_two(tiny_dataset, workdir)
    with ended(*processes):
        wait_for_step(workdir, 20, processes[0])
        processes[lost].send_signal(getattr(signal, how))
        start = time.monotonic()
        code, output = finish(processes[1 - lost], timeout=60)
        print(f"process {lost}, {how}: ended after {time.monotonic() - start:.1f} s")
    assert code == 75, output
    assert f"error: process {lost}" in output
    assert "Start all processes again with the same command" in output
    step = rows(workdir)[-1]["step"]
    processes = start_two(tiny_dataset, workdir)
    with ended(*processes):
        wait_for_step(workdir, step + 20, processes[0])
        processes[0].kill()
        _, output = finish(processes[0])
    assert "resuming from the checkpoint of step" in output
    assert "damaged" not in output


def start_two(dataset, workdir):
    """The real command, twice."""
    port = free_port()
    return [
        start_main(
            *(f"--config.data.dir={dataset.path}", f"--workdir={workdir}"),
            *("--config.epochs=100000", "--config.patience=0"),
            *(f"--coordinator=localhost:{port}", "--num_processes=2", f"--process_id={i}"),
        )
        for i in (0, 1)
    ]


@pytest.mark.parametrize("process_id", [0, 1])
def test_others_that_do_not_come(process_id):
    """As after the 300 seconds of --join_timeout, here after one: a failure that counts."""
    script = (
        "from mmgenre.distributed import cluster\n"
        "from mmgenre.machine.command_line import run_command\n"
        "from mmgenre.distributed.process_place import Membership\n"
        f"member = Membership('localhost:{free_port()}', 2, {process_id}, join_timeout_s=1)\n"
        "run_command(cluster.Cluster(member).__enter__)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 1
    (line,) = process.stderr.splitlines()
    assert line.startswith("error: cannot join the other processes at localhost:")
    assert f"as process {process_id} of 2: not all were there after 1 s" in line
