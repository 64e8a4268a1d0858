"""The LSTM's CUDA kernels, compiled for the CPU: see cuda_on_cpu.h."""

import ctypes
import functools
import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mmgenre.kernels import cuda_compiler, wavefront_lstm
from mmgenre.kernels.cuda_launch import Kernel
from mmgenre.machine import files
from tests.commands import CACHE

HANDLERS = "ON_CPU(lstm_forward, ForwardShared)\nON_CPU(lstm_backward, BackwardShared)\n"


def launch(
    kernel: Kernel, blocks: int, operands: Sequence[jax.Array], results: Sequence[Any]
) -> list[jax.Array]:
    """What `cuda_launch.launch` does, on a CPU."""
    function = getattr(library(kernel.defines), f"{kernel.name}_on_cpu")

    def run(*arrays: Any) -> tuple[np.ndarray, ...]:
        inputs = [np.ascontiguousarray(array) for array in arrays]
        # NaN where a kernel writes nothing.
        outputs = [np.full(result.shape, np.nan, result.dtype) for result in results]
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (*inputs, *outputs)]
        array = (ctypes.c_void_p * len(pointers))(*pointers)
        function(blocks, ctypes.c_size_t(kernel.shared_bytes), len(pointers), array)
        return tuple(outputs)

    return list(jax.pure_callback(run, tuple(results), *operands))


@functools.cache
def library(defines: tuple[tuple[str, int], ...]) -> ctypes.CDLL:
    """Both kernels for the CPU, compiled unless an earlier test has."""
    digest = hashlib.sha256(repr((defines, source())).encode()).hexdigest()[:16]
    path = CACHE / "cuda_on_cpu" / f"{digest}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        macros = [f"-D{name}={value}" for name, value in defines]
        with files.replacing(path) as temporary:
            flags = ["-std=c++17", "-O1", "-shared", "-fPIC", "-x", "c++", "-o", str(temporary)]
            subprocess.run(["g++", *flags, *macros, "-"], input=source(), text=True, check=True)
    return ctypes.CDLL(str(path))


@functools.cache
def source() -> str:
    kernels = Path(wavefront_lstm.__file__).parent / "cuda" / "lstm_wavefront.cuh"
    emulation = Path(__file__).with_suffix(".h")
    return emulation.read_text() + kernels.read_text() + HANDLERS


@functools.cache
def has_compiler() -> bool:
    """Whether this machine has a compiler for GPUs."""
    try:
        cuda_compiler.to_ptx('extern "C" __global__ void nothing() {}', ())
    except cuda_compiler.CompilerError:
        return False
    return True
