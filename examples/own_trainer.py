"""A model of the suite in a Lightning Trainer of your own: a schedule, a logger, and the gradient's variance in it.

Nothing here writes to MLflow. `GradientVariance` is an ordinary callback that logs to the loggers of its Trainer.
"""

import csv
from pathlib import Path

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger

from reparam_suite.data import Digits
from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.distributions import FactorizedCategorical
from reparam_suite.estimators import GumbelSoftmax, LeaveOneOut, ScoreFunction, StraightThroughGumbel
from reparam_suite.models import DiscreteVAE
from reparam_suite.training import GradientVariance

MAX_STEPS = 400


class ScheduledVAE(DiscreteVAE):
    """A DiscreteVAE with an optimizer and a schedule of its own; the rest of the model stays as it is."""

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = torch.optim.RAdam(self.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=MAX_STEPS)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


if __name__ == "__main__":
    seed_everything(0)
    model = ScheduledVAE(
        event_shape=(64,),
        latent_size=8,
        posterior=FactorizedCategorical(num_classes=8),
        hidden_sizes=(100,),
        estimator=GumbelSoftmax(temperature=0.5),
    )
    data = Digits()
    trainer = Trainer(
        max_steps=MAX_STEPS,
        accelerator="cpu",
        logger=CSVLogger("logs"),
        callbacks=[GradientVariance(every=MAX_STEPS // 4)],
        gradient_clip_val=10.0,
        log_every_n_steps=10,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=data)
    (metrics,) = trainer.validate(model, datamodule=data, verbose=False)
    print(f"validation ELBO {metrics['val/elbo']:.2f} nats, KL {metrics['val/kl']:.2f} nats")

    with Path(trainer.logger.log_dir, "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row.get("grad/encoder/variance")]
    for row in rows:
        print(f"step {row['step']:>3}: gradient variance {float(row['grad/encoder/variance']):.3g} nats^2")

    # The estimator is an attribute: the same weights and the same batch under others.
    batch = data.sample_batch("train")
    for estimator in (model.estimator, StraightThroughGumbel(), ScoreFunction(num_samples=4, baseline=LeaveOneOut())):
        model.estimator = estimator
        encoder = gradient_statistics(model, batch)["encoder"]
        print(
            f"{type(estimator).__name__:>21}: variance {float(encoder.variance):.3g} +- "
            f"{float(encoder.standard_error):.1g}, signal-to-noise ratio {float(encoder.snr):.2g}"
        )
