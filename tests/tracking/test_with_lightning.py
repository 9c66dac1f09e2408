import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from reparam_suite.tracking import RunLogger

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning")


class Regression(pl.LightningModule):
    """y = w x, logged each step; fails at a step if told to."""

    def __init__(self, *, fails_at: int = -1):
        super().__init__()
        self.save_hyperparameters()
        self.fails_at = fails_at
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        if batch_idx == self.fails_at:
            raise ZeroDivisionError
        loss = self.layer(batch).square().mean()
        self.log("train/loss", loss)
        return loss

    def test_step(self, batch, batch_idx):
        self.log("test/loss", self.layer(batch).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(run: RunLogger) -> pl.Trainer:
    return pl.Trainer(
        logger=run,
        max_epochs=1,
        log_every_n_steps=1,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


BATCHES = torch.utils.data.DataLoader(torch.ones(8, 1), batch_size=1)


def test_lightning_trains_tests_and_we_end_the_run(store):
    run = store.start_run(name="run", parameters={}, tags={})
    ours = trainer(run)
    ours.fit(Regression(), BATCHES)
    assert store.run(run.run_id).info.status == "RUNNING"
    assert [step for step, _ in store.history(run.run_id, "train/loss")] == list(range(8))
    ours.test(ours.model, BATCHES, verbose=False)
    run.close("FINISHED")
    assert len(store.history(run.run_id, "test/loss")) == 1
    assert store.run(run.run_id).info.status == "FINISHED"
    assert store.run(run.run_id).data.params["fails_at"] == "-1"


def test_metrics_up_to_the_failing_step_are_in_the_store(store):
    run = store.start_run(name="run", parameters={}, tags={})
    with pytest.raises(ZeroDivisionError):
        trainer(run).fit(Regression(fails_at=5), BATCHES)
    assert [step for step, _ in store.history(run.run_id, "train/loss")] == list(range(5))
    run.close("FINISHED")
    assert store.run(run.run_id).info.status == "FAILED"
