"""`python -m reparam_suite.sync`: delivers what runs could not send, and ends those whose process is gone."""

import sys

if __name__ == "__main__":  # before the other imports, which take seconds
    from reparam_suite.runtime.program import begin

    begin("sync")


from jsonargparse import ArgumentParser

from reparam_suite.commands.complaint import complain
from reparam_suite.commands.explanations import explained
from reparam_suite.runtime.errors import SuiteError
from reparam_suite.runtime.plain_warnings import plain_warnings
from reparam_suite.runtime.program import run
from reparam_suite.runtime.terminal import TextConsole
from reparam_suite.tracking import Store, TrackingError, TrackingSettings
from reparam_suite.training import Stopped, StopSignals

_DESCRIPTION = (
    "Sends the records under --tracking.root that the tracking store has not received, in order and once, and marks "
    "runs whose process has died as KILLED. It may be repeated at any time."
)
_DONE, _UNSENT, _USAGE = 0, 1, 2


@plain_warnings("reparam_suite.sync")
def main(args: list[str] | None = None) -> int:
    """Runs the command line `args` (by default sys.argv[1:]) and returns its exit code: 1 if something is unsent."""
    console = TextConsole()
    kinds = []
    with StopSignals():
        try:
            tracking, gone = _parse(sys.argv[1:] if args is None else args)
            for recovered in Store.open(tracking).recover(gone=gone):
                console.print(f"{recovered.run_id}  {recovered.outcome}", soft_wrap=True, markup=False)
                kinds.append(recovered.kind)
        except (SuiteError, TrackingError) as error:
            complain("sync", str(error))
            return _USAGE
        except Stopped as error:
            complain("sync", f"{error.what}; what was sent is marked, and the rest is kept")
            return error.exit_code
    if not {"recovered", "unsent"} & set(kinds):
        console.print("nothing to send")
    return _UNSENT if "unsent" in kinds else _DONE


def parser() -> ArgumentParser:
    """The options of the command."""
    made = ArgumentParser(prog="python -m reparam_suite.sync", description=_DESCRIPTION, exit_on_error=False)
    made.add_class_arguments(TrackingSettings, "tracking")
    made.add_argument(
        "--gone",
        nargs="+",
        default=[],
        metavar="HOST",
        help="hosts that will not return: their runs are marked as ended, and their unsent records are sent",
    )
    return made


def _parse(args: list[str]) -> tuple[TrackingSettings, list[str]]:
    known = parser()
    if {"-h", "--help"} & set(args):
        print(known.format_help())
        raise SystemExit(0)
    with explained(known):
        parsed = known.parse_args(args)
        return TrackingSettings(**vars(parsed.tracking)), parsed.gone


if __name__ == "__main__":
    run(main)
