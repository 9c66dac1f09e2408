"""`python -m reparam_suite.study`: searches the options of a run, with Optuna and many workers."""

import sys

from rich.console import Console

from reparam_suite.commands.command_line import quiet
from reparam_suite.commands.usage import UsageError
from reparam_suite.data import DataError
from reparam_suite.tracking import TrackingError
from reparam_suite.training import Stopped, StopSignals

_USAGE, _FAILED = 2, 1


def main(args: list[str] | None = None) -> int:
    """Runs the command line `args` (by default sys.argv[1:]) and returns its exit code."""
    args = sys.argv[1:] if args is None else args
    try:
        from reparam_suite.studies.engines import WorkersLost
        from reparam_suite.studies.launch import StudyFailed, StudyStopped, search
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        return _complain("Optuna is not installed; to have it: pip install 'reparam_suite[study]'", _USAGE)
    quiet()
    with StopSignals() as signals:
        try:
            search(args, Console(highlight=False), signals)
        except (UsageError, DataError, TrackingError) as error:
            return _complain(str(error), _USAGE)
        except (StudyFailed, WorkersLost) as error:
            return _complain(str(error), _FAILED)
        except StudyStopped as error:
            return _complain(str(error), error.exit_code)
        except Stopped as error:
            return _complain(f"{error.what}; no trial had begun", error.exit_code)
    return 0


def _complain(message: str, code: int) -> int:
    print(f"reparam_suite.study: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
