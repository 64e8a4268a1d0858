"""What is compiled ahead is what training uses, and rows do not wait for compiling."""

import dataclasses

import jax
import numpy as np
import pytest

from mmgenre import schema
from mmgenre.dataset.batch_plan import epoch_plan
from mmgenre.dataset.pipeline import MovieSource
from mmgenre.distributed.device_mapping import MappedStep
from mmgenre.runs.directory import RunDirectory
from mmgenre.training.compiled_programs import Programs
from mmgenre.training.log import TrainingLog
from mmgenre.training.trainer import Trainer


@pytest.fixture(scope="module")
def compiled() -> list[str]:
    """Grows with each program that is compiled or found in the cache."""
    names: list[str] = []

    def listen(event: str, seconds: float, **kwargs: str) -> None:
        del seconds
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(kwargs.get("fun_name", "?"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    return names


@pytest.fixture
def first_batch(tiny_config, tiny_dataset) -> dict[str, np.ndarray]:
    source = MovieSource(tiny_dataset, schema.TRAIN, tiny_config.data)
    return next(source.batches(epoch_plan(tiny_config, source.num_tokens, 0)))


def test_nothing_is_compiled_again_after_compiling_ahead(
    tiny_config, tiny_dataset, first_batch, compiled
):
    programs = Programs(tiny_config, tiny_dataset)
    before = len(compiled)
    programs.compile_ahead()
    state = programs.initial_state({})
    programs.wait()
    ahead = len(compiled)
    assert ahead >= before + 2
    for _ in range(2):  # The state that comes out of a step is placed as the first one was.
        state, _ = programs.mapped_train_step(state, first_batch)
    assert compiled[ahead:] == []


def test_compiling_ahead_changes_nothing(tiny_config, tiny_dataset, first_batch):
    results = []
    for ahead in (False, True):
        programs = Programs(tiny_config, tiny_dataset)
        if ahead:
            programs.compile_ahead()
        results.append(programs.mapped_train_step(programs.initial_state({}), first_batch))
    for one, other in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_could_not_be_compiled_ahead_is_compiled_when_used(
    tiny_config, tiny_dataset, first_batch, monkeypatch
):
    def fail(*args):
        raise RuntimeError("no memory")

    monkeypatch.setattr(MappedStep, "compile", fail)
    programs = Programs(tiny_config, tiny_dataset)
    programs.compile_ahead()
    state, _ = programs.mapped_train_step(programs.initial_state({}), first_batch)
    assert int(state.step) == 1


def test_rows_do_not_wait_for_the_next_program(tiny_config, tiny_dataset, tmp_path, monkeypatch):
    config = dataclasses.replace(tiny_config, epochs=1)
    run = RunDirectory.start(tmp_path / "run", config, tiny_dataset)
    started: list[int] = []  # The lengths of the batches.
    added: list[int] = []  # Steps.
    add, call = TrainingLog.add, MappedStep.__call__

    def counted_call(self, state, batch, vote=0):
        length = batch[schema.TOKENS].shape[1]
        if length not in started:
            assert added == list(range(1, len(started) + 1))
        started.append(length)
        return call(self, state, batch, vote)

    def counted_add(self, step, sums):
        add(self, step, sums)
        added.append(step)

    monkeypatch.setattr(MappedStep, "__call__", counted_call)
    monkeypatch.setattr(TrainingLog, "add", counted_add)
    Trainer(config, tiny_dataset, run).train()
    assert len(set(started)) == 2
    assert added == list(range(1, len(started) + 1))
