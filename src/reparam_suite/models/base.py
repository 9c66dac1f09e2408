"""The one training step, and all that the two models share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple, final, get_args

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.optim import Optimizer

from reparam_suite.runtime.defaults import fresh
from reparam_suite.estimators import Average, Bound, Expectation, GradientEstimator
from reparam_suite.models.checks import (
    chosen_kl,
    require_at_least,
    require_bound,
    require_one_of,
    require_positive,
    require_posterior,
)
from reparam_suite.models.held_out import HeldOutBounds
from reparam_suite.models.hyperparameters import arguments, class_path
from reparam_suite.models.layers import Latents, LayeredPrior, prior_of
from reparam_suite.models.likelihoods import LIKELIHOODS, Observation
from reparam_suite.models.optimizers import OptimizerSettings, PartedOptimizer
from reparam_suite.models.priors import PriorKind
from reparam_suite.networks import Activation, mlp
from reparam_suite.objectives import KL, divergence, evidence
from reparam_suite.runtime.processes import average_buffers, num_processes
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.distributions import Posterior, parameters, widened


@final
class Reached(NamedTuple):
    """What a training step has reached; the tensors stay on the device.

    Attributes:
        objective: `[]`, the mean over the batch.
        kl: `[]`, the mean divergence from the prior in nats, whatever its weight; None where the objective has no such
            part.
        kl_weight: of the divergence in the objective.
    """

    objective: Tensor
    kl: Tensor | None
    kl_weight: float


class VAE(LightningModule, ABC):
    """A variational autoencoder trained with any gradient estimator.

    x -> encoder -> q(z|x) -> Expectation -> GradientEstimator -> Estimate -> loss. Training takes the estimator as it
    comes; validation and test never use it and draw hard samples from q, so that the numbers of all runs compare.

    Attributes:
        accepts: the classes of posterior that the model takes.
        num_val_samples: K of the bound at validation.
        num_test_samples: K of the bound at test time.
        reached: by the last training step; None before the first.
    """

    accepts: ClassVar[tuple[type[Posterior], ...]]
    num_val_samples: ClassVar[int] = 10
    num_test_samples: ClassVar[int] = 100

    input_mean: Tensor

    @abstractmethod
    def __init__(
        self,
        *,
        num_features: int,
        observation: Observation,
        latent_size: int,
        num_layers: int,
        posterior: Posterior,
        prior: PriorKind,
        estimator: GradientEstimator,
        bound: Bound,
        kl: KL | None,
        kl_weight: float,
        kl_warmup_steps: int,
        hidden_sizes: Sequence[int],
        activation: Activation,
        centre_input: bool,
        initialize_bias: bool,
        learning_rate: float,
        optimizer: OptimizerSettings,
        prior_optimizer: OptimizerSettings | None,
        control_optimizer: OptimizerSettings | None,
    ) -> None:
        super().__init__()
        require_at_least("num_features", num_features, 1)
        require_at_least("latent_size", latent_size, 1)
        require_at_least("num_layers", num_layers, 1)
        require_at_least("kl_weight", kl_weight, 0.0)
        require_at_least("kl_warmup_steps", kl_warmup_steps, 0)
        require_one_of("observation", observation, get_args(Observation))
        require_one_of("prior", prior, get_args(PriorKind))
        require_positive("learning_rate", learning_rate)
        posterior, estimator, bound = fresh(posterior), fresh(estimator), fresh(bound)
        require_posterior(type(self).__name__, posterior, self.accepts)
        self.num_features = num_features
        self.observation = observation
        self.latent_size = latent_size
        self.num_layers = num_layers
        self.posterior = posterior
        self.estimator = estimator
        self.bound = bound
        self.kl: KL = chosen_kl(kl, estimator, bound, num_layers)
        self.kl_weight = kl_weight
        self.kl_warmup_steps = kl_warmup_steps
        self.hidden_sizes = list(hidden_sizes)
        self.activation = activation
        self.centre_input = centre_input
        self.initialize_bias = initialize_bias
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.prior_optimizer = prior_optimizer
        self.control_optimizer = control_optimizer
        require_bound(bound, kl=self.kl, kl_weight=kl_weight, kl_warmup_steps=kl_warmup_steps, num_layers=num_layers)

        self.latents = Latents(posterior, latent_size, signed=centre_input)
        self.encoder = mlp(num_features, hidden_sizes, self.latents.num_parameters, activation)
        self.decoder = mlp(self.latents.num_features, list(hidden_sizes)[::-1], num_features, activation)
        self.likelihood = LIKELIHOODS[observation]()
        self.prior: PriorKind = prior
        self.prior_network = prior_of(
            latents=self.latents,
            num_layers=num_layers,
            kind=prior,
            hidden_sizes=hidden_sizes,
            activation=activation,
            estimator=estimator,
        )
        self.register_buffer("input_mean", torch.zeros(num_features))
        self.held_out_bounds = HeldOutBounds()
        self.reached: Reached | None = None
        self._compiled_reach: Callable[[Tensor, float], tuple[Tensor, Tensor, Tensor | None]] | None = None
        self.last_share = 1.0
        self._materialize()
        self.save_hyperparameters(
            {
                "_class_path": class_path(self),
                "_instantiator": "lightning.pytorch.cli.instantiate_module",
                **arguments(self),
            },
            logger=False,
        )

    def posterior_of(self, x: Tensor) -> Distribution:
        """q(z|x) for x of `[*B, P]`."""
        return self.latents.distribution(self.encoder(x - self.input_mean if self.centre_input else x))

    def prior_distribution(self) -> Distribution | LayeredPrior:
        """p(z), batch_shape `[]`; the layers above z if there are several."""
        prior: Distribution | LayeredPrior = self.prior_network()
        return prior

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z), `[K, *B]` in nats, for z of `[K, *B, D]` or `[K, *B, D, C]`."""
        log_likelihood: Tensor = self.likelihood(self.decode(z), x)
        return log_likelihood

    def decode(self, z: Tensor) -> Tensor:
        """The decoder's output, `[*, P]`, for z of `[*, D]` or `[*, D, C]`."""
        return widened(self.decoder(self.latents.features(z)))

    def mean_of(self, z: Tensor) -> Tensor:
        """E[x|z], `[*, P]`: pixel probabilities for binary data."""
        mean: Tensor = self.likelihood.mean(self.decode(z))
        return mean

    def layers(self) -> "list[VAE | LayeredPrior]":
        """This model and the layers of latents above its own, from the data up: each a model of what is below it."""
        found: list[VAE | LayeredPrior] = [self]
        while isinstance(above := found[-1].prior_network, LayeredPrior):
            found.append(above)
        return found

    def top_prior(self) -> Distribution:
        """p(z_top), batch_shape `[]`."""
        prior = self.layers()[-1].prior_distribution()
        assert isinstance(prior, Distribution)
        return prior

    @torch.no_grad()
    def posteriors_of(self, x: Tensor) -> list[Distribution]:
        """q(z1|x), q(z2|z1) and so on, batch_shape `[*B]`, each given a hard sample of the layer below it."""
        below, found = x, []
        for layer in self.layers():
            found.append(layer.posterior_of(below))
            below = found[-1].sample()
        return found

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The parameters of q(z|x) by name, and E[x|z] at q's mean as `probabilities`; no noise, and no layer above."""
        q = self.posterior_of(x)
        return {**parameters(q), "probabilities": self.mean_of(q.mean)}

    def current_kl_weight(self) -> float:
        """The weight of the KL at this step: from 0 to `kl_weight` over the warm-up."""
        if self.kl_warmup_steps == 0:
            return self.kl_weight
        return self.kl_weight * min(1.0, self.global_step / self.kl_warmup_steps)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:  # noqa: ARG002
        """The loss, whose gradient is the estimator's; what was reached stays on the device for whoever records it."""
        kl_weight = self.current_kl_weight()
        # A weight that rises would be compiled anew at each step.
        compiled = self._compiled_reach if kl_weight == self.kl_weight else None
        loss, objective, kl = (compiled or self._reach)(batch, kl_weight)
        self.reached = Reached(objective, kl, kl_weight)
        if num_processes() == 1:
            return loss
        # The gradients of the processes are averaged as equals, and the last batch of an epoch may have uneven shares.
        self.last_share = len(batch) / self.trainer.train_dataloader.num_rows  # type: ignore[union-attr]
        return loss * (self.last_share * num_processes())

    def _reach(self, batch: Tensor, kl_weight: float) -> tuple[Tensor, Tensor, Tensor | None]:
        # The loss; the objective and its KL, cut off from the graph.
        target = evidence(self, batch, self.bound, self.kl, kl_weight)
        estimate = self.estimator(target)
        objective: Tensor = estimate.objective.mean()
        kl = self._kl_of(target, kl_weight) if isinstance(self.bound, Average) else None
        return estimate.control_loss - objective, objective.detach(), kl

    def compile_step(self, **options: Any) -> None:
        """From now on training steps are compiled; validation, diagnostics and checkpoints stay as they are.

        Args:
            options: of torch.compile.

        Raises:
            ValueError: if there are several layers of latents: measuring their KL takes noise of its own.
        """
        if self.num_layers > 1:
            raise ValueError(f"a compiled step has one layer of latents, got num_layers {self.num_layers}")
        compiled = torch.compile(self._reach, dynamic=False, **options)

        def reach(batch: Tensor, kl_weight: float) -> tuple[Tensor, Tensor, Tensor | None]:
            # CUDA graphs write the next step's values to the same place.
            loss, objective, kl = compiled(batch, kl_weight)
            return loss, objective.clone(), None if kl is None else kl.clone()

        self._compiled_reach = reach

    def on_after_backward(self) -> None:
        """What the estimator remembers becomes that of all processes: of the whole batch."""
        if num_processes() > 1:
            average_buffers((layer.estimator for layer in self.layers()), self.last_share)

    def _kl_of(self, target: Expectation, kl_weight: float) -> Tensor:
        # Of the step's data, in closed form where there is one, whichever way it enters the objective.
        if target.exact is not None and kl_weight > 0.0:
            return target.exact.detach().mean() / -kl_weight
        prior = self.prior_distribution()
        if isinstance(prior, Distribution):
            return divergence(target.q, prior).mean()
        with forked_generator(self.device):
            return divergence(target.q, prior).mean()

    @property
    def objective_name(self) -> str:
        """What the training objective is called on record; a relaxed model's own number never passes for the bound."""
        if self.estimator.relaxed:
            return "relaxed_elbo"
        return "elbo" if isinstance(self.bound, Average) else f"bound_{self.estimator.num_samples}"

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The trainable parameters by part: encoder, decoder, prior, control; parts without any are left out."""
        layers = self.layers()
        groups = {
            "encoder": [each for layer in layers for each in layer.encoder.parameters()],
            "decoder": [
                *(each for layer in layers for each in layer.decoder.parameters()),
                *self.likelihood.parameters(),
            ],
            "prior": [each for each in layers[-1].prior_network.parameters() if each.requires_grad],
            "control": [each for layer in layers for each in layer.estimator.parameters()],
        }
        return {name: group for name, group in groups.items() if group}

    def configure_optimizers(self) -> Optimizer:
        """One optimizer; where prior or estimator have parameters of their own, an object that steps one for each."""
        groups = self.parameter_groups()
        parts = {"model": self.optimizer.make(groups["encoder"] + groups["decoder"], self.learning_rate)}
        settings = {"prior": self.prior_optimizer, "control": self.control_optimizer}
        for name, chosen in settings.items():
            if name in groups:
                parts[name] = (chosen or self.optimizer).make(groups[name], self.learning_rate)
        return parts["model"] if len(parts) == 1 else PartedOptimizer(parts)

    def on_fit_start(self) -> None:
        """Takes the data's mean, for centring and for the decoder's bias; a resumed model has both already."""
        if self.trainer.ckpt_path is not None or not (self.centre_input or self.initialize_bias):
            return
        mean: Tensor = self.trainer.datamodule.train_mean  # type: ignore[attr-defined]
        with torch.no_grad():
            if self.centre_input:
                self.input_mean.copy_(mean)
            if self.initialize_bias:
                output = self.decoder[-1]
                assert isinstance(output, nn.Linear)
                output.bias.copy_(self.likelihood.raw_of(mean))

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Adds a batch to the held-out bounds."""
        self.held_out_bounds.add(self, batch, batch_idx, self.num_val_samples)

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        """Adds a batch to the held-out bounds."""
        self.held_out_bounds.add(self, batch, batch_idx, self.num_test_samples)

    def on_validation_epoch_end(self) -> None:
        """Gives val/elbo, val/bound_K, val/reconstruction and val/kl."""
        self.log_dict(self.held_out_bounds.take("val", self.num_val_samples), logger=False)

    def on_test_epoch_end(self) -> None:
        """Gives test/elbo, test/bound_K, test/reconstruction and test/kl."""
        self.log_dict(self.held_out_bounds.take("test", self.num_test_samples), logger=False)

    def validate_on(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """The same numbers as Lightning's validation gives, outside of its loops; under autocast if that is on."""
        training = self.training
        self.eval()
        self.held_out_bounds.clear()  # Lightning may have left them in inference mode
        for batch_idx, batch in enumerate(batches):
            self.validation_step(batch, batch_idx)
        self.train(training)
        return {name: value.item() for name, value in self.held_out_bounds.take("val", self.num_val_samples).items()}

    def _materialize(self) -> None:
        # One dummy datum: lazy layers of the estimator get their shapes, and a misfit is found before any run exists.
        estimators = [layer.estimator for layer in self.layers()]
        training = self.estimator.training
        for each in estimators:
            each.eval()
        x = self.input_mean.new_zeros(1, self.num_features)
        try:
            self.estimator(evidence(self, x, self.bound, self.kl))
        except ValueError as error:
            raise ValueError(
                f"estimator {type(self.estimator).__name__} does not fit posterior {type(self.posterior).__name__}, "
                f"bound {type(self.bound).__name__}, kl {self.kl}: {error}"
            ) from None
        for each in estimators:
            each.train(training)
