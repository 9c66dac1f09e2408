"""The position in training that a checkpoint holds: always between two steps, from where resuming is exact.

Lightning's counters depend on the hook in which they are saved; from most hooks a resumed run leaves out a validation
or an epoch's end. Here all that follows the last step is done, and the next step has not begun.
"""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from reparam_suite.training.lightning_internals import set_batches_that_stepped, set_progress


def position_of_data(trainer: Trainer) -> dict[str, Any]:
    """The state of the trainer's data, without a position where they keep none."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    return {} if data is None else dict(data.state_dict())


def key_of_data(trainer: Trainer) -> str:
    """The key of that state in a checkpoint."""
    return type(trainer.datamodule).__qualname__  # type: ignore[attr-defined]


def put_between_steps(trainer: Trainer, checkpoint: dict[str, Any], position: Mapping[str, Any]) -> None:
    """Changes the counters of a checkpoint in place.

    Data that do not resume bitwise begin the epoch in progress anew when the run resumes, whatever state of their own
    they keep.

    Args:
        trainer: of the run.
        checkpoint: as Lightning saves it.
        position: the state of the data after the last step.
    """
    fit = checkpoint["loops"]["fit_loop"]
    num_done = fit["epoch_loop.batch_progress"]["current"]["processed"]
    epoch = fit["epoch_progress"]["current"]["started"] - 1
    if num_done >= trainer.num_training_batches:
        epoch, num_done = epoch + 1, 0
    exact = _resumes_bitwise(trainer)
    set_progress(
        checkpoint,
        epoch=epoch,
        num_done=num_done if exact else 0,
        num_steps=trainer.global_step,
        loader=dict(position) if exact else {},
    )


def _resumes_bitwise(trainer: Trainer) -> bool:
    data = trainer.datamodule  # type: ignore[attr-defined]
    return getattr(data, "resumes", "epoch") == "bitwise"


def count_steps(trainer: Trainer) -> None:
    """Corrects the number under which callbacks of others log; Lightning may count a step too many as it resumes."""
    set_batches_that_stepped(trainer, trainer.global_step)


def batches_done(checkpoint: Mapping[str, Any]) -> int:
    """The batches of the epoch in progress that the run of a checkpoint has done; 0 where the epoch begins again."""
    number: int = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["processed"]
    return number


def keeps_position(checkpoint: Mapping[str, Any]) -> bool:
    """Whether the data of the run of a checkpoint kept their position within an epoch."""
    return bool(checkpoint["loops"]["fit_loop"]["state_dict"].get("combined_loader"))


def nothing_left(trainer: Trainer, checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint is of the last step that the trainer would make."""
    num_epochs: int = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["completed"]
    num_steps: int = checkpoint["global_step"]
    steps_done = 0 <= trainer.max_steps <= num_steps
    return steps_done or 0 <= (trainer.max_epochs or -1) <= num_epochs


def end_training(trainer: Trainer, model: LightningModule) -> None:
    """Calls what follows the last step, after a fit that found nothing left: Lightning calls no callback then."""
    model.to(trainer.strategy.root_device)
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        callback.on_train_end(trainer, model)
