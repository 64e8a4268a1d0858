"""Compiled programs kept on disk, so that the next start does not compile them again.

JAX finds them by a hash of the program, its own version and XLA's flags, but not of the processor,
so each kind of processor has a folder of its own. A cache must never be what a run fails of: where
the folder cannot be written, there is none. Imports nothing heavy.

The oldest files are deleted here and not by JAX (`jax_compilation_cache_max_size`): JAX takes a
lock around every program that it reads or writes, which file systems without locks refuse, and
which processes that start together would wait for.
"""

import hashlib
import os
import platform
import time
import zlib
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from mmgenre.machine import user_cache

_ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"
"""What Zstandard's files begin with (RFC 8878); JAX uses zlib where that is not installed."""

_FOLDER: Final = "JAX_COMPILATION_CACHE_DIR"
_MAX_BYTES: Final = 1 << 30
_CHECKED: Final = ".checked"
"""Touched when all files were looked at: those that are older need not be looked at again."""

_CLOCKS_S: Final = 60.0
"""Seconds that the clocks of a file system and this machine may differ."""

_COMPILED_FOR_S: Final = "0.1"
"""What is compiled faster than this is not worth a file."""


def enable(environ: MutableMapping[str, str] = os.environ) -> None:
    """Turns JAX's persistent compilation cache on; must run before JAX is imported.

    It lies in `$XDG_CACHE_HOME/mmgenre`, `~/.cache/mmgenre` by default. A JAX_COMPILATION_CACHE_DIR
    of the user's wins; an empty one turns the cache off.
    """
    if _FOLDER in environ:
        return
    try:
        folder = cache_folder(environ)
        user_cache.make(folder)  # What lies here is run by the next start.
        tidy(folder)
    except (OSError, RuntimeError):  # The latter where there is no home.
        return
    environ[_FOLDER] = str(folder)
    environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", _COMPILED_FOR_S)


def cache_folder(environ: MutableMapping[str, str] = os.environ) -> Path:
    """Returns the folder for programs compiled on a processor like this one."""
    kind = hashlib.sha256(_processor().encode()).hexdigest()[:12]
    return user_cache.root(environ) / f"compiled-{kind}"


def tidy(folder: Path, max_bytes: int = _MAX_BYTES) -> None:
    """Deletes what was cut off in writing, and the oldest files beyond `max_bytes` in all.

    JAX would warn of a damaged file at each start, and never replace it. Only files that were
    written since the last time are read for that.

    Raises:
      OSError: the folder cannot be read or written.
    """
    files = []
    mark = folder / _CHECKED
    last = mark.stat().st_mtime if mark.exists() else 0.0
    now = time.time()
    for path in folder.glob("*-cache"):
        try:
            status = path.stat()
            if status.st_mtime < last - _CLOCKS_S or _is_whole(path):
                files.append((status.st_mtime, status.st_size, path))
            else:
                path.unlink()
        except FileNotFoundError:  # Another process tidies up, too.
            continue
    mark.touch()
    os.utime(mark, (now, now))  # Before the files were read.
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= max_bytes:
            break
        path.unlink(missing_ok=True)
        total -= size


def _is_whole(path: Path) -> bool:
    content = path.read_bytes()
    try:
        if content.startswith(_ZSTANDARD):
            import zstandard

            zstandard.ZstdDecompressor().decompress(content)
        else:
            zlib.decompress(content)
    except Exception:  # Each library has errors of its own; a file that JAX cannot read is no loss.
        return False
    return True


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    names = ("vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU part")
    first = text.split("\n\n")[0].splitlines()
    return "\n".join(line for line in first if line.split("\t")[0].strip(": ") in names)
