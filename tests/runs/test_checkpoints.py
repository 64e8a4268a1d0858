"""Checkpoints and metric rows: what is saved is what was, and damage is noticed."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import google_crc32c
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from etils import epath

from mmgenre.distributed import device_mapping
from mmgenre.errors import UserError
from mmgenre.models import fusion
from mmgenre.runs.best_params import load_best_params
from mmgenre.runs.checkpoints import RunCheckpoints
from mmgenre.runs.damaged_checkpoints import set_damaged_aside
from mmgenre.runs.directory import RunDirectory
from mmgenre.runs.metric_rows import read_rows
from mmgenre.training import metric_writers
from mmgenre.training.state import TrainState
from tests.commands import ROOT, environment


def state(value: float) -> dict:
    return {
        "step": jnp.array(int(value)),
        "params": {"w": jnp.arange(3000.0) + value},
        "opt_state": optax.adam(1e-3).init({"w": jnp.arange(3000.0) - value}),
    }


def like() -> dict:
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state(0)
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    with RunCheckpoints(folder) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state(step), score=1 / step, extra={"step": step})
    return folder


def test_saving_compiles_nothing(tmp_path):
    """Orbax would cut each array into a slice for each device, with a program for each."""
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name)
    )
    replicate = device_mapping.jit_replicated(lambda x: {"w": x, "v": x[:24] * 2})
    params = replicate(jnp.arange(48.0))
    assert len(params["w"].sharding.device_set) == 4
    assert any("backend_compile" in name for name in compiled)
    compiled.clear()
    with RunCheckpoints(tmp_path / "checkpoints") as checkpoints:
        checkpoints.save(1, {"params": params})
    assert not any("backend_compile" in name for name in compiled), compiled


def test_what_is_saved_is_not_what_donation_makes_of_it(tmp_path):
    """The state is donated to the next step while Orbax still writes it."""

    def train_step(params, batch):
        return jax.tree.map(
            lambda x: x + jax.lax.psum(batch["x"].sum(), device_mapping.AXIS), params
        ), {}

    step = device_mapping.pmap_train_step(train_step)
    batch = {"x": np.ones(jax.local_device_count(), np.float32)}
    current = {"w": jnp.zeros((1000, 1000))}
    with RunCheckpoints(tmp_path / "checkpoints") as checkpoints:
        for number in range(1, 13):
            current, _ = step(current, batch)
            if number % 4 == 0:
                checkpoints.save(number, {"params": current})
    with RunCheckpoints(tmp_path / "checkpoints") as checkpoints:
        target = {"params": {"w": jax.ShapeDtypeStruct((1000, 1000), jnp.float32)}}
        for number in (8, 12):
            values = np.asarray(checkpoints.restore(number, target).state["params"]["w"])
            np.testing.assert_array_equal(values, number * jax.local_device_count())


def flip_a_bit(folder: Path) -> None:
    """Changes a value in the largest file below a folder."""
    data = max((f for f in folder.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0x10
    data.write_bytes(content)


@pytest.mark.parametrize("how", ["delete", "empty", "truncate"])
def test_damage_to_any_file_is_noticed(saved, tmp_path, how):
    for file in [f.relative_to(saved) for f in sorted((saved / "3").rglob("*")) if f.is_file()]:
        if file.name == "files.json" and how == "delete":
            continue  # As after a kill right after saving: the values prove themselves.
        folder = tmp_path / "copy" / "checkpoints"
        shutil.copytree(saved, folder)
        content = (folder / file).read_bytes()
        if how == "delete":
            (folder / file).unlink()
        else:
            (folder / file).write_bytes(content[: len(content) // 2 if how == "truncate" else 0])
        set_damaged_aside(epath.Path(folder), like())
        kept = sorted(path.name for path in folder.iterdir())
        assert kept == ["1", "2"], file
        assert (folder.parent / "damaged-checkpoints" / "3").exists()
        shutil.rmtree(folder.parent)


def test_the_checkpoint_before_is_restored(saved, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(saved, folder)
    (folder / "3" / "files.json").unlink()
    flip_a_bit(folder / "3")
    set_damaged_aside(epath.Path(folder), like())
    with RunCheckpoints(folder) as checkpoints:
        assert checkpoints.latest_step() == 2
        assert checkpoints.best() == (1, 1.0)
        restored = checkpoints.restore(2, like())
        assert restored.extra == {"step": 2}
        jax.tree.map(np.testing.assert_array_equal, restored.state, state(2))
        checkpoints.save(3, state(3), score=0.1)


def test_without_a_whole_checkpoint_nothing_is_started_anew(saved, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(saved, folder)
    for step in (1, 2, 3):
        (folder / str(step) / "_CHECKPOINT_METADATA").write_text("")
    with pytest.raises(UserError, match="all checkpoints in"):
        set_damaged_aside(epath.Path(folder), like())
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2", "3"]


def test_another_versions_checkpoint_is_not_called_damaged(saved, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(saved, folder)
    for written in ({"format": 3}, {}):  # The first versions wrote nothing here.
        for step in ("1", "2", "3"):
            (folder / step / "files.json").unlink(missing_ok=True)
            path = folder / step / "_CHECKPOINT_METADATA"
            fields = json.loads(path.read_text())
            path.write_text(json.dumps({**fields, "custom_metadata": written}))
        with pytest.raises(UserError, match="was written by another version of mmgenre"):
            set_damaged_aside(epath.Path(folder), like())
        with (
            RunCheckpoints(folder, read_only=True) as checkpoints,
            pytest.raises(UserError, match="was written by another version of mmgenre"),
        ):
            checkpoints.restore(3, like())
    assert not (tmp_path / "damaged-checkpoints").exists()


def test_parameters_are_read_without_the_rest_of_the_state(saved, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(saved, folder)
    shutil.rmtree(folder / "3" / "training")
    params = {"params": like()["params"]}
    with RunCheckpoints(folder, read_only=True) as checkpoints:
        restored = checkpoints.restore(3, params).state
    assert restored.keys() == {"params"}
    np.testing.assert_array_equal(restored["params"]["w"], state(3)["params"]["w"])

    flip_a_bit(folder / "3" / "params")
    with (
        RunCheckpoints(folder, read_only=True) as checkpoints,
        pytest.raises(UserError, match="is damaged"),
    ):
        checkpoints.restore(3, params)


@pytest.fixture
def saved_by_format_1(tmp_path):
    """Checkpoints as mmgenre wrote them before format 2: one item, one digest over everything."""
    folder = tmp_path / "format-1" / "checkpoints"
    with ocp.CheckpointManager(
        folder, options=ocp.CheckpointManagerOptions(best_fn=lambda metrics: metrics["score"])
    ) as manager:
        for step in (1, 2):
            values = TrainState(**state(step))
            crc = 0
            for path, leaf in jax.tree_util.tree_leaves_with_path(values):
                value = np.ascontiguousarray(leaf)  # Numbers have the shape (1,) then.
                name = f"{jax.tree_util.keystr(path)} {value.shape} {value.dtype}"
                crc = google_crc32c.extend(
                    google_crc32c.extend(crc, name.encode()), value.tobytes()
                )
            manager.save(
                step,
                args=ocp.args.StandardSave(values),
                metrics={"score": 1 / step},
                custom_metadata={
                    "crc32c": crc,
                    "score": 1 / step,
                    "extra": {"step": step},
                    "format": 1,
                },
            )
    return folder


def test_a_run_of_format_1_goes_on(saved_by_format_1):
    folder = saved_by_format_1
    with RunCheckpoints(folder, read_only=True) as checkpoints:
        assert checkpoints.best() == (1, 1.0)
        params = checkpoints.restore(1, {"params": like()["params"]}).state
        assert params.keys() == {"params"}
        np.testing.assert_array_equal(params["params"]["w"], state(1)["params"]["w"])

    set_damaged_aside(epath.Path(folder), like())
    with RunCheckpoints(folder) as checkpoints:
        restored = checkpoints.restore(2, like())
        assert restored.extra == {"step": 2}
        jax.tree.map(np.testing.assert_array_equal, restored.state, state(2))
        checkpoints.save(3, state(3), score=2.0)
    with RunCheckpoints(folder) as checkpoints:
        assert checkpoints.best() == (3, 2.0)
        jax.tree.map(np.testing.assert_array_equal, checkpoints.restore(3, like()).state, state(3))
    set_damaged_aside(epath.Path(folder), like())
    assert not (folder.parent / "damaged-checkpoints").exists()


def test_a_changed_value_in_format_1_is_noticed(saved_by_format_1):
    path = saved_by_format_1 / "2" / "_CHECKPOINT_METADATA"
    fields = json.loads(path.read_text())
    fields["custom_metadata"]["crc32c"] ^= 1  # As if a value were another.
    path.write_text(json.dumps(fields))
    with RunCheckpoints(saved_by_format_1, read_only=True) as checkpoints:
        for wanted in (like(), {"params": like()["params"]}):
            with pytest.raises(UserError, match="its values are not those saved"):
                checkpoints.restore(2, wanted)
    set_damaged_aside(epath.Path(saved_by_format_1), like())
    assert (saved_by_format_1.parent / "damaged-checkpoints" / "2").exists()


def test_rows_after_the_checkpoint_are_dropped_everywhere(tmp_path):
    run = RunDirectory(epath.Path(tmp_path))
    for resume_step, last in ((0, 6), (3, 5)):
        writer = metric_writers.create_writer(run, resume_step=resume_step)
        for step in range(resume_step + 1, last + 1):
            writer.write_scalars(step, {"train/loss": step / 10})
        writer.flush()
        writer.close()
    expected = [1, 2, 3, 4, 5]
    assert [row["step"] for row in read_rows(run.metrics_file)] == expected
    events = [
        event.step
        for path in sorted(run.tensorboard.glob("events.*"))
        for event in metric_writers.read_events(path)
        if event.summary.value
    ]
    assert sorted(events) == expected


def test_plain_orbax_reads_a_checkpoint_of_other_devices_as_the_docs_say(tiny_run):
    (lines,) = re.findall(
        r"```python\n(import pathlib, jax.*?)```", (ROOT / "docs" / "using.md").read_text(), re.S
    )
    folder = max(tiny_run.checkpoints.glob("[0-9]*"), key=lambda path: int(path.name)) / "params"
    lines = lines.replace("runs/model1/checkpoints/3450/params", str(folder))
    count = "print(sum(x.size for x in jax.tree.leaves(params)))"
    process = subprocess.run(
        [sys.executable, "-c", f"{lines}\nassert jax.device_count() == 1\n{count}"],
        env=environment(1),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    params, _ = load_best_params(tiny_run, fusion.build(tiny_run.load_config().model))
    assert int(process.stdout) == sum(x.size for x in jax.tree.leaves(params))
