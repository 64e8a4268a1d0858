"""One device, two, four, two processes with two each: the same training.

On simulated devices; on real ones where MMGENRE_TEST_GPUS names two GPUs or more:

    MMGENRE_TEST_GPUS=0,1,2,3 python -m pytest -m '' tests/distributed/test_layouts.py
"""

import contextlib
import dataclasses

import numpy as np
import pytest

from benchmarks.configs import load_config
from mmgenre.config import Config
from mmgenre.dataset.prepared import open_dataset
from mmgenre.training.trainer import Trainer
from tests.commands import GPUS, ROOT
from tests.scale_helpers import (
    checkpoint_steps,
    ended,
    finish,
    losses,
    rows,
    train_layout,
)
from tests.train_only import train_job

if len(GPUS) == 1:
    pytest.skip("a layout needs two GPUs", allow_module_level=True)

LAYOUTS = {"one": (1, 1), "two": (1, 2), "four": (1, 4), "two_by_two": (2, 2)}
"""num_processes and num_devices of each."""
if 0 < len(GPUS) < 4:
    LAYOUTS = {"one": (1, 1), "two": (1, 2), "two_by_two": (2, 1)}

RTOL = 2**-10 if GPUS else 2e-5
"""How far losses may differ. On a CPU layouts sum in other orders, in float32. On GPUs, too, but
there products are TensorFloat-32, which rounds their factors to 2^-11: a sum that differs in its
last bit can be rounded the other way, and cuBLAS and cuDNN choose other kernels for other sizes of
a batch. So each factor may be off by a step of that rounding; two make a product."""


@pytest.fixture(scope="module")
def config(tiny_config: Config) -> Config:
    data = dataclasses.replace(tiny_config.data, max_tokens=16, bucket_lengths=(16,))
    return dataclasses.replace(tiny_config, batch_size=8, log_every_steps=1, data=data)


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """The folder of the runs that each test run looks at: two epochs each, and resumed ones."""
    folder = tmp_path_factory.mktemp("layouts")
    others = {
        "one": ("on", "from-two_by_two-on"),
        "two_by_two": ("on", "from-one-on"),
    }
    if GPUS:
        others["four"] = ("on",)
    with started(config, folder, others):
        if not GPUS:  # Four simulated devices are those of this process.
            train_job(Trainer, config, open_dataset(config.data.dir), job_of(folder, "four", "on"))
    return folder


@pytest.fixture(scope="module")
def all_trained(trained, config):
    """The same folder, with every layout, with and without dropout."""
    with started(
        config,
        trained,
        {
            "one": ("off",),
            "two": ("off", "on"),
            "four": ("off", "from-one-on"),
            "two_by_two": ("off",),
        },
    ):
        return trained


def job_of(folder, layout, name):
    """A job of `tests.train_only`: such as "on", or "from-one-on", which goes on from "one-on"."""
    job = {
        "workdir": str(folder / f"{layout}-{name}"),
        "epochs": 2,
        "dropout": 0.3 if name.endswith("on") else 0.0,
    }
    if name.startswith("from-"):
        job["resumes"] = str(folder / name.removeprefix("from-"))
    return job


@contextlib.contextmanager
def started(config, folder, names_by_layout):
    """Trains in other processes, one for each process of a layout, and waits for them."""
    processes = []
    for layout, names in names_by_layout.items():
        if layout not in LAYOUTS:
            continue
        num_processes, num_devices = LAYOUTS[layout]
        jobs = [job_of(folder, layout, name) for name in names]
        processes += train_layout(
            config, jobs, num_processes=num_processes, num_devices=num_devices, gpus=GPUS
        )
    with ended(*processes):
        yield
        for process in processes:
            code, output = finish(process)
            assert code == 0, output


def need(layout):
    if layout not in LAYOUTS:
        pytest.skip(f"the layout {layout!r} needs four GPUs")


def check_losses(folder, layout, dropout):
    need(layout)
    expected, actual = losses(folder / f"one-{dropout}"), losses(folder / f"{layout}-{dropout}")
    assert len(expected) >= 20
    np.testing.assert_allclose(actual, expected, rtol=RTOL)
    # The test can fail: without dropout the losses are others.
    assert not np.allclose(
        losses(folder / "one-off"), losses(folder / "one-on"), rtol=max(1e-3, 2 * RTOL)
    )


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["four", "two_by_two"])
def test_losses_do_not_depend_on_the_layout(all_trained, layout):
    check_losses(all_trained, layout, "on")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "dropout"), [("two", "off"), ("two", "on"), ("four", "off"), ("two_by_two", "off")]
)
def test_losses_do_not_depend_on_any_layout(all_trained, layout, dropout):
    check_losses(all_trained, layout, dropout)


def check_validation(folder, layouts):
    one, *others = (
        [row["validation/loss"] for row in rows(folder / f"{layout}-on") if len(row) > 8]
        for layout in layouts
        if layout in LAYOUTS
    )
    assert len(one) == 2 and others
    for other in others:
        np.testing.assert_allclose(other, one, rtol=RTOL)


def test_validation_does_not_depend_on_the_layout(trained):
    check_validation(trained, ["one", "four", "two_by_two"])


@pytest.mark.slow
def test_validation_does_not_depend_on_any_layout(all_trained):
    check_validation(all_trained, LAYOUTS)


def check_resumed(folder, name):
    need(name.split("-")[0])
    workdir = folder / f"{name}-on"
    steps = [row["step"] for row in rows(workdir)]
    assert steps == [row["step"] for row in rows(folder / "one-on")]
    np.testing.assert_allclose(losses(workdir), losses(folder / "one-on"), rtol=RTOL)
    assert checkpoint_steps(workdir) == checkpoint_steps(folder / "one-on")


@pytest.mark.parametrize("name", ["two_by_two-from-one", "one-from-two_by_two"])
def test_a_checkpoint_of_one_layout_is_resumed_by_another(trained, name):
    check_resumed(trained, name)


@pytest.mark.slow
def test_a_checkpoint_of_one_layout_is_resumed_on_four_devices(all_trained):
    check_resumed(all_trained, "four-from-one")


def test_one_process_writes_each_row(trained):
    steps = [row["step"] for row in rows(trained / "two_by_two-on") if "train/loss" in row]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.slow
def test_model_2_does_not_depend_on_the_layout(config, tmp_path):
    """It starts from what each process computes of the data: word vectors and frequencies."""
    trial = load_config(str(ROOT / "configs" / "model2.py:trial"))
    trial = dataclasses.replace(trial, batch_size=8, log_every_steps=1, data=config.data)
    with started(trial, tmp_path, {"one": ("on",), "two_by_two": ("on",)}):
        pass
    expected = losses(tmp_path / "one-on")
    assert len(expected) >= 20
    np.testing.assert_allclose(losses(tmp_path / "two_by_two-on"), expected, rtol=RTOL)
