"""`python -m reparam_suite.fit`: trains a model with a chosen gradient estimator and records it in MLflow."""

import sys

if __name__ == "__main__":  # before the other imports, which take seconds
    from reparam_suite.commands import early
    from reparam_suite.commands.complaint import complain
    from reparam_suite.runtime.program import begin
    from reparam_suite.runtime.terminal import show

    if (page := early.page(sys.argv[1:])) is not None:
        show(page)
        sys.exit(0)
    if (refusal := early.refusal(sys.argv[1:])) is not None:
        complain("fit", refusal)
        sys.exit(2)
    begin("fit")

from collections.abc import Iterator

from rich.console import Console

from reparam_suite.commands.automatic import automatic_runs, is_automatic, requeued
from reparam_suite.commands.complaint import complain
from reparam_suite.commands.explanations import as_option
from reparam_suite.commands.given import option_values
from reparam_suite.commands.options import Options, set_threads
from reparam_suite.commands.resuming import resumed_run
from reparam_suite.commands.schema import run_parser
from reparam_suite.commands.short_options import as_typed
from reparam_suite.commands.table import results_table
from reparam_suite.commands.verification import verify_resume
from reparam_suite.running import Result, Run, RunStopped, SameData, Surroundings
from reparam_suite.runtime.errors import RunFinishedError, SuiteError
from reparam_suite.runtime.global_state import quiet
from reparam_suite.runtime.launchers import is_further_process
from reparam_suite.runtime.plain_warnings import plain_warnings
from reparam_suite.runtime.program import run
from reparam_suite.runtime.terminal import TextConsole
from reparam_suite.tracking import TrackingError
from reparam_suite.training import CheckpointError, NonFiniteLoss, ProcessLost, Stopped, StopSignals

_USAGE, _FAILED = 2, 1


@plain_warnings("reparam_suite.fit")
def main(args: list[str] | None = None) -> int:
    """Runs the command line `args` (by default sys.argv[1:]) and returns its exit code."""
    args = sys.argv[1:] if args is None else args
    console = TextConsole()
    quiet()
    results: list[Result] = []
    with StopSignals() as signals:
        code = _train(args, results, console, signals)
        signals.wait()  # what is finished is shown whole, whatever comes
        if results:
            _show(results, console)
        if code == 0 and signals.received is not None:
            stopped = Stopped(signals.received)
            return _complain(f"{stopped.what}; what is shown is finished", stopped.exit_code)
    return code


def _train(args: list[str], results: list[Result], console: Console, signals: StopSignals) -> int:
    # The exit code; results of finished runs are added, whatever happens to the next one.
    same_data = SameData()
    try:
        if option_values("--verify_resume", args):
            return verify_resume(args, console, signals)
        for run, own in _runs(args):
            surroundings = Surroundings(
                console, signals, _command(own), tell=_tell, of_command=True, observer=same_data
            )
            if (result := _trained(run, surroundings, args)) is not None:
                results.append(result)
            signals.wait_no_longer()
    except (NonFiniteLoss, CheckpointError) as error:
        return _complain(str(error), _FAILED)
    except ProcessLost as error:
        return _complain(str(error), _FAILED, survivor=error.of_first)
    except RunStopped as error:
        return _stopped(str(error), error.exit_code, args)
    except Stopped as error:
        state = "what is shown is finished" if results else "no run had begun"
        return _stopped(f"{error.what}; {state}", error.exit_code, args)
    except (SuiteError, TrackingError) as error:
        return _complain(as_typed(as_option(str(error), run_parser()), args), _USAGE)
    return 0


def _show(results: list[Result], console: Console) -> None:
    console.print(results_table(results))
    console.print(f"run        {', '.join(result.run_id for result in results)}", soft_wrap=True)
    console.print(f"artifacts  {results[-1].artifacts}", soft_wrap=True)
    console.print(f"MLflow UI  {results[-1].ui_command}", soft_wrap=True)


def _command(args: list[str]) -> list[str]:
    return [sys.executable, "-m", "reparam_suite.fit", *args]


def _runs(args: list[str]) -> Iterator[tuple[Run, list[str]]]:
    # With the arguments of a command that makes this run alone, for further processes of it.
    if is_automatic(args):
        yield from automatic_runs(args)
        return
    if targets := option_values("--resume", args):
        options, run = resumed_run(args, targets[-1])
        set_threads(options.values)
        yield run, args
        return
    options = Options.of(args)
    set_threads(options.values)
    for seed in dict.fromkeys(options.values.seeds or [options.values.seed]):
        yield options.run(seed=seed), [*args, "--seeds", str(seed)]


def _trained(run: Run, surroundings: Surroundings, args: list[str]) -> Result | None:
    try:
        return run.fit_within(surroundings)
    except RunFinishedError as error:
        if not is_automatic(args):
            raise
        surroundings.console.print(str(error), soft_wrap=True)
        return None


def _stopped(message: str, code: int, args: list[str]) -> int:
    _complain(message, code)
    if (told := requeued(args, code)) is not None:
        _complain(told, code)
    return code


def _tell(note: str) -> None:
    _complain(note, 0)


def _complain(message: str, code: int, *, survivor: bool = False) -> int:
    # The first process alone reports what stops all of them; after its death another one does.
    if survivor or not is_further_process():
        complain("fit", message)
    return code


if __name__ == "__main__":
    run(main)
