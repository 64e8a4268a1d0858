"""Log of a command at work: to standard error, and to a run's `log.txt`."""

import logging
import sys

from absl import logging as absl_logging
from etils import epath
from tqdm import tqdm

from mmgenre.machine import files

_FORMAT = logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")


def log_to_stderr() -> None:
    """Shows this program's messages of level INFO, and other libraries' warnings."""
    _show(logging.INFO, absl_logging.INFO)


def warn_on_stderr() -> None:
    """Shows warnings alone, for commands whose output is all that is wanted."""
    _show(logging.WARNING, absl_logging.WARNING)


def _show(level: int, absl_level: int) -> None:
    handler = _ProgressBarHandler()
    handler.setFormatter(_FORMAT)
    handler.addFilter(_is_wanted)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    absl_logging.set_verbosity(absl_level)


def only_warnings() -> None:
    """Leaves the messages of level INFO to the first of several processes."""
    logging.getLogger().setLevel(logging.WARNING)


def log_to_file(path: epath.Path) -> None:
    """Writes the same messages to a file, after what is there already."""
    logging.raiseExceptions = False  # A full disk shall end the run with its own, single message.
    handler = _FileHandler(files.open_append(path))
    handler.setFormatter(_FORMAT)
    handler.addFilter(_is_wanted)
    logging.getLogger().addHandler(handler)


def quiet_libraries() -> None:
    """Lets libraries report errors only, for commands whose answer is all that is wanted."""
    absl_logging.set_verbosity(absl_logging.ERROR)


class _FileHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Closes its file when the process ends: a remote one is uploaded then."""

    def close(self) -> None:
        self.stream.close()
        super().close()


class _ProgressBarHandler(logging.Handler):
    """Prints a line above a progress bar instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def _is_wanted(record: logging.LogRecord) -> bool:
    """This program's messages, and other libraries' warnings."""
    if "orbax" in record.pathname:
        # What it cannot do it also raises; `mmgenre.runs.checkpoints` says it in a line.
        return record.levelno >= logging.ERROR and not record.exc_info
    if record.levelno >= logging.WARNING:
        return True
    return record.name == "__main__" or record.name.startswith(("mmgenre", "data_prep"))
