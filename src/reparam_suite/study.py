"""`python -m reparam_suite.study`: searches the options of a run, with Optuna and many workers."""

import sys

if __name__ == "__main__":  # before the other imports, which take seconds
    from reparam_suite.commands.early import asks_for_workers
    from reparam_suite.runtime.program import begin

    begin("study", workers=asks_for_workers(sys.argv[1:]))


from reparam_suite.commands.automatic import stopped
from reparam_suite.commands.complaint import complain
from reparam_suite.commands.explanations import as_option
from reparam_suite.commands.short_options import as_typed
from reparam_suite.runtime.errors import SuiteError
from reparam_suite.runtime.global_state import quiet
from reparam_suite.runtime.plain_warnings import plain_warnings
from reparam_suite.runtime.program import run
from reparam_suite.runtime.terminal import TextConsole
from reparam_suite.tracking import TrackingError
from reparam_suite.training import Stopped, StopSignals

_USAGE, _FAILED = 2, 1


@plain_warnings("reparam_suite.study")
def main(args: list[str] | None = None) -> int:
    """Runs the command line `args` (by default sys.argv[1:]) and returns its exit code."""
    args = sys.argv[1:] if args is None else args
    try:
        from reparam_suite.studies.command import parser
        from reparam_suite.studies.launch import StudyFailed, StudyStopped, search
        from reparam_suite.workers import WorkersLost
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        return _complain("Optuna is not installed; to have it: pip install 'reparam_suite[study]'", _USAGE)
    quiet()
    with StopSignals() as signals:
        try:
            search(args, TextConsole(), signals)
            if signals.received is not None:
                received = Stopped(signals.received)
                return _complain(f"{received.what}; the study is finished", received.exit_code)
        except (StudyFailed, WorkersLost) as error:
            return _complain(str(error), _FAILED)
        except StudyStopped as error:
            return stopped("study", str(error), args, error.exit_code)
        except Stopped as error:
            return stopped("study", f"{error.what}; no trial had begun", args, error.exit_code)
        except (SuiteError, TrackingError) as error:
            return _complain(as_typed(as_option(str(error), parser()), args), _USAGE)
    return 0


def _complain(message: str, code: int) -> int:
    complain("study", message)
    return code


if __name__ == "__main__":
    run(main)
