"""The resident mode and its dispatches: never another batch, result, row or checkpoint."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mmgenre import schema
from mmgenre.config import Config, DataConfig
from mmgenre.dataset.batch_plan import plan_training_epoch
from mmgenre.dataset.pipeline import MovieSource
from mmgenre.dataset.read_split import read_split
from mmgenre.distributed import device_mapping
from mmgenre.errors import Interrupted, RunError, UserError
from mmgenre.runs.directory import RunDirectory
from mmgenre.training import optimizer, trainer
from mmgenre.training.dispatch import dispatch_ends
from mmgenre.training.resident_feed import NUM_TOKENS, gather_batch, require_space
from tests.scale_helpers import checkpoint_steps, copy_without_newest, ended, finish, rows
from tests.scale_helpers import train_layout as start_layout

BUCKETS = (24, 48)  # The demo corpus' overviews have some 10 to 60 tokens: batches of both.


@pytest.fixture(scope="module")
def config(tiny_config: Config) -> Config:
    """An epoch of a model that compiles in no time: what it computes is not the question here."""
    data = dataclasses.replace(tiny_config.data, max_tokens=48, bucket_lengths=BUCKETS)
    model = dataclasses.replace(tiny_config.model, use_poster=False, lstm_units=(4,))
    return dataclasses.replace(
        tiny_config,
        batch_size=8,
        epochs=1,
        log_every_steps=5,
        checkpoint_every_steps=8,
        data=data,
        model=model,
    )


def resident(config: Config, steps_per_dispatch: int) -> Config:
    data = dataclasses.replace(config.data, mode="resident")
    return dataclasses.replace(config, data=data, steps_per_dispatch=steps_per_dispatch)


def run_trainer(config: Config, dataset, folder) -> None:
    run = RunDirectory.start(folder, config, dataset)
    trainer.Trainer(config, dataset, run).train()


@pytest.fixture(scope="module")
def trained(config, tiny_dataset, tmp_path_factory):
    """The folders of the same run, in two modes, on four devices."""
    folder = tmp_path_factory.mktemp("modes")
    run_trainer(config, tiny_dataset, folder / "stream")
    run_trainer(resident(config, 4), tiny_dataset, folder / "resident")
    return folder


def final_params(workdir, config) -> list[np.ndarray]:
    from mmgenre.models import fusion
    from mmgenre.runs.best_params import load_best_params

    return jax.tree.leaves(load_best_params(RunDirectory.open(workdir), fusion.build(config.model)))


def assert_trained_alike(actual, expected, config) -> None:
    assert len(rows(expected)) == 4
    for e, a in zip(rows(expected), rows(actual), strict=True):
        assert e.keys() == a.keys()
        assert e["step"] == a["step"]
        np.testing.assert_allclose(list(a.values()), list(e.values()), rtol=1e-4, err_msg=str(e))
    assert checkpoint_steps(actual) == checkpoint_steps(expected)
    for e, a in zip(final_params(expected, config), final_params(actual, config), strict=True):
        np.testing.assert_allclose(a, e, atol=1e-5)


def test_resident_and_streamed_movies_train_alike(trained, config):
    assert_trained_alike(trained / "resident", trained / "stream", config)


@pytest.mark.slow
def test_movies_from_the_host_train_alike(trained, config, tiny_dataset, tmp_path):
    host = dataclasses.replace(config, data=dataclasses.replace(config.data, mode="host"))
    run_trainer(host, tiny_dataset, tmp_path)
    assert_trained_alike(tmp_path, trained / "stream", config)


@pytest.mark.slow
def test_single_steps_give_the_same_bits(trained, config, tiny_dataset, tmp_path):
    run_trainer(resident(config, 1), tiny_dataset, tmp_path)
    assert_same_bits(tmp_path, trained / "resident", config)


def assert_same_bits(actual, expected, config) -> None:
    assert rows(actual) == rows(expected)
    for e, a in zip(final_params(expected, config), final_params(actual, config), strict=True):
        np.testing.assert_array_equal(a, e)


def test_a_run_that_goes_on_with_other_dispatches_changes_no_bit(
    trained, config, tiny_dataset, tmp_path
):
    folder = copy_without_newest(trained / "resident", tmp_path / "run")
    assert checkpoint_steps(folder) == [8]  # In the epoch.
    run_trainer(resident(config, 3), tiny_dataset, folder)
    assert_same_bits(folder, trained / "resident", config)


def test_what_changes_no_result_may_be_changed_when_a_run_goes_on(trained, config, tiny_dataset):
    def go_on_with(**model_fields) -> None:
        model = dataclasses.replace(config.model, **model_fields)
        changed = resident(dataclasses.replace(config, model=model), 3)
        before = (trained / "stream" / "config.json").read_text()
        try:
            RunDirectory.start(trained / "stream", changed, tiny_dataset)
        finally:
            (trained / "stream" / "config.json").write_text(before)

    go_on_with(lstm_kernel="scan")
    with pytest.raises(UserError, match=r"config.model.compute_dtype = 'float32', now it is"):
        go_on_with(compute_dtype="bfloat16")


def test_an_interruption_loses_nothing(trained, config, tiny_dataset, tmp_path, monkeypatch):
    """A signal is a number that each dispatch takes along; it is known one dispatch later."""
    monkeypatch.setattr(trainer.signals, "requested", lambda: 15)
    with pytest.raises(Interrupted):
        run_trainer(resident(config, 4), tiny_dataset, tmp_path / "run")
    assert checkpoint_steps(tmp_path / "run") == [5]  # Dispatches end with steps 4, 5, 8, 10.


def test_a_loss_that_is_not_finite_is_found_at_its_step(
    config, tiny_dataset, tmp_path, monkeypatch
):
    """Planted into the update of step 7, it shows at step 8: steps 7 to 10 are one dispatch."""

    def optimizer_of(config: Config, num_steps: int) -> optax.GradientTransformation:
        return optax.scale_by_schedule(lambda count: jnp.where(count == 6, jnp.nan, -1e-3))

    monkeypatch.setattr(optimizer, "build", optimizer_of)
    config = dataclasses.replace(
        resident(config, 4), checkpoint_every_steps=6, learning_rate_schedule="cosine"
    )
    with pytest.raises(RunError, match=r"the loss is not finite.* at step 8"):
        run_trainer(config, tiny_dataset, tmp_path)
    run = RunDirectory.open(tmp_path)
    record = json.loads(run.non_finite_file.read_text())
    source = MovieSource(tiny_dataset, schema.TRAIN, config.data)
    plan = plan_training_epoch(
        source.num_tokens, batch_size=8, bucket_lengths=BUCKETS, seed=config.seed, epoch=0
    )
    assert record["step"] == 8
    ids = read_split(tiny_dataset, schema.TRAIN, schema.ID)[schema.ID]
    assert record["movie_ids"] == ids[plan.movies[7]].tolist()
    (row,) = rows(tmp_path)
    rates = optimizer.learning_rates(config, len(plan))
    assert (row["step"], row["train/learning_rate"]) == (5, rates[4])
    assert record["learning_rate"] == rates[7] != config.learning_rate
    assert checkpoint_steps(tmp_path) == [6]


def test_gathered_batches_are_those_of_the_stream(tiny_dataset):
    data = DataConfig(max_tokens=48, bucket_lengths=BUCKETS)
    source = MovieSource(tiny_dataset, schema.TRAIN, data)
    arrays = {**source.read_arrays(), NUM_TOKENS: source.num_tokens}
    resident = device_mapping.put_replicated(arrays)
    assert all(len(array.sharding.device_set) == 4 for array in resident.values())
    plan = plan_training_epoch(
        source.num_tokens, batch_size=8, bucket_lengths=BUCKETS, seed=0, epoch=0
    )
    assert set(plan.lengths.tolist()) == set(BUCKETS)
    gather = jax.jit(gather_batch, static_argnames="length")
    movie_rows = np.arange(8, dtype=np.int32)
    for expected, movies, length in zip(
        source.batches(plan), plan.movies, plan.lengths.tolist(), strict=True
    ):
        actual = gather(resident, movies.astype(np.int32), movie_rows, length=length)
        assert actual.keys() == expected.keys()
        for name, values in expected.items():
            assert actual[name].dtype == values.dtype, name
            np.testing.assert_array_equal(actual[name], values)


def test_dispatches_end_where_something_is_due():
    config = Config(log_every_steps=10, checkpoint_every_steps=8)
    config = resident(config, 6)
    # The epoch's steps are 100 to 123.
    assert list(dispatch_ends(config, 100, 0, 23)) == [4, 10, 12, 18, 20, 23]
    assert list(dispatch_ends(config, 100, 11, 23)) == [12, 18, 20, 23]
    alone = dataclasses.replace(config, steps_per_dispatch=1)
    assert list(dispatch_ends(alone, 100, 20, 23)) == [21, 22, 23]


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A device that tells of its memory, which none of this machine does."""

    limit: int
    in_use: int

    def memory_stats(self) -> dict[str, int]:
        return {"bytes_limit": self.limit, "bytes_in_use": self.in_use}

    def __str__(self) -> str:
        return f"cuda:{self.in_use}"


def test_movies_fit_into_what_is_free():
    require_space(1000, 10, [Gpu(1000, 0), Gpu(1001, 1)])
    with pytest.raises(UserError) as error:
        require_space(12_822_000, 1000, [Gpu(10**9, 0), Gpu(5_000_001, 1)])
    assert "1,000 movies of the train split take 12,822,000 bytes" in str(error.value)
    assert "(12,822 a movie), but cuda:1 has 5,000,000 free" in str(error.value)


def test_a_device_that_tells_nothing_is_trusted():
    require_space(10**15, 10, jax.local_devices())


@pytest.mark.slow
def test_two_processes_with_two_devices_each(trained, config, tmp_path):
    job = {"workdir": str(tmp_path / "run"), "epochs": 1, "dropout": 0.3}
    processes = start_layout(resident(config, 4), [job], num_processes=2, num_devices=2)
    with ended(*processes):
        for process in processes:
            code, output = finish(process)
            assert code == 0, output
    for e, a in zip(rows(trained / "stream"), rows(tmp_path / "run"), strict=True):
        np.testing.assert_allclose(list(a.values()), list(e.values()), rtol=1e-4)
