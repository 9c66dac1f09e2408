"""Errors that stop a training run."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import final


@final
class NonFiniteLoss(RuntimeError):  # noqa: N818 - it says what happened
    """The loss or a parameter became NaN or infinite; the message names the step and the last checkpoint before it."""

    def __init__(self, what: str, *, step: int, checkpoint: Path | None) -> None:
        kept = f"the last finite checkpoint is {checkpoint}" if checkpoint else "there is no checkpoint before it"
        super().__init__(f"{what} at step {step}; {kept}")
        self.step = step
        self.checkpoint = checkpoint


@final
class Stopped(SystemExit):
    """A signal has ended the run.

    Attributes:
        exit_code: 128 plus the signal's number, as in a shell.
        what: "interrupted" or "terminated".
    """

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.exit_code = 128 + signum
        self.what = "interrupted" if signum == signal.SIGINT else "terminated"


@final
class UnknownMonitorError(ValueError):
    """The monitor names a metric that validation does not give; the message names those that it gives."""

    def __init__(self, name: str, known: Sequence[str], nearest: Sequence[str]) -> None:
        meant = f"; did you mean {nearest[0]}?" if nearest else ""
        super().__init__(f"monitor: expected one of {', '.join(known)}, got {name}{meant}")


class CheckpointError(Exception):
    """A file that cannot be resumed from; the message is one line and names it."""


@final
class DamagedCheckpoint(CheckpointError):  # noqa: N818 - it says what happened
    """A file whose content is not what was written: cut off, or changed on the disk. The one before it may do."""


@final
class ProcessLost(RuntimeError):  # noqa: N818 - it says what happened
    """Another of the processes that train together has died; the message says which, how, and how the run is recorded.

    Attributes:
        of_first: whether it was the first one, which alone reports errors.
    """

    def __init__(self, what: str, *, of_first: bool = False) -> None:
        run = "the next command marks the run" if of_first else "the run is recorded up to here, as FAILED"
        super().__init__(f"{what}; {run}")
        self.of_first = of_first
