"""How commands fail: one line that says what is wrong, where, and what to do.

Exit codes: 0 done, 2 the user's mistake (`UserError`), 1 anything else.
"""

import sys
from collections.abc import Callable
from typing import NoReturn


class UserError(Exception):
    """A mistake that the user can mend: the message says what is wrong, where, and what to do."""


def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Runs a command-line program and exits: a `UserError` becomes one line on stderr and code 2.

    Args:
      command: does the work; returns the exit code, None for 0.
    """
    try:
        sys.exit(command() or 0)
    except UserError as error:
        sys.exit(_fail(str(error)))
    except BrokenPipeError:  # The reader of our output went away (`| head`): nothing to report.
        sys.stderr.close()
        sys.exit(0)


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2
