"""`python -m reparam_suite.sync`: delivers what runs could not send, and ends those whose process is gone."""

import sys

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from reparam_suite.commands.explanations import explained
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.plain_warnings import plain_warnings
from reparam_suite.tracking import Store, TrackingError, TrackingSettings

_DESCRIPTION = (
    "Sends to the tracking store what runs have left unsent under --tracking.root, in order and once, and marks runs "
    "whose process is gone as KILLED. It may be run at any time, and again."
)
_DONE, _UNSENT, _USAGE = 0, 1, 2


@plain_warnings("reparam_suite.sync")
def main(args: list[str] | None = None) -> int:
    """Runs the command line `args` (by default sys.argv[1:]) and returns its exit code: 1 if something is unsent."""
    console = Console(highlight=False)
    try:
        config = _parse(sys.argv[1:] if args is None else args)
        store = Store.open(TrackingSettings(**vars(config.tracking)))
        kinds = []
        for recovered in store.recover(gone=config.gone):
            console.print(f"{recovered.run_id}  {recovered.outcome}", soft_wrap=True, markup=False)
            kinds.append(recovered.kind)
    except (UsageError, TrackingError) as error:
        print(f"reparam_suite.sync: {error}", file=sys.stderr)
        return _USAGE
    if not {"recovered", "unsent"} & set(kinds):
        console.print("nothing to send")
    return _UNSENT if "unsent" in kinds else _DONE


def _parse(args: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m reparam_suite.sync", description=_DESCRIPTION, exit_on_error=False)
    parser.add_class_arguments(TrackingSettings, "tracking")
    parser.add_argument(
        "--gone",
        nargs="+",
        default=[],
        metavar="HOST",
        help="machines that will not come back: their runs are taken for ended, and what they left here is sent",
    )
    with explained(parser):
        return parser.parse_args(args)


if __name__ == "__main__":
    sys.exit(main())
