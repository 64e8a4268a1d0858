"""A GPU a process: which one it takes, and a refusal where two would take the same."""

import pytest

from mmgenre.distributed import gpu_share
from mmgenre.distributed.gpu_share import Claim
from mmgenre.distributed.process_place import Membership
from mmgenre.errors import UserError
from tests.scale_helpers import ended, finish, free_port, start_main

FOUR = ["0", "1", "2", "3"]


def test_a_local_rank_is_given_by_its_flag_first():
    environ = {"OMPI_COMM_WORLD_LOCAL_RANK": "2", "OMPI_COMM_WORLD_RANK": "6"}
    assert Membership.detect("a:1", 8, None, environ).local_rank == 2
    assert Membership.detect("a:1", 8, None, environ, 3).local_rank == 3
    assert Membership.detect("a:1", 8, 6, {}).local_rank is None
    with pytest.raises(UserError, match="OMPI_COMM_WORLD_LOCAL_RANK is 'x'"):
        Membership.detect("a:1", 8, None, {**environ, "OMPI_COMM_WORLD_LOCAL_RANK": "x"})


@pytest.mark.parametrize(
    ("local_rank", "seen", "environ", "expected"),
    [
        (None, FOUR, {}, []),  # One process a host: all of them.
        (2, FOUR, {}, [2]),
        (2, ["2"], {}, [0]),  # The launcher has chosen.
        (2, [], {}, [2]),  # No GPUs: it says nothing to JAX.
        (2, FOUR, {"JAX_LOCAL_DEVICE_IDS": "0,3"}, [0, 3]),
    ],
)
def test_the_gpus_of_a_local_rank(local_rank, seen, environ, expected):
    assert gpu_share.device_ids(local_rank, seen, environ) == expected


def test_more_processes_than_gpus_are_refused():
    with pytest.raises(UserError, match=r"local rank 4, but sees only 4 GPUs \(0, 1, 2, 3\)"):
        gpu_share.device_ids(4, FOUR, {})
    with pytest.raises(UserError, match="JAX_LOCAL_DEVICE_IDS is '0;1'"):
        gpu_share.device_ids(None, FOUR, {"JAX_LOCAL_DEVICE_IDS": "0;1"})


def test_claims_are_of_what_cuda_shows():
    own = gpu_share.claim([1], ["4", "7"], {})
    assert own.gpus == ("7",)
    assert gpu_share.claim([], ["4", "7"], {}) == Claim(own.host, ("4", "7"))
    pod = gpu_share.claim([], ["0"], {"NVIDIA_VISIBLE_DEVICES": "GPU-1"})
    assert pod.host != own.host


def test_two_processes_with_one_gpu_are_named():
    a, b = "a boot", "b boot"
    assert gpu_share.shared([Claim(a, ("0",)), Claim(a, ("1",)), Claim(b, ("0", "1"))]) == ""
    assert gpu_share.shared([Claim(a, ()), Claim(a, ())]) == ""
    message = gpu_share.shared([Claim(b, ("1",)), Claim(a, ("0", "1")), Claim(a, ("1",))])
    assert message.startswith("processes 1 and 2 on a would share GPU 1; give each process")


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [(), (0, 1)])
def test_the_command_refuses_before_it_takes_memory(tiny_dataset, tmp_path, ranks):
    """Two processes that CUDA would show two GPUs, with and without a rank for each."""
    (tmp_path / "jax_cuda12_plugin").mkdir()  # What says that this JAX would use them.
    (tmp_path / "jax_cuda12_plugin" / "__init__.py").touch()
    port = free_port()
    processes = [
        start_main(
            *(f"--config.data.dir={tiny_dataset.path}", f"--workdir={tmp_path / 'run'}"),
            *(f"--coordinator=localhost:{port}", "--num_processes=2", f"--process_id={index}"),
            *(f"--local_rank={rank}" for rank in ranks[index : index + 1]),
            "--config.epochs=1",
            env={"CUDA_VISIBLE_DEVICES": "0,1", "JAX_PLATFORMS": "", "PYTHONPATH": str(tmp_path)},
        )
        for index in range(2)
    ]
    with ended(*processes):
        results = [finish(process) for process in processes]
    if ranks:
        assert [code for code, _ in results] == [0, 0], results
    else:
        for code, output in results:
            assert code == 2, output
            assert "error: processes 0 and 1 on" in output
            assert "would share GPU 0; give each process of a host --local_rank" in output
