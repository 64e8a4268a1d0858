"""What `data.mode` "auto" becomes, and the line that says what a training runs on."""

import dataclasses

import jax
import pytest

from mmgenre.config import Config, DataConfig
from mmgenre.kernels import cudnn_lstm, wavefront_trial
from mmgenre.machine import devices
from mmgenre.training import input_mode, start_line


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A device as far as it is asked here."""

    bytes_limit: int
    bytes_in_use: int = 0
    device_kind: str = "NVIDIA H100"

    def memory_stats(self) -> dict[str, int]:
        return {"bytes_limit": self.bytes_limit, "bytes_in_use": self.bytes_in_use}


@pytest.fixture
def as_gpus(monkeypatch):
    """Makes this process one of these GPUs, as far as it is asked here."""

    def use(*gpus: Gpu) -> None:
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        monkeypatch.setattr(jax, "local_devices", lambda: gpus)
        monkeypatch.setattr(jax, "devices", lambda: gpus)
        monkeypatch.setattr(jax, "device_count", lambda: len(gpus))
        monkeypatch.setattr(devices, "compute_capability", lambda: (9, 0))
        monkeypatch.setattr(cudnn_lstm, "is_there", lambda: True)

    return use


def mode_and_steps(config: Config, dataset) -> tuple[str, int]:
    settled = input_mode.settled(config, dataset)
    return settled.data.mode, settled.steps_per_dispatch


def test_auto_is_resident_where_all_gpus_have_the_memory(as_gpus, tiny_dataset):
    config = Config()
    assert mode_and_steps(config, tiny_dataset) == ("stream", 1)  # On a CPU.
    needed = tiny_dataset.split("train").num_movies * 12_822
    as_gpus(Gpu(2 * needed), Gpu(3 * needed, bytes_in_use=needed))
    assert mode_and_steps(config, tiny_dataset) == ("resident", 16)
    four = dataclasses.replace(config, steps_per_dispatch=4)
    assert mode_and_steps(four, tiny_dataset) == ("resident", 4)
    host = dataclasses.replace(config, data=DataConfig(mode="host"))
    assert mode_and_steps(host, tiny_dataset) == ("host", 1)
    as_gpus(Gpu(2 * needed), Gpu(2 * needed, bytes_in_use=2))
    assert mode_and_steps(four, tiny_dataset) == ("stream", 1)


def test_the_line_says_what_runs_and_what_would_be_faster(as_gpus, monkeypatch):
    assert start_line.describe(Config(data=DataConfig(mode="stream"))) == (
        f"{jax.device_count()} x cpu: products in float32, LSTM by fused gates, data stream"
    )
    as_gpus(Gpu(1), Gpu(1))
    config = Config(data=DataConfig(mode="stream"))
    assert start_line.describe(config) == (
        "2 x NVIDIA H100: products in float32 as TensorFloat-32, LSTM by cuDNN, data stream. "
        "Faster, by estimate: --config.model.compute_dtype=bfloat16 --config.data.mode=resident "
        "--config.steps_per_dispatch=16"
    )
    monkeypatch.setattr(wavefront_trial, "problem", lambda *arguments: None)
    model = dataclasses.replace(config.model, compute_dtype="bfloat16", lstm_kernel="wavefront")
    best = Config(model=model, data=DataConfig(mode="resident"), steps_per_dispatch=16)
    assert start_line.describe(best) == (
        "2 x NVIDIA H100: products in bfloat16, LSTM by wavefront kernel, data resident, "
        "16 steps a dispatch"
    )
