"""Compiling ahead: training uses what it gave, and rows do not wait for the compiler."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
import pytest

from mmgenre import schema
from mmgenre.dataset.batch_plan import epoch_plan
from mmgenre.dataset.pipeline import MovieSource
from mmgenre.distributed.device_mapping import MappedStep
from mmgenre.models import fusion
from mmgenre.runs.directory import RunDirectory
from mmgenre.training.compiled_programs import Programs
from mmgenre.training.metric_writers import JsonLinesWriter
from mmgenre.training.trainer import Trainer

STEP_PROGRAM = "jit(_fun)"
"""What `jax.pmap` calls a program of its own."""


@pytest.fixture(scope="module")
def all_listeners() -> list[Callable[[str], object]]:
    """Each is told the name of every program that is compiled or found in the cache."""
    listeners: list[Callable[[str], object]] = []

    def listen(event: str, seconds: float, **kwargs: str) -> None:
        del seconds
        if event == "/jax/core/compile/backend_compile_duration":
            for listener in listeners:
                listener(kwargs.get("fun_name", "?"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    return listeners


@pytest.fixture
def listeners(all_listeners):
    yield all_listeners
    all_listeners.clear()


@pytest.fixture
def first_batch(tiny_config, tiny_dataset) -> dict[str, np.ndarray]:
    source = MovieSource(tiny_dataset, schema.TRAIN, tiny_config.data)
    return next(source.batches(epoch_plan(tiny_config, source.num_tokens, 0)))


@pytest.mark.parametrize("is_given", [False, True], ids=["drawn", "given"])
def test_nothing_is_compiled_again_after_compiling_ahead(
    tiny_config, tiny_dataset, first_batch, listeners, is_given
):
    """Nor where parameters start from data, as those of Model 2."""
    given = {fusion.EMBEDDING: np.ones((2_000, 8), np.float32)} if is_given else {}
    ahead: list[str] = []
    listeners.append(ahead.append)
    programs = Programs(tiny_config, tiny_dataset)
    programs.compile_ahead()
    programs.wait()
    assert len(ahead) >= 2
    again: list[str] = []
    listeners[:] = [again.append]
    state = programs.initial_state(given)
    for _ in range(2):  # The state that comes out of a step is placed as the first one was.
        state, _ = programs.mapped_train_step(state, first_batch)
    assert again == []


def test_all_lengths_can_be_compiled_ahead(tiny_config, tiny_dataset, listeners):
    """As on a GPU, while the first steps run."""
    programs = Programs(tiny_config, tiny_dataset)
    programs.compile_ahead(all_lengths=True)
    programs.wait()
    again: list[str] = []
    listeners.append(again.append)
    source = MovieSource(tiny_dataset, schema.TRAIN, tiny_config.data)
    plan = epoch_plan(tiny_config, source.num_tokens, 0)
    assert len(set(plan.lengths.tolist())) == 2
    state = programs.initial_state({})
    for batch in source.batches(plan):
        state, _ = programs.mapped_train_step(state, batch)
    assert again == []


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


def test_rows_do_not_wait_for_the_next_program(
    tiny_config, tiny_dataset, tmp_path, listeners, monkeypatch
):
    """A step of another length has to be compiled; rows of those before are written first."""
    config = dataclasses.replace(tiny_config, epochs=1, log_every_steps=1)
    rows_before: list[int] = []  # Each program of a step.
    original, written = JsonLinesWriter.write_scalars, 0

    def count_writes(self, step, scalars):
        nonlocal written
        written += "train/loss" in scalars
        original(self, step, scalars)

    monkeypatch.setattr(JsonLinesWriter, "write_scalars", count_writes)

    def count_rows(name: str) -> None:
        if name == STEP_PROGRAM:
            rows_before.append(written)

    listeners.append(count_rows)
    run = RunDirectory.start(tmp_path / "run", config, tiny_dataset)
    Trainer(config, tiny_dataset, run).train()
    lengths = epoch_plan(config, tiny_dataset.index(schema.TRAIN).num_tokens, 0).lengths.tolist()
    assert len(set(lengths)) == 2
    assert rows_before == sorted(lengths.index(length) for length in set(lengths))
