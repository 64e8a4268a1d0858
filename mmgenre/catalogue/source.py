"""The bytes of a catalogue as it was downloaded: a file, a gzip, a zip, or a folder with one."""

import contextlib
import dataclasses
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Final

from etils import epath

from mmgenre.errors import UserError

PREFERRED: Final = "movies_metadata.csv"
"""The file that is meant where an archive or a folder holds several: Kaggle's is called so."""

ENDINGS: Final = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet")
"""Of the files that may be a catalogue, also with .gz behind."""

_EXCEL: Final = "save it as CSV UTF-8 (File, Save As) and give that"
_OTHER_KINDS: Final = {
    b"%PDF": ("a PDF", "give a table"),
    b"\x89PNG": ("a PNG image", "give a table"),
    b"\xff\xd8\xff": ("a JPEG image", "give a table"),
    b"SQLite format 3": (
        "an SQLite database",
        "save its table with: sqlite3 -header -csv FILE 'SELECT * FROM movies' > movies.csv",
    ),
    b"\xd0\xcf\x11\xe0": ("an old Excel or Word file", _EXCEL),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it"),
    b"Rar!": ("a RAR archive", "unpack it"),
    b"BZh": ("a bzip2 file", "unpack it with bunzip2"),
    b"\xfd7zXZ": ("an xz file", "unpack it with unxz"),
    b"\x28\xb5\x2f\xfd": ("a zstd file", "unpack it with unzstd"),
}
_PARQUET: Final = b"PAR1"
_DAMAGE: Final = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""Of archives, besides OSErrors without a number, which bzip2 and gzip raise."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the bytes of a catalogue are.

    Attributes:
      path: of a file.
      member: of a zip archive; "" for none.
      packing: "", "gzip" or "zip".
      is_parquet: whether it is a Parquet file.
    """

    path: epath.Path
    member: str = ""
    packing: str = ""
    is_parquet: bool = False

    def __str__(self) -> str:
        return f"{self.path}({self.member})" if self.member else str(self.path)

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Opens the unpacked bytes, from the start.

        Raises:
          UserError: it cannot be read, or the archive is damaged; also while it is read.
        """
        with contextlib.ExitStack() as stack:
            try:
                raw = stack.enter_context(self.path.open("rb"))
            except OSError as error:
                raise UserError(f"cannot read {self.path}: {error.strerror or error}") from error
            try:
                if self.packing == "zip":
                    archive = stack.enter_context(zipfile.ZipFile(raw))
                    raw = stack.enter_context(_open_member(archive, self))
                elif self.packing == "gzip":
                    raw = stack.enter_context(gzip.GzipFile(fileobj=raw))
                yield raw
            except OSError as error:
                if error.errno is not None:  # Of the disk, or of whoever reads the rows.
                    raise
                raise _damaged(self.path, error) from error
            except _DAMAGE as error:
                raise _damaged(self.path, error) from error


def find_source(path: epath.PathLike) -> Source:
    """Finds the one catalogue in a file, an archive or a folder.

    Raises:
      UserError: there is none, there are several, or it is of a kind that cannot be read; says how
        to save such a kind.
    """
    path = epath.Path(path)
    if path.is_dir():
        names = [entry.name for entry in path.iterdir() if not entry.is_dir()]
        return find_source(path / _choose(names, f"the folder {path}"))
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if not head:
        raise UserError(f"{path} is empty; give a table of movies, such as {PREFERRED}")
    for magic, (kind, advice) in _OTHER_KINDS.items():
        if head.startswith(magic):
            raise UserError(f"{path} is {kind}, not a table of movies; {advice}")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _find_member(path)
    if head.startswith(b"\x1f\x8b"):
        return Source(path, packing="gzip")
    return Source(path, is_parquet=head.startswith(_PARQUET))


def _find_member(path: epath.Path) -> Source:
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            names = [n for n in archive.namelist() if not n.startswith("__MACOSX/")]
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    if "[Content_Types].xml" in names:
        raise UserError(f"{path} is an Excel or Word file, not a table of movies; {_EXCEL}")
    member = _choose(names, f"the archive {path}")
    if member.lower().endswith((".gz", ".parquet")):
        raise UserError(f"{path} holds {member}, which is packed itself; unpack the archive first")
    return Source(path, member, "zip")


def _choose(names: list[str], place: str) -> str:
    """Returns the only name that may be a catalogue's, or Kaggle's among several."""
    found = [
        name
        for name in sorted(names)
        if name.lower().removesuffix(".gz").endswith(ENDINGS)
        and not name.rpartition("/")[2].startswith(".")
    ]
    preferred = [name for name in found if name.rpartition("/")[2].lower() == PREFERRED]
    if len(preferred or found) == 1:
        return (preferred or found)[0]
    if not found:
        raise UserError(f"{place} holds no table ({', '.join(ENDINGS)})")
    shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
    raise UserError(f"{place} holds {len(found)} tables ({shown}); give the right one")


def _open_member(archive: zipfile.ZipFile, source: Source) -> IO[bytes]:
    try:
        return archive.open(source.member)
    except RuntimeError as error:  # Encrypted, or compressed in an unknown way.
        raise UserError(f"{source.path} cannot be unpacked: {error}") from error


def _damaged(path: epath.Path, error: Exception) -> UserError:
    return UserError(f"{path} is a damaged or truncated archive ({error}); download it again")
