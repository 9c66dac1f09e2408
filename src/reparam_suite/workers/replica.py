"""Further processes of a run on several devices, for a run that a worker trains: they call a function that was sent.

A script is started once more for each further process. A worker is no script: its processes are started as
`python -m reparam_suite.workers.replica FILE`, where the file has the function and its arguments.
"""

import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import spawn
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reparam_suite.workers.sending import obstacle


@contextmanager
def relaunch_command(function: Callable[..., object], *arguments: Any) -> Iterator[list[str] | None]:
    """Within this context, the command by which another process calls a function; None if it cannot be sent."""
    if obstacle(function, arguments) is not None:
        yield None
        return
    prepared = spawn.get_preparation_data("replica")
    del prepared["authkey"]  # a secret of this process
    with TemporaryDirectory(prefix="reparam-suite-") as directory:
        file = Path(directory) / "call"
        # Two pickles: the script that defines the function is imported before the second one is read.
        file.write_bytes(pickle.dumps(prepared) + bytes(ForkingPickler.dumps((function, arguments))))
        yield [sys.executable, "-m", "reparam_suite.workers.replica", str(file)]


def main(args: list[str]) -> int:
    """Calls the function in the file that `args` name, and returns its exit code."""
    with Path(args[0]).open("rb") as file:
        spawn.prepare(pickle.load(file))
        function, arguments = pickle.load(file)
    return int(function(*arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
