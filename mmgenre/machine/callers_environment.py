"""Variables of the caller's environment that are meant for other programs than this one.

A notebook's kernel, a build system or a shell sets them, and every command that is started there
inherits them. Libraries obey them, or end in a traceback where they cannot. Imports nothing heavy;
must run before the libraries are imported.
"""

import os
import sys
from collections.abc import MutableMapping
from typing import Final

from mmgenre.errors import UserError

_FOR_OTHERS: Final = (
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


def disregard(environ: MutableMapping[str, str] = os.environ) -> None:
    """Removes what commands need not obey, and progress bars' settings, which may be malformed."""
    for name in [name for name in environ if name in _FOR_OTHERS or name.startswith("TQDM_")]:
        del environ[name]
    # TensorFlow imports Keras with the backend that is named here or in ~/.keras; nothing uses it.
    environ["KERAS_BACKEND"] = "tensorflow"


def use_utf8() -> None:
    """Lets file names be UTF-8 whatever the locale: starts the command anew where they are not.

    TensorFlow and Orbax take names as UTF-8 alone. Python has a mode for that, to be chosen before
    it starts, which a caller may have turned off. What is printed stays in the locale's encoding.

    Raises:
      UserError: an argument, or the name of the current folder, is no UTF-8.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        printed = f"{sys.stdout.encoding}:{sys.stdout.errors}" if sys.stdout else ""
        environ = {"PYTHONIOENCODING": printed, **os.environ, "PYTHONUTF8": "1"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)
    for text in (*sys.argv[1:], os.environ.get("PWD", "")):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UserError(f"the name {text!r} is not written in UTF-8; rename it") from None
