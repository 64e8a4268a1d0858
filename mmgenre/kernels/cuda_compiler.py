"""CUDA C++ into PTX, which XLA launches: by NVRTC, a library that JAX's CUDA wheels bring along.

So a machine needs no CUDA toolkit and no C++ compiler; where NVRTC is missing, an nvcc that is
installed does. PTX is text for all cards: the driver makes a card's machine code of it.
"""

import ctypes
import functools
import glob
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mmgenre.errors import first_line

ARCHITECTURE: Final = "compute_80"
"""The least that the sources need (A100); later cards take it, too."""

_NEWEST_PTX: Final = (8, 0)
"""What the oldest driver reads that JAX takes, 525. Compilers write their own version at the head
of the text, though what is used here is all older."""


class CompilerError(Exception):
    """There is no compiler, or it fails; the message says so in a line."""


@functools.cache
def to_ptx(source: str, defines: tuple[tuple[str, int], ...]) -> str:
    """Compiles a source, in about a second; a process does it once.

    Args:
      source: CUDA C++ that includes nothing.
      defines: macros.

    Raises:
      CompilerError: see there.
    """
    options = [f"-D{name}={value}" for name, value in defines]
    if library := _nvrtc():
        ptx = _by_nvrtc(library, source, options)
    elif nvcc := shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc"):
        ptx = _by_nvcc(nvcc, source, options)
    else:
        raise CompilerError("neither NVRTC (pip install nvidia-cuda-nvrtc-cu12) nor nvcc is there")
    return re.sub(r"^\.version (\d+)\.(\d+)", _for_old_drivers, ptx, count=1, flags=re.MULTILINE)


def _for_old_drivers(version: re.Match[str]) -> str:
    return ".version {}.{}".format(*min(_NEWEST_PTX, (int(version[1]), int(version[2]))))


def _nvrtc_paths() -> Iterator[str]:
    """Where pip puts it, then what the system's loader finds."""
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec and spec.submodule_search_locations) or ():
        for part in ("cuda_nvrtc", "cu*"):  # Of CUDA 12, and of all later.
            yield from sorted(glob.glob(os.path.join(folder, part, "lib", "libnvrtc.so.*")))
    for version in (13, 12):
        yield f"libnvrtc.so.{version}"
    yield "/usr/local/cuda/lib64/libnvrtc.so"


@functools.cache
def _nvrtc() -> ctypes.CDLL | None:
    for path in _nvrtc_paths():
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    return None


def _by_nvrtc(library: ctypes.CDLL, source: str, options: list[str]) -> str:
    def read(what: str) -> str:
        size = ctypes.c_size_t()
        getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        getattr(library, f"nvrtcGet{what}")(program, text)
        return text.value.decode()

    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    try:
        arguments = [f"--gpu-architecture={ARCHITECTURE}".encode(), *map(str.encode, options)]
        array = (ctypes.c_char_p * len(arguments))(*arguments)
        code = library.nvrtcCompileProgram(program, len(arguments), array)
        if code:
            log = read("ProgramLog")
            error = re.search(r"^.*\berror\b.*$", log, re.MULTILINE)
            raise CompilerError(f"NVRTC fails with code {code}: {error[0] if error else log[:200]}")
        return read("PTX")
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _by_nvcc(nvcc: str, source: str, options: list[str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cu"
        path.write_text(source)
        command = [
            nvcc,
            "-ptx",
            f"-arch={ARCHITECTURE}",
            *options,
            "-o",
            f"{folder}/out",
            str(path),
        ]
        try:
            subprocess.run(command, capture_output=True, check=True, text=True)
        except subprocess.CalledProcessError as error:
            raise CompilerError(f"{nvcc} fails: {error.stderr.strip()[:200]!r}") from error
        except OSError as error:
            raise CompilerError(f"{nvcc} fails: {first_line(error)}") from error
        return Path(f"{folder}/out").read_text()
