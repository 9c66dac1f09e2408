"""`python -m reparam_suite.compare`: estimators on one checkpoint, or finished runs, side by side."""

import sys

if __name__ == "__main__":  # before the other imports, which take seconds
    from reparam_suite.runtime.program import begin

    begin("compare")

from collections.abc import Callable

from jsonargparse import ArgumentParser
from rich.console import Console

from reparam_suite.commands.complaint import complain
from reparam_suite.comparison import gradient_options, gradients, runs
from reparam_suite.runtime.errors import SuiteError
from reparam_suite.runtime.global_state import quiet
from reparam_suite.runtime.plain_warnings import plain_warnings
from reparam_suite.runtime.program import run
from reparam_suite.runtime.terminal import TextConsole
from reparam_suite.tracking import TrackingError
from reparam_suite.training import Stopped, StopSignals

_USAGE = 2
_ANY_WIDTH = 1_000

_Compare = Callable[[list[str], Console, StopSignals], None]

_COMMANDS: dict[str, tuple[Callable[[], ArgumentParser], _Compare]] = {
    "gradients": (gradient_options.parser, gradients.compare_checkpoint),
    "runs": (runs.parser, runs.compare_runs),
}

_HELP = """usage: python -m reparam_suite.compare COMMAND [options]

commands:
  gradients  many gradient estimators on the parameters and minibatches of one checkpoint
  runs       finished runs, grouped by estimator

python -m reparam_suite.compare COMMAND --help lists the options of each."""


@plain_warnings("reparam_suite.compare")
def main(args: list[str] | None = None) -> int:
    """Runs the command line `args` (by default sys.argv[1:]) and returns its exit code."""
    name, *options = (sys.argv[1:] if args is None else args) or ["--help"]
    if name in ("-h", "--help"):
        print(_HELP)
        return 0
    if name not in _COMMANDS:
        return _complain(f"expected the command {' or '.join(_COMMANDS)}, got {name}", _USAGE)
    parser, compare = _COMMANDS[name]
    if {"-h", "--help"} & set(options):
        print(parser().format_help())
        return 0
    quiet()
    with StopSignals() as signals:
        try:
            compare(options, _console(), signals)
            signals.wait_no_longer()
        except (SuiteError, TrackingError) as error:
            return _complain(str(error), _USAGE)
        except Stopped as error:
            return _complain(f"{error.what}; what had been measured until then is recorded", error.exit_code)
    return 0


def _console() -> Console:
    console = TextConsole()
    if not console.is_terminal:  # a file has no width that a line would have to fit in
        console.width = _ANY_WIDTH
    return console


def _complain(message: str, code: int) -> int:
    complain("compare", message)
    return code


if __name__ == "__main__":
    run(main)
