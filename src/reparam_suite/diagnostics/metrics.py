"""Gradient statistics of a minibatch that is spread over ranks."""

from typing import Any, final

import torch
from torch import Tensor
from torchmetrics import Metric

from reparam_suite.diagnostics.batches import Batch, mapped
from reparam_suite.diagnostics.gradients import DEFAULT_REPEATS, Measurement, gradient_sums
from reparam_suite.diagnostics.measured_model import MeasuredModel
from reparam_suite.diagnostics.statistics import GradientStatistics, GradientSums
from reparam_suite.runtime.processes import num_processes, rank, total


@final
class GradientNoise(Metric):
    """The statistics of one group's mean gradient over all data of all ranks, from each shard's sums.

    The variance is that of the averaged gradient, which the optimizer steps on; that of a rank's own gradient is in its
    own `GradientSums.statistics()`, larger by about the number of ranks. Shards may differ in size.

    Args:
        num_repeats: R of the sums.
        num_parameters: P, the length of their gradient; 0 for a variational parameter, of which every datum has its
            own.
    """

    full_state_update = False
    num_data: Tensor
    variance: Tensor
    squared_error: Tensor
    least_squared_error: Tensor
    squared_norm: Tensor
    gradient: Tensor

    def __init__(self, *, num_repeats: int, num_parameters: int, **options: Any) -> None:
        super().__init__(**options)
        self.num_repeats = num_repeats
        self.num_parameters = num_parameters
        for name in ("num_data", "variance", "squared_error", "least_squared_error", "squared_norm"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("gradient", torch.zeros(num_parameters, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, sums: GradientSums) -> None:
        """Adds a shard.

        Raises:
            ValueError: if it has another number of repeats or parameters.
        """
        if sums.num_repeats != self.num_repeats:
            raise ValueError(f"GradientNoise adds sums of {self.num_repeats} repeats, got {sums.num_repeats}")
        size = sums.gradient.numel() if sums.shared else 0
        if size != self.num_parameters:
            raise ValueError(f"GradientNoise adds gradients of {self.num_parameters} parameters, got {size}")
        for name in ("num_data", "variance", "squared_error", "least_squared_error", "squared_norm"):
            setattr(self, name, getattr(self, name) + getattr(sums, name))
        if sums.shared:
            self.gradient = self.gradient + sums.gradient

    def compute(self) -> dict[str, Tensor]:
        """variance, standard_error, squared_norm and snr; data_variance too where the data share the parameters."""
        statistics = GradientSums(
            num_repeats=self.num_repeats,
            num_data=self.num_data,
            variance=self.variance,
            squared_error=self.squared_error,
            least_squared_error=self.least_squared_error,
            squared_norm=self.squared_norm,
            gradient=self.gradient,
            shared=self.num_parameters > 0,
        ).statistics()
        figures = {
            "variance": statistics.variance,
            "standard_error": statistics.standard_error,
            "squared_norm": statistics.squared_norm,
            "snr": statistics.snr,
        }
        return figures if statistics.data_variance is None else figures | {"data_variance": statistics.data_variance}


def gradient_noise(sums: GradientSums) -> GradientNoise:
    """The metric that adds up sums like these, empty, on their device."""
    size = sums.gradient.numel() if sums.shared else 0
    return GradientNoise(num_repeats=sums.num_repeats, num_parameters=size).to(sums.variance.device)


def statistics_over_processes(
    model: MeasuredModel,
    batch: Batch,
    num_repeats: int = DEFAULT_REPEATS,
    *,
    measurement: Measurement | None = None,
) -> dict[str, GradientStatistics]:
    """The same as `gradient_statistics`, of a minibatch whose rows the processes divide among them.

    The variance is that of the gradient averaged over processes, on which the optimizer steps, and the same as that of
    one process with the whole minibatch. All processes have to call, with the same batch.

    Args:
        model: the same in every process.
        batch: the whole minibatch, with at least one row per process.
        num_repeats: R, gradients of each datum.
        measurement: an earlier one of the same model, whose checks of layers are not repeated.
    """
    share = batch if num_processes() == 1 else mapped(batch, lambda tensor: tensor[rank() :: num_processes()])
    sums = gradient_sums(model, share, num_repeats, measurement=measurement)
    if num_processes() == 1:
        return {name: own.statistics() for name, own in sums.items()}
    statistics = {}
    for name, own in sums.items():
        noise = gradient_noise(own)
        noise.update(own)
        whole = noise.compute()
        statistics[name] = GradientStatistics(
            variance=whole["variance"],
            standard_error=whole["standard_error"],
            squared_norm=whole["squared_norm"],
            data_variance=whole.get("data_variance"),
            process_variance=total(own.statistics().variance) / num_processes(),
            road=own.road,
            off=own.off,
        )
    return statistics
