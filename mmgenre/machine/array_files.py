"""NumPy's .npz files of somebody else's: nothing is read that was not expected.

`numpy.load` believes what an array's header claims, and inflates what a compressed member holds: a
file of a few bytes can ask for all memory. Here names, dtypes and shapes are known before.
"""

import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from etils import epath

Expected = tuple[np.dtype[Any], tuple[int, ...]]
"""What an array must be: its dtype and its shape."""


def read_arrays(path: epath.PathLike, expected: Mapping[str, Expected]) -> dict[str, np.ndarray]:
    """Reads arrays of a .npz file.

    Args:
      path: of the file.
      expected: dtype and shape of each array to read, by name; there may be others in the file.

    Raises:
      OSError: it cannot be read.
      ValueError: it is damaged, or an array is missing or is not what is expected.
    """
    try:
        with epath.Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
            return {name: _read(archive, name, *what) for name, what in expected.items()}
    except KeyError as error:
        raise ValueError(str(error.args[0])) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        # RuntimeError: an encrypted member, or one that is compressed in an unknown way.
        raise ValueError(str(error) or type(error).__name__) from error


def _read(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype, shape: tuple[int, ...]
) -> np.ndarray:
    num_bytes = dtype.itemsize * int(np.prod(shape))
    with archive.open(f"{name}.npy") as member:
        found = _read_header(member)
        if found != (shape, False, dtype):
            raise ValueError(
                f"{name} is an array {found[2]}{list(found[0])}, not {dtype}{list(shape)}"
            )
        data = member.read(num_bytes)
        if len(data) != num_bytes or member.read(1):
            raise ValueError(f"{name} has not the {num_bytes:,} bytes that its shape says")
    return np.frombuffer(data, dtype).reshape(shape)


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(member)
    raise ValueError(f"its format {version} is unknown")
