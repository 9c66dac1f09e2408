"""`python -m reparam_suite.ui`: MLflow's page, opened on the curves of the trainings."""

import signal
import sys
import threading
import webbrowser

if __name__ == "__main__":  # before the other imports, which take seconds
    from reparam_suite.runtime.program import begin

    begin("ui")

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from reparam_suite.commands.complaint import complain
from reparam_suite.commands.explanations import explained
from reparam_suite.runtime.errors import SuiteError, UsageError
from reparam_suite.runtime.plain_warnings import plain_warnings
from reparam_suite.runtime.program import run
from reparam_suite.runtime.terminal import TextConsole
from reparam_suite.tracking import Store, TrackingError, TrackingSettings
from reparam_suite.tracking.page_server import page_server
from reparam_suite.tracking.prepared_views import prepared_views
from reparam_suite.tracking.settings import is_server

_DESCRIPTION = (
    "Serves MLflow's page on this machine and opens it on the training curves of an experiment: the bound, gradient "
    "variance and costs, by estimator. The menu at the upper right has the table of runs, and comparisons and "
    "summaries of studies. Ctrl-C ends it."
)
_USAGE = 2
_TERMINATED = 128 + signal.SIGTERM


@plain_warnings("reparam_suite.ui")
def main(args: list[str] | None = None) -> int:
    """Runs the command line `args` (by default sys.argv[1:]) and returns its exit code."""
    console = TextConsole()
    if threading.current_thread() is threading.main_thread():  # Python allows handlers in no other
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        config = _parse(sys.argv[1:] if args is None else args)
        tracking = TrackingSettings(**vars(config.tracking))
        if (missing := tracking.missing_file()) is not None:
            raise UsageError(f"--tracking.root: expected a directory with runs on record, got none in {missing.parent}")
        if tracking.experiment not in (known := Store.experiments(tracking)):
            raise UsageError(f"--tracking.experiment: expected one of {', '.join(known)}, got {tracking.experiment}")
        path = prepared_views(tracking)[config.view]
        if is_server(tracking.resolved_uri()):
            _open(f"{tracking.shown_uri.rstrip('/')}/{path}", console, config)
            return 0
        with page_server(tracking.resolved_uri(), tracking.root / "artifacts", config.port) as served:
            _open(f"{served.address}/{path}", console, config)
            served.wait()
            raise TrackingError("MLflow's server has ended")
    except KeyboardInterrupt:
        return 0
    except (SuiteError, TrackingError) as error:
        complain("ui", str(error))
        return _USAGE


def _open(address: str, console: Console, config: Namespace) -> None:
    console.print(address, soft_wrap=True, markup=False)
    if config.open:
        webbrowser.open(address)


def parser() -> ArgumentParser:
    """The options of the command."""
    made = ArgumentParser(prog="python -m reparam_suite.ui", description=_DESCRIPTION, exit_on_error=False)
    made.add_argument("--open", type=bool, default=True, help="whether the page is opened in a browser")
    made.add_argument("--view", type=str, default="curves", help="that is opened: curves, table, options or others")
    made.add_argument("--port", type=int, default=None, help="of the page on this machine; a free one by default")
    made.add_class_arguments(TrackingSettings, "tracking")
    return made


def _parse(args: list[str]) -> Namespace:
    known = parser()
    with explained(known):
        config = known.parse_args(args)
    if config.view not in _VIEWS:
        raise UsageError(f"--view: expected {', '.join(_VIEWS)}, got {config.view or 'none'}")
    if config.port is not None and not 0 < config.port < 2**16:
        raise UsageError(f"--port: expected 1 to 65535, got {config.port}")
    return config


_VIEWS = ("curves", "table", "options", "others")


if __name__ == "__main__":
    run(main)
