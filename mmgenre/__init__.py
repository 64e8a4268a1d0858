"""mmgenre: the genres of a movie, from its poster and its overview.

    import mmgenre

    data = mmgenre.prepare("movies.csv", posters="posters")
    run = mmgenre.train(data, "model2", epochs=10)
    run.evaluate()
    run.predict(overview="A boy finds a map.", poster="poster.jpg")

Importing it imports nothing else: these names are looked up when they are used.
"""

import os
import shlex
import signal
import sys
from collections.abc import MutableMapping
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmgenre.api.prepared_data import PreparedData, prepare
    from mmgenre.api.run import Run, load_run
    from mmgenre.api.train import train

__version__ = "0.1.0"
__all__ = ["PreparedData", "Run", "load_run", "prepare", "train"]

_PLACES = {
    "PreparedData": "prepared_data",
    "Run": "run",
    "load_run": "run",
    "prepare": "prepared_data",
    "train": "train",
}
"""The module of `mmgenre.api` that has each of these."""

_SCRIPT = "mmgenre"
"""The console script's name."""

_FOR_OTHERS = (
    "MPLBACKEND",  # A notebook's. Figures go into files here; another backend may not be installed.
    "SOURCE_DATE_EPOCH",  # A build system's. NumPy reads it as a number when SciPy is imported.
    # Another program's choice of types and of what may be copied where: models here have their own.
    "JAX_DEFAULT_DTYPE_BITS",
    "JAX_ENABLE_X64",
    "JAX_NUMPY_DTYPE_PROMOTION",
    "JAX_TRANSFER_GUARD",
    "JAX_TRANSFER_GUARD_DEVICE_TO_DEVICE",
    "JAX_TRANSFER_GUARD_DEVICE_TO_HOST",
    "JAX_TRANSFER_GUARD_HOST_TO_DEVICE",
)
"""Variables that a notebook's kernel, a build system or another program has set for itself.

Each command that is started there inherits them. Libraries obey them, or end in a traceback.
"""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.api.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def typed_command() -> str:
    """Returns the command that the user typed, to be typed again."""
    if _is_script():
        return shlex.join([_SCRIPT, *sys.orig_argv[2:]])
    return shlex.join(["python", *sys.orig_argv[1:]])


def _is_script() -> bool:
    return len(sys.orig_argv) > 1 and os.path.basename(sys.orig_argv[1]) == _SCRIPT


def _end_at_once(signum: int, frame: FrameType | None) -> None:
    command = typed_command()
    name = signal.Signals(signum).name
    os.write(2, f"{name}: stopped before it began; go on with: {command}\n".encode())
    os._exit(128 + signum)


def _disregard_what_is_for_others(environ: MutableMapping[str, str]) -> None:
    # Those of progress bars, too, which may be malformed.
    for name in [name for name in environ if name in _FOR_OTHERS or name.startswith("TQDM_")]:
        del environ[name]
    # TensorFlow imports Keras with the backend that is named here or in ~/.keras; nothing uses it.
    environ["KERAS_BACKEND"] = "tensorflow"


# What `python -m` has there until it has found the command to run.
if sys.argv[:1] == ["-m"] or _is_script():
    # Importing takes a command a second, until `mmgenre.machine.signals` takes over.
    for _signum in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(_signum) != signal.SIG_IGN:
            signal.signal(_signum, _end_at_once)
    _disregard_what_is_for_others(os.environ)  # Libraries read it when they are imported.
