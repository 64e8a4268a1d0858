"""All commands under one name: `mmgenre <command> ...`, or `python -m mmgenre <command> ...`.

Each is a module that runs by itself, too; nothing is imported but the one that is asked for.
"""

import difflib
import os
import runpy
import sys
from typing import Final

from mmgenre import __version__
from mmgenre.errors import UserError
from mmgenre.machine import command_line
from mmgenre.machine.command_line import ArgumentParser, run_command

COMMANDS: Final = {
    "inspect": ("data_prep.inspect", "show how a catalogue of movies will be read"),
    "prepare": ("data_prep.prepare", "make a data set from a catalogue and posters"),
    "verify": ("data_prep.verify", "check every record of a data set"),
    "train": ("mmgenre.main", "train a model, evaluate it, write its report"),
    "sweep": ("mmgenre.sweep", "train a config at every point of a grid"),
    "review": ("mmgenre.review", "find labels of a data set that look wrong"),
    "runs": ("mmgenre.runs", "list runs with their scores and states"),
    "evaluate": ("mmgenre.evaluate", "evaluate a run on a split of a data set"),
    "baselines": ("mmgenre.baselines", "evaluate what a model must beat"),
    "report": ("mmgenre.report", "write a run's report, or compare runs"),
    "predict": ("mmgenre.predict", "predict the genres of one movie, or of many"),
    "demo": ("mmgenre.demo", "try a run in the browser"),
    "serve": ("mmgenre.serve", "serve a run's predictions over HTTP"),
    "export": ("mmgenre.export", "export a run as a folder that needs no mmgenre"),
    "completion": ("mmgenre.completion", "print a script that completes commands in a shell"),
}
"""Module and what it does, by the command's name."""

_USAGE: Final = (
    "usage: mmgenre <command> [options]\n\n"
    "Learns to tell a movie's genres from its poster and its overview.\n\ncommands:\n"
)
_HELP: Final = ("-h", "--help", "help")


def main() -> None:
    """Runs the command that is asked for.

    Raises:
      UserError: there is no such command.
    """
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    if command in _HELP:
        print(_USAGE + "".join(f"  {name:11} {does}\n" for name, (_, does) in COMMANDS.items()))
        print("mmgenre <command> --help shows a command's options; mmgenre --version the version.")
        return
    if command == "--version":
        print(f"mmgenre {__version__}")
        return
    if command not in COMMANDS:
        close = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"do you mean {close[0]}?" if close else "mmgenre --help lists them"
        raise UserError(f"there is no command {command!r}; {hint}")
    module, _ = COMMANDS[command]
    command_line.name_program(module, f"mmgenre {command}")
    del sys.argv[1]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _complete() -> None:
    """Completes the name of a command; behind one, lets its own parser complete the options."""
    words = os.environ.get("COMP_LINE", "").split()
    if len(words) > 1 and words[1] in COMMANDS:
        # The parser of the command begins behind its name.
        os.environ["_ARGCOMPLETE"] = str(1 + int(os.environ["_ARGCOMPLETE"]))
        sys.argv = ["mmgenre", words[1]]
        return
    parser = ArgumentParser(prog="mmgenre")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--version", action="store_true")
    parser.parse_args()  # Answers, and ends the process.


def run() -> None:
    """The console script."""
    run_command(main)


if __name__ == "__main__":
    run()
