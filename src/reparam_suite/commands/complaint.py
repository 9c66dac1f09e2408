"""The line with which a command ends that could not do what it was asked to."""

import re
import sys

from reparam_suite.runtime.terminal import printable

# A longer word, such as a path or a number, is shown by its ends.
_LONGEST_WORD, _BEGINNING, _END = 400, 200, 50
_LONG_WORD = re.compile(rf"\S{{{_LONGEST_WORD},}}")


def complain(command: str, message: str) -> None:
    """Prints a message to stderr, in one line that does nothing to a terminal.

    Args:
        command: its name, for example fit.
        message: of an error.
    """
    print(f"reparam_suite.{command}: {shown(message)}", file=sys.stderr)


def shown(message: str) -> str:
    r"""A message in one line, without control characters, whatever was given.

    >>> shown("--name: got \x1b[31mred\nand more")
    '--name: got \\x1b[31mred and more'
    """
    line = printable(" ".join(message.split()))
    return _LONG_WORD.sub(lambda found: f"{found[0][:_BEGINNING]}...{found[0][-_END:]}", line)
