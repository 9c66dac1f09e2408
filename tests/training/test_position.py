"""The position that a checkpoint holds: between two steps, whatever hook Lightning's counters were saved in."""

from types import SimpleNamespace
from typing import Any

import pytest

from reparam_suite.training import end_training, nothing_left
from reparam_suite.training.position import count_steps, key_of_data, position_of_data, put_between_steps


class Data:
    """Five batches an epoch; the position is that of the data after the last step."""

    def __init__(self, resumes: str) -> None:
        self.resumes = resumes

    def state_dict(self) -> dict[str, int]:
        return {"epoch": 1, "batch": 2}


def trainer(data: object, *, steps: int = 7, **limits: Any) -> Any:
    return SimpleNamespace(
        datamodule=data,
        num_training_batches=5,
        global_step=steps,
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(_batches_that_stepped=99)),
        **limits,
    )


def counters(number: int) -> dict[str, int]:
    return dict.fromkeys(("ready", "started", "processed", "completed"), number)


def saved(*, num_done: int, epochs_started: int) -> dict[str, Any]:
    """As Lightning saves it in the middle of a step's hooks: more has begun than is done."""
    batches = counters(num_done) | {"ready": num_done + 1, "started": num_done + 1}
    return {
        "epoch": 77,
        "global_step": 7,
        "loops": {
            "fit_loop": {
                "epoch_loop.batch_progress": {"total": counters(7), "current": dict(batches), "is_last_batch": True},
                "epoch_progress": {"total": counters(epochs_started), "current": counters(epochs_started)},
                "epoch_loop.state_dict": {"_batches_that_stepped": 6},
                "state_dict": {"combined_loader": ["Lightning's own"]},
            }
        },
    }


@pytest.mark.parametrize(
    ("num_done", "resumes", "epoch", "batches", "loader"),
    [
        (2, "bitwise", 1, 2, [{"epoch": 1, "batch": 2}]),
        (5, "bitwise", 2, 0, [{"epoch": 1, "batch": 2}]),
        (2, "epoch", 1, 0, None),
        (5, "epoch", 2, 0, None),
    ],
    ids=["within an epoch", "at its end", "of data that keep no position", "of such data at an epoch's end"],
)
def test_counters_say_what_is_done(num_done, resumes, epoch, batches, loader):
    used = trainer(Data(resumes))
    checkpoint = saved(num_done=num_done, epochs_started=2)
    put_between_steps(used, checkpoint, position_of_data(used))
    fit = checkpoint["loops"]["fit_loop"]
    assert checkpoint["epoch"] == epoch
    assert fit["epoch_loop.batch_progress"]["current"] == counters(batches)
    assert fit["epoch_loop.state_dict"]["_batches_that_stepped"] == 7
    begun = epoch + (batches > 0)
    assert fit["epoch_progress"]["current"] == counters(epoch) | {"ready": begun, "started": begun}
    assert fit["state_dict"].get("combined_loader") == loader


def test_data_without_a_state_have_no_position():
    assert position_of_data(trainer(None)) == {}
    assert key_of_data(trainer(Data("epoch"))) == "Data"


def test_lightnings_count_of_steps_is_corrected():
    used = trainer(None, steps=7)
    count_steps(used)
    assert used.fit_loop.epoch_loop._batches_that_stepped == 7


@pytest.mark.parametrize(
    ("max_steps", "max_epochs", "ended"),
    [
        (7, None, True),
        (8, None, False),
        (-1, -1, False),
        (-1, 2, False),
        (-1, 1, True),
        (8, 1, True),
        (-1, None, False),
    ],
)
def test_nothing_is_left_where_a_limit_is_reached(max_steps, max_epochs, ended):
    """Seven steps, one whole epoch."""
    checkpoint = {"global_step": 7, "loops": {"fit_loop": {"epoch_progress": {"current": {"completed": 1}}}}}
    assert nothing_left(trainer(None, max_steps=max_steps, max_epochs=max_epochs), checkpoint) == ended


def test_what_follows_the_last_step_is_called_where_lightning_calls_nothing():
    called: list[object] = []
    callbacks = [SimpleNamespace(on_train_end=lambda *given, n=n: called.append((n, *given))) for n in range(2)]
    used = SimpleNamespace(callbacks=callbacks, strategy=SimpleNamespace(root_device="cpu"))
    model = SimpleNamespace(to=lambda device: called.append(device))
    end_training(used, model)
    assert called == ["cpu", (0, used, model), (1, used, model)]
