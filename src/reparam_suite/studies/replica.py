"""One of the other processes of a trial that trains on several devices; its first one is the worker."""

import sys
from collections.abc import Sequence

from lightning.pytorch import Callback

from reparam_suite.commands.command_line import Command, quiet
from reparam_suite.running.run import prepare, recording_callbacks, together
from reparam_suite.training import (
    CheckpointFiles,
    Checkpoints,
    EndpointRecord,
    Journal,
    ProcessLost,
    Replicas,
    Stopped,
    StopSignals,
)

MODULE = "reparam_suite.studies.replica"


def fit_trial(
    command: Command,
    journal: Journal,
    checkpoints: Checkpoints,
    signals: StopSignals,
    more: Sequence[Callback] = (),
) -> None:
    """Trains as one of the processes of a trial, or alone; `more` callbacks are the first process's.

    Raises:
        Stopped: if a signal ended it.
        ProcessLost: if another process has died.
    """
    trainer = command.trainer
    trainer.strategy.checkpoint_io = CheckpointFiles()
    if isinstance(trainer.strategy, Replicas):
        trainer.strategy.start_others_as(MODULE)
    recording = recording_callbacks(command, journal, checkpoints, signals)
    light = [each for each in recording if not isinstance(each, EndpointRecord)]  # whose arrays nobody asked for
    trainer.callbacks.extend([*light, *more])  # type: ignore[attr-defined]
    with together(trainer):
        trainer.fit(command.model, datamodule=command.datamodule)


def main(args: list[str]) -> int:
    """Trains, and leaves all that is to be told to the first process."""
    quiet()
    with StopSignals() as signals:
        try:
            command = Command(args)
            prepare(command)
            fit_trial(command, Journal(), Checkpoints(), signals)
        except (Stopped, ProcessLost):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
