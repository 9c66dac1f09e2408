"""Where in training a checkpoint stands, in the one way from which Lightning goes on exactly.

Lightning's counters depend on the hook in which they are saved; from most hooks a resumed run leaves out a validation
or an epoch's end. They are put here as between two steps: all that follows the last step is done, the next one has not
begun.
"""

from typing import Any

from lightning.pytorch import LightningModule, Trainer


def put_between_steps(trainer: Trainer, checkpoint: dict[str, Any], data: dict[str, Any]) -> None:
    """Changes the counters of a checkpoint in place.

    Args:
        trainer: which trains.
        checkpoint: as Lightning saves it.
        data: the state of the data after the last step.
    """
    fit = checkpoint["loops"]["fit_loop"]
    batches, epochs = fit["epoch_loop.batch_progress"], fit["epoch_progress"]
    num_done = batches["current"]["processed"]
    epoch = epochs["current"]["started"] - 1
    if num_done >= trainer.num_training_batches:
        epoch, num_done = epoch + 1, 0
    checkpoint["epoch"] = epoch
    _set(batches["total"], begun=batches["total"]["processed"], ended=batches["total"]["processed"])
    _set(batches["current"], begun=num_done, ended=num_done)
    batches["is_last_batch"] = False
    for progress in epochs.values():
        _set(progress, begun=epoch + (num_done > 0), ended=epoch)
    fit["epoch_loop.state_dict"]["_batches_that_stepped"] = trainer.global_step
    if "combined_loader" in fit["state_dict"]:
        fit["state_dict"]["combined_loader"] = [data]


def count_steps(trainer: Trainer) -> None:
    """Sets right the number under which callbacks of others log; Lightning may count a step too many as it resumes."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step


def _set(progress: dict[str, int], *, begun: int, ended: int) -> None:
    progress |= {"ready": begun, "started": begun, "processed": ended, "completed": ended}


def nothing_left(trainer: Trainer, checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint stands at the last step that the trainer would make."""
    num_epochs: int = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["completed"]
    num_steps: int = checkpoint["global_step"]
    steps_done = 0 <= trainer.max_steps <= num_steps
    return steps_done or 0 <= (trainer.max_epochs or -1) <= num_epochs


def end_training(trainer: Trainer, model: LightningModule) -> None:
    """What follows the last step, after a fit that found nothing left: Lightning calls no callback then."""
    model.to(trainer.strategy.root_device)
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        callback.on_train_end(trainer, model)
