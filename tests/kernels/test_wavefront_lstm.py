"""The LSTM's CUDA kernels: their own source run on the CPU, and compiled for GPUs.

`cuda_on_cpu.h` says what the emulation checks beyond the numbers. What a setting becomes on a
machine is in test_lstm_choice.py.
"""

import functools
import re
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxlib.mlir import ir

from mmgenre.kernels import cuda_compiler, cuda_launch, wavefront_lstm, wavefront_trial
from mmgenre.kernels.lstm import lstm_stack
from mmgenre.machine import devices
from tests.kernels import cuda_on_cpu
from tests.kernels.test_lstm import make_inputs, make_layers

needs_compiler = pytest.mark.skipif(
    not cuda_on_cpu.has_compiler(), reason="neither NVRTC nor nvcc is installed"
)
needs_gcc = pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")


@pytest.fixture
def on_cpu(monkeypatch):
    monkeypatch.setattr(cuda_launch, "launch", cuda_on_cpu.launch)


def outputs_and_gradients(method, x, layers, masks, *, last=None, exact=False):
    """Of all outputs; or as the model uses the layers: each movie's at its last token."""

    def total(x, layers):
        h = lstm_stack(x, layers, masks, method=method, time_major=True)
        used = h if last is None else h[last, jnp.arange(len(last))]
        weights = jnp.cos(jnp.arange(used.size)).reshape(used.shape)
        return (used.astype(jnp.float32) * weights).sum(), h

    with jax.default_matmul_precision("highest" if exact else "default"):
        (_, h), gradients = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))(
            x, layers
        )
    return [h, *jax.tree.leaves(gradients)]


def worst(actual, expected) -> float:
    """The largest difference, of the largest number of its array; NaN if there is one."""
    pairs = [
        (np.asarray(a, np.float64), np.asarray(e, np.float64))
        for a, e in zip(actual, expected, strict=True)
    ]
    return np.max([np.abs(a - e).max() / max(np.abs(e).max(), 1e-9) for a, e in pairs])


def dropout_mask(*shape):
    return (np.random.default_rng(1).random(shape) < 0.7).astype(np.float32) / np.float32(0.7)


def compare(units, dtype, batch, time, *, exact, num_layers=2, masked=True, last=False):
    x = jnp.asarray(make_inputs(time, batch, 12), dtype)
    layers = make_layers(12, units if isinstance(units, tuple) else (units,) * num_layers)
    masks = [dropout_mask(time, batch, layer[1].shape[0]) for layer in layers]
    masks = masks if masked else None
    ends = np.random.default_rng(0).integers(0, time, batch) if last else None
    run = functools.partial(outputs_and_gradients, last=ends, exact=exact)
    actual, expected = (run(method, x, layers, masks) for method in ("wavefront", "plain"))
    assert [a.dtype for a in actual] == [e.dtype for e in expected]
    return worst(actual, expected)


@needs_gcc
@pytest.mark.parametrize(("batch", "time", "last"), [(9, 6, False), (5, 1, False), (16, 5, True)])
def test_float32_is_the_scan(on_cpu, batch, time, last):
    """Less than a block of movies, no multiple of one; a step, more steps than are on their way."""
    assert compare(16, "float32", batch, time, exact=True, last=last) < 3e-6


@needs_gcc
def test_bfloat16_is_close_to_the_scan_of_bfloat16(on_cpu):
    """In two tiles of units. Both round in other places, to 2^-9."""
    assert compare(32, "bfloat16", 9, 6, exact=False) < 0.02


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize(
    ("units", "dtype", "exact", "largest"),
    [(64, "float32", True, 5e-6), (64, "float32", False, 2e-3), (64, "bfloat16", False, 0.02)],
)
def test_the_models_units(on_cpu, units, dtype, exact, largest):
    assert compare(units, dtype, 11, 12, exact=exact) < largest


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("units", [(16,), (16, 16, 16), (32, 16), (48, 48)])
@pytest.mark.parametrize("masked", [False, True])
def test_any_stack(on_cpu, units, masked):
    """A layer alone, a pair and one, two of other units."""
    assert compare(units, "float32", 3, 4, exact=True, masked=masked) < 3e-6


@needs_gcc
@pytest.mark.slow
def test_tensorfloat32_rounds_as_much_as_it_does(on_cpu):
    """Not less, or the setting for the precision does nothing."""
    assert 1e-5 < compare(16, "float32", 9, 6, exact=False) < 2e-3


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("capability", [(8, 0), (8, 9), (9, 0)])
def test_prediction_is_training_without_dropout(on_cpu, monkeypatch, capability):
    """Other kernels, which keep nothing; cards differ in how many steps are on their way."""
    monkeypatch.setattr(devices, "compute_capability", lambda: capability)
    x, layers = make_inputs(7, 9, 12), make_layers(12, (64, 64))
    alone = lstm_stack(x, layers, method="wavefront", time_major=True)
    trained = outputs_and_gradients("wavefront", x, layers, None)[0]
    np.testing.assert_array_equal(alone, trained)


@needs_gcc
def test_the_trial_on_a_new_machine_tells_right_from_wrong(on_cpu, monkeypatch):
    assert wavefront_trial.difference(16, "float32") < 0.01

    def with_other_gates(kernel, blocks, operands, results):
        found = cuda_on_cpu.launch(kernel, blocks, operands, results)
        return found[::-1] if kernel.name == "lstm_backward" else found

    monkeypatch.setattr(cuda_launch, "launch", with_other_gates)
    assert wavefront_trial.difference(16, "float32") > wavefront_trial._TOLERANCE


def ptx_of(units, dtype, exact, card, monkeypatch):
    monkeypatch.setattr(devices, "compute_capability", lambda: card)
    kernels = wavefront_lstm._kernels(wavefront_lstm._variant(units, 2, dtype, exact, True), True)
    assert kernels[0].ptx() == kernels[1].ptx()
    return kernels[0].ptx()


@needs_compiler
@pytest.mark.skipif(not shutil.which("ptxas"), reason="ptxas is not installed")
@pytest.mark.parametrize(
    ("dtype", "exact", "spilled"),
    [
        ("bfloat16", False, 0),
        pytest.param("float32", False, 300, marks=pytest.mark.slow),
        pytest.param("float32", True, 1500, marks=pytest.mark.slow),
    ],
)
def test_the_models_kernels_become_machine_code(dtype, exact, spilled, monkeypatch, tmp_path):
    """For the cards that docs/gpu.md names, within a block's registers."""
    for card, name in (((8, 0), "sm_80"), ((8, 9), "sm_89"), ((9, 0), "sm_90")):
        ptx = ptx_of(64, dtype, exact, card, monkeypatch)
        assert re.search(r"^\.version 8\.0$", ptx, re.MULTILINE)  # What old drivers read.
        command = ["ptxas", "-v", f"-arch={name}", "-o", tmp_path / "out", "-"]
        done = subprocess.run(command, input=ptx, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        used = [int(n) for n in re.findall(r"Used (\d+) registers", done.stderr)]
        spills = [int(n) for n in re.findall(r"(\d+) bytes spill loads", done.stderr)]
        print(dtype, exact, name, used, spills)
        assert len(used) == 2 and max(used) * 384 <= 65_536
        assert max(spills) <= spilled


@needs_compiler
def test_an_error_in_a_source_is_told_in_a_line():
    with pytest.raises(cuda_compiler.CompilerError, match=r"fails.*what_is_this") as failure:
        cuda_compiler.to_ptx("what_is_this", ())
    assert "\n" not in str(failure.value)


def test_a_launch_is_what_xla_reads(monkeypatch):
    """XLA parses a custom call's settings as an attribute of MLIR; so does this."""
    ptx = '.version 8.0\n\t.file "a\\b"\n'
    monkeypatch.setattr(cuda_compiler, "to_ptx", lambda source, defines: ptx)
    kernel = cuda_launch.Kernel("a_kernel", "", (), 384, 70_000)

    def two_results(x):
        like = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return cuda_launch.launch(kernel, 3, [x], [like, like])

    lowered = jax.jit(two_results).trace(jnp.zeros(8)).lower(lowering_platforms=("cuda",))
    with lowered.compiler_ir().context:
        (function,) = lowered.compiler_ir().body
        call = function.regions[0].blocks[0].operations[0]
        assert ir.StringAttr(call.attributes["call_target_name"]).value == cuda_launch.TARGET
        text = ir.StringAttr(call.attributes["backend_config"]).value
        settings = ir.DictAttr(ir.Attribute.parse(text))
        numbers = {
            name: ir.IntegerAttr(settings[name]).value
            for name in ("grid_x", "grid_y", "grid_z", "block_x", "block_y", "block_z")
        }
        assert list(numbers.values()) == [3, 1, 1, 384, 1, 1]
        assert ir.IntegerAttr(settings["shared_mem_bytes"]).value == 70_000
        strings = {
            n: ir.StringAttr(settings[n]).value for n in ("name", "kernel_type", "kernel_data")
        }
    assert strings == {"name": "a_kernel", "kernel_type": "ptx", "kernel_data": ptx}


def test_shared_memory_that_a_card_does_not_have_is_not_asked_for(monkeypatch):
    for card in devices.SHARED_KIB:
        monkeypatch.setattr(devices, "compute_capability", lambda card=card: card)
        for units in range(16, 129, 16):
            for dtype in ("float32", "bfloat16"):
                if wavefront_lstm.supports(units, dtype, card):
                    variant = wavefront_lstm._variant(units, 2, dtype, False, True)
                    for kernel in wavefront_lstm._kernels(variant, True):
                        assert kernel.shared_bytes <= devices.shared_memory(card)
