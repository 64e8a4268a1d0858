"""Launches of kernels that are written in CUDA C++, as operations of JAX."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import jax

from mmgenre.kernels import cuda_compiler

TARGET: Final = "__gpu$xla.gpu.ptx"
"""XLA's own custom call for kernels in PTX, which it loads and launches like those that it writes
itself. The name is not part of JAX's interface: who calls `launch` must do without, too."""

_STATUS_RETURNING: Final = 2
"""The version of custom calls whose settings are a string."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel and how it is launched.

    Attributes:
      name: of the function, whose arguments are pointers: to the operands, then to the results.
      source: CUDA C++.
      defines: macros of the source.
      threads: of a block.
      shared_bytes: of shared memory, of a block.
    """

    name: str
    source: str
    defines: tuple[tuple[str, int], ...]
    threads: int
    shared_bytes: int

    def ptx(self) -> str:
        """Returns the kernel as XLA gets it; raises `cuda_compiler.CompilerError`."""
        return cuda_compiler.to_ptx(self.source, self.defines)


def launch(
    kernel: Kernel, blocks: int, operands: Sequence[jax.Array], results: Sequence[Any]
) -> list[jax.Array]:
    """Runs a kernel; on NVIDIA GPUs only.

    Args:
      kernel: is compiled here, when it is traced.
      blocks: of the grid.
      operands: in row-major order.
      results: shapes and dtypes.

    Raises:
      cuda_compiler.CompilerError: it cannot be compiled.
    """
    numbers = {
        "grid_x": blocks,
        "grid_y": 1,
        "grid_z": 1,
        "block_x": kernel.threads,
        "block_y": 1,
        "block_z": 1,
        "shared_mem_bytes": kernel.shared_bytes,
    }
    settings = [f"name = {_quoted(kernel.name)}", 'kernel_type = "ptx"']
    settings.append(f"kernel_data = {_quoted(kernel.ptx())}")
    settings += [f"{name} = {number} : i32" for name, number in numbers.items()]
    call = jax.ffi.ffi_call(
        TARGET,
        list(results),
        custom_call_api_version=_STATUS_RETURNING,
        legacy_backend_config=f"{{{', '.join(settings)}}}",
        vmap_method="sequential",
    )
    return list(call(*operands))


def _quoted(text: str) -> str:
    """A string as MLIR's attributes have it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\0A").replace("\t", "\\09") + '"'
