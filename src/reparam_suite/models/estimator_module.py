"""The open base of all models: an estimator, and one method that returns the expectation to be maximised."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from reparam_suite.estimators import Estimate, Expectation, GradientEstimator
from reparam_suite.models.optimizers import Optimizers, OptimizerSettings, checked, optimizer_of, rates_of
from reparam_suite.models.parts import CONTROL, child_groups
from reparam_suite.models.schedules import ScheduledRates
from reparam_suite.runtime.construction import construct
from reparam_suite.runtime.plain_data import arguments, class_path
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.versions import present_checkpoint


class EstimatorModule(LightningModule, ABC):
    """A model whose training gradient is that of an expectation, estimated by any estimator that fits it.

    batch -> `expectation` -> Expectation -> GradientEstimator -> Estimate -> loss. A subclass says what the expectation
    is and gets in return the training step, the optimizers by part, records, and the measurement of its gradient's
    variance. It need not be a VAE: a policy, a stochastic network, a hard attention. All of LightningModule's methods
    may be overridden, and what is logged by `self.log` is recorded.

    Args:
        estimator: of the gradient.
        optimizer: settings for all parts, or by part: the names of `parameter_groups`.

    Raises:
        TypeError: if `estimator` is no GradientEstimator.
    """

    default_learning_rate = 1e-3

    def __init__(self, *, estimator: GradientEstimator, optimizer: Optimizers | None = None) -> None:
        super().__init__()
        if not isinstance(estimator, GradientEstimator):
            raise TypeError(f"estimator: expected a GradientEstimator, got {_shown(estimator)}")
        self.estimator = estimator
        self.optimizer = checked(OptimizerSettings() if optimizer is None else optimizer)
        self._loaded_steps = 0

    @abstractmethod
    def expectation(self, batch: Any) -> Expectation:
        """The expectation whose gradient is wanted, from a batch as the data loader yields it."""

    @property
    def steps_taken(self) -> int:
        """Optimizer steps behind the present parameters: the `step` of objectives."""
        return self.global_step or self._loaded_steps

    @property
    def objective_name(self) -> str:
        """The name of the training objective on record, after `train/`."""
        return "relaxed_objective" if self.estimator.relaxed else "objective"

    @property
    def monitor(self) -> str | None:
        """The metric by which weights are the best, the largest; None: the last weights are."""
        return None

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:  # noqa: ARG002
        """The loss, whose gradient is the estimator's, and beside it the objective `[]` for the record.

        Raises:
            TypeError: if `expectation` returns something else.
        """
        target = self.checked_expectation(batch)
        estimate: Estimate = self.estimator(target)
        objective = estimate.objective.mean()
        outputs = {"loss": estimate.control_loss - objective, "objective": objective.detach()}
        return outputs | self.recorded(target)

    def recorded(self, target: Expectation) -> dict[str, Tensor]:  # noqa: ARG002
        """More for the record of a step: tensors `[]`, cut off from the graph; recorded as train/NAME."""
        return {}

    def checked_expectation(self, batch: Any) -> Expectation:
        """`expectation`, held to its return type.

        Raises:
            TypeError: naming the model and what it returned.
        """
        target = self.expectation(batch)
        if not isinstance(target, Expectation):
            raise TypeError(
                f"expectation of {type(self).__name__}: expected to return an Expectation, got {_shown(target)}"
            )
        return target

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The trainable parameters by part: one part for each child module, in order, each parameter once.

        The module's own parameters are `own`; those of estimators are `control`, trained and not measured.
        """
        return child_groups(self)

    def estimators(self) -> list[GradientEstimator]:
        """The model's estimator, then those of its layers."""
        found = [module for module in self.modules() if isinstance(module, GradientEstimator)]
        return [self.estimator, *(module for module in found if module is not self.estimator)]

    def materialize(self, batch: Any) -> None:
        """Gives lazy parts of the estimators their shapes by one pass over `batch`; nothing else moves.

        Raises:
            TypeError: if `expectation` returns something else than an Expectation.
            ValueError: if the estimator does not fit what it returns.
        """
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        device = next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        try:
            with forked_generator(device), torch.enable_grad():
                self.estimator(self.checked_expectation(batch))
        finally:
            for module, mode in modes:
                module.training = mode

    def configure_optimizers(self) -> Any:
        """One optimizer; where parts have different settings, an object that steps one for each. And its schedules."""
        optimizer = self.made_optimizer()
        if (rates := self.scheduled_rates(optimizer)) is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}

    def made_optimizer(self) -> Optimizer:
        """The optimizer of the settings.

        Raises:
            ValueError: if settings name a part that the model does not have.
        """
        return optimizer_of(self.optimizer, self.parameter_groups(), self.default_learning_rate)

    def scheduled_rates(self, optimizer: Optimizer) -> ScheduledRates | None:
        """The learning rates of an optimizer that `made_optimizer` has just made; None where none has a schedule."""
        return rates_of(optimizer, self.optimizer, self.parameter_groups())

    def on_fit_start(self) -> None:
        """Counts steps from 0, unless a checkpoint is resumed."""
        if self.trainer.ckpt_path is None:
            self._loaded_steps = 0

    def get_extra_state(self) -> Tensor:
        """The optimizer steps taken, so that a model that was loaded has the objective that was trained."""
        return torch.tensor(self.steps_taken)

    def set_extra_state(self, state: Tensor) -> None:
        """Restores the number of steps."""
        self._loaded_steps = int(state)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the class and its constructor's arguments in plain types, for `load_from_checkpoint`."""
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = {"_class_path": class_path(self), **arguments(self)}

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        *,
        allow: Collection[str] = (),
        map_location: Any = "cpu",
        strict: bool = True,
        weights_only: bool = True,
        **arguments: Any,
    ) -> Self:
        """The model of a checkpoint, with its weights; the file runs no code.

        Args:
            checkpoint_path: of a file that Lightning or the suite wrote.
            allow: names of modules whose classes the file may name, beside the suite's and the one of this class.
            map_location: where the weights go.
            strict: whether all weights have to match.
            weights_only: True; files that need more are not read.
            arguments: of the constructor, in the place of those on record.

        Raises:
            ValueError: if the file names a class that is not allowed, or its model cannot be made from the record.
        """
        if not weights_only:
            raise ValueError("weights_only: expected True, since a pickle may run code, got False")
        content = present_checkpoint(torch.load(checkpoint_path, map_location=map_location, weights_only=True))
        recorded = dict(content.get(cls.CHECKPOINT_HYPER_PARAMS_KEY) or {})
        for name in ("_class_path", "_instantiator"):  # of this class, and of Lightning's command line
            recorded.pop(name, None)
        allowed = {*allow, cls.__module__}
        made = {name: construct(value, allow=allowed) for name, value in recorded.items() if name not in arguments}
        model = cls(**made, **arguments)
        model.load_state_dict(content["state_dict"], strict=strict)
        return model.to(map_location) if map_location is not None else model


def measured_groups(groups: Mapping[str, Iterable[nn.Parameter]]) -> dict[str, list[nn.Parameter]]:
    """The groups whose gradient is measured: not the estimators' own parameters, and no group without any."""
    trained = {name: [p for p in group if p.requires_grad] for name, group in groups.items() if name != CONTROL}
    return {name: group for name, group in trained.items() if group}


def _shown(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
