"""A run that goes on with another number of devices ends with the same parameters."""

import dataclasses
import functools

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from mmgenre.dataset import random_streams
from mmgenre.distributed import device_mapping
from mmgenre.models import fusion
from mmgenre.runs.checkpoint_format import PARAMS
from mmgenre.runs.checkpoints import RunCheckpoints
from mmgenre.runs.directory import RunDirectory
from tests.scale_helpers import (
    checkpoint_steps,
    copy_without_newest,
    ended,
    finish,
    losses,
    train_layout,
)

pytestmark = pytest.mark.slow


def train(config, workdir, num_devices, *, num_processes=1, epochs=2):
    job = {"workdir": str(workdir), "epochs": epochs, "dropout": 0.3}
    processes = train_layout(config, [job], num_processes=num_processes, num_devices=num_devices)
    with ended(*processes):
        for process in processes:
            code, output = finish(process)
            assert code == 0, output


def parameters(workdir) -> dict[tuple[str, ...], np.ndarray]:
    """The parameters of a run's last checkpoint, by their path."""
    model = fusion.build(RunDirectory.open(workdir).load_config().model)
    init = functools.partial(fusion.init_params, model)
    like = device_mapping.jit_replicated(init).eval_shape(random_streams.init_key(0))
    with RunCheckpoints(f"{workdir}/checkpoints", read_only=True) as checkpoints:
        restored = checkpoints.restore(checkpoint_steps(workdir)[-1], {PARAMS: like})
    return {path: np.asarray(x) for path, x in flatten_dict(restored.state[PARAMS]).items()}


@pytest.mark.parametrize(
    ("before", "after"),
    [((1, 8), (1, 2)), ((1, 2), (1, 8)), ((2, 4), (1, 2)), ((1, 2), (2, 4))],
    ids=lambda layout: f"{layout[0]}x{layout[1]}",
)
def test_a_run_that_goes_on_elsewhere_ends_with_the_same_parameters(
    tiny_config, tmp_path, before, after
):
    """Half of it on each; processes times devices."""
    data = dataclasses.replace(tiny_config.data, max_tokens=16, bucket_lengths=(16,))
    config = dataclasses.replace(tiny_config, batch_size=8, log_every_steps=1, data=data)
    whole, moved = tmp_path / "whole", tmp_path / "moved"
    train(config, whole, before[1], num_processes=before[0])
    copy_without_newest(whole, moved)
    halfway = parameters(moved)
    train(config, moved, after[1], num_processes=after[0])
    expected, found = parameters(whole), parameters(moved)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        # Adam divides by the root of small numbers: rounding grows to some 1e-6 of a step's 1e-3.
        np.testing.assert_allclose(found[name], value, rtol=2e-4, atol=2e-5, err_msg=str(name))
    # The test can fail: the second half moves parameters by a hundred times as much.
    assert max(np.abs(halfway[name] - expected[name]).max() for name in expected) > 2e-3
    np.testing.assert_allclose(losses(moved), losses(whole), rtol=2e-5)
