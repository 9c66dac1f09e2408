"""Means of the held-out bounds over the data of a validation or a test."""

from typing import final

from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection

from reparam_suite.models.held_out_bounds import held_out_bounds
from reparam_suite.objectives import LatentVariableModel
from reparam_suite.runtime.processes import num_processes, rank
from reparam_suite.runtime.random_streams import forked_generator

# Held-out numbers of different runs are drawn with the same noise, so that they compare.
_SEED = 1_604_172


@final
class HeldOutBounds(nn.Module):
    """Means of the held-out bounds over the data of all batches and processes."""

    def __init__(self) -> None:
        super().__init__()
        names = ("elbo", "bound", "reconstruction", "kl")
        self.means = MetricCollection(
            {name: MeanMetric(nan_strategy="disable") for name in names}, compute_groups=False
        )

    def add(self, model: LatentVariableModel, x: Tensor, batch_idx: int, num_samples: int) -> None:
        """Adds a batch, with the noise that belongs to its place; the first one begins anew.

        Args:
            model: gives q, p(z) and the likelihood.
            x: `[B, *datum]`.
            batch_idx: its place among the batches of this process.
            num_samples: K of the importance-weighted bound.
        """
        if batch_idx == 0:  # sums that Lightning has left in inference mode could not be added to
            self.clear()
        with forked_generator(x.device, _SEED + batch_idx * num_processes() + rank()):
            values = held_out_bounds(model, x, num_samples)
        for name, value in values.items():
            self.means[name].update(value)

    def take(self, stage: str, num_samples: int) -> dict[str, Tensor]:
        """STAGE/elbo, STAGE/bound_K, STAGE/reconstruction and STAGE/kl in nats; starts again from no data."""
        values = self.means.compute()
        self.clear()
        return {
            f"{stage}/bound_{num_samples}" if name == "bound" else f"{stage}/{name}": value
            for name, value in values.items()
        }

    def clear(self) -> None:
        """Forgets all batches."""
        self.means.reset()
