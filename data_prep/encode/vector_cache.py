"""What an encoder has said, kept by what it was asked: nothing is encoded twice.

A file of rows of one size, appended to: the key of a text or a picture, its vector and a checksum.
A kill in the midst of a row costs that row. Each encoder has a file of its own.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np

from mmgenre.dataset.tfrecord import masked_crc
from mmgenre.errors import UserError

_KEY: Final = 16
_CRC: Final = 4
_AT_ONCE: Final = 4096  # Rows that are read together.


def key_of(data: bytes) -> bytes:
    """The key of a text's or a file's bytes."""
    return hashlib.blake2b(data, digest_size=_KEY).digest()


class VectorCache:
    """Vectors by key. A context manager: it keeps its file open.

    Args:
      path: of the file, which is made where it is missing; what is damaged in it is forgotten.
      size: values of a vector; an attribute, too.

    Raises:
      UserError: the file cannot be read or written.
    """

    def __init__(self, path: Path, size: int):
        self.size = size
        self._row_bytes = _KEY + 2 * size + _CRC
        self._rows: dict[bytes, int] = {}
        try:
            self._file = open(path, "r+b" if path.exists() else "w+b")  # noqa: SIM115
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error
        self._file.truncate(self._sound_rows() * self._row_bytes)
        self._file.seek(0, os.SEEK_END)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self._file.close()

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    def __getitem__(self, key: bytes) -> bytes:
        """Returns a vector <float16>[size] as bytes, little-endian."""
        return os.pread(
            self._file.fileno(), 2 * self.size, self._rows[key] * self._row_bytes + _KEY
        )

    def add(self, keys: Sequence[bytes], vectors: np.ndarray) -> None:
        """Appends vectors <float16>[n, size], and hands them to the system before it returns."""
        for key, vector in zip(keys, vectors.astype("<f2"), strict=True):
            row = key + vector.tobytes()
            self._file.write(row + masked_crc(row).to_bytes(_CRC, "little"))
            self._rows[key] = len(self._rows)
        self._file.flush()

    def _sound_rows(self) -> int:
        """Notes the rows up to the first that is not whole; returns how many there are."""
        while True:
            block = self._file.read(_AT_ONCE * self._row_bytes)
            for start in range(0, len(block), self._row_bytes):
                row = block[start : start + self._row_bytes]
                crc = int.from_bytes(row[-_CRC:], "little")
                if len(row) < self._row_bytes or masked_crc(row[:-_CRC]) != crc:
                    return len(self._rows)
                self._rows[row[:_KEY]] = len(self._rows)
            if not block:
                return len(self._rows)
