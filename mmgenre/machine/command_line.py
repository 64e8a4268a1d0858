"""A command: how it reads its options, prints, fails and is interrupted; the same for all of them.

Imports nothing heavy.
"""

import argparse
import io
import os
import select
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from mmgenre.errors import UserError, report
from mmgenre.machine import banners, signals

_programs: dict[str, str] = {}
"""What users call a module's command, where they do not run it as `python -m <module>`."""


def name_program(module: str, name: str) -> None:
    """Sets what a module's command is called in its own help and errors, as "mmgenre train"."""
    _programs[module] = name


def program(module: str) -> str:
    """Returns what a module's command is called."""
    return _programs.get(module, f"python -m {module}")


class ArgumentParser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all commands do, instead of repeating all options.

    It completes options in a shell (`mmgenre completion`).
    """

    _is_completing = False

    def __init__(self, *, module: str = "", **kwargs: Any):
        """As argparse's; the parser of a command gives its module.

        Its description keeps its lines, and in them the command has the name that it was called by.
        """
        if module:
            kwargs["prog"] = program(module)
            description = kwargs.get("description") or ""
            kwargs["description"] = description.replace(f"python -m {module}", program(module))
            kwargs["formatter_class"] = argparse.RawDescriptionHelpFormatter
        super().__init__(**kwargs)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, and answers a shell that asks for completions instead."""
        if "_ARGCOMPLETE" in os.environ and not self._is_completing:
            import argcomplete

            self._is_completing = True  # It calls this function itself.
            argcomplete.autocomplete(self)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raises UserError."""
        raise UserError(f"{message}; see {self.prog} --help")


def run_command(command: Callable[[], int | None], kept: str = "") -> NoReturn:
    """Runs a command-line program and exits.

    A foreseen error and an interruption are one line on stderr each.

    Args:
      command: does the work; returns the exit code, None for 0.
      kept: what is left of the work where a signal ends it; see `signals.keep`.
    """
    code = 1
    try:
        signals.watch(kept)
        banners.silence()
        _replace_what_cannot_be_printed()
        code = _exit_code(command)
    except KeyboardInterrupt:
        pass
    signals.end_if_stopped()
    sys.exit(code)


def _exit_code(command: Callable[[], int | None]) -> int:
    try:
        _use_utf8()
        code = command() or 0
        sys.stdout.flush()
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Else Python complains when it ends.
            return 0
        return report(error)
    return code


def _use_utf8() -> None:
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


def _nobody_reads() -> bool:
    """Whether the reader of our output went away (`| head`), so that there is nothing to report."""
    poll = select.poll()
    poll.register(1, select.POLLOUT)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _replace_what_cannot_be_printed() -> None:
    """Lets a terminal that has not all characters show "?" for the others."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
