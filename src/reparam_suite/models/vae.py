"""A variational autoencoder of parts."""

from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.distributions import mean_of, parameters
from reparam_suite.estimators import Expectation, GradientEstimator
from reparam_suite.models.bits_per_dim import ImageData, bits_per_dim
from reparam_suite.models.estimator_module import EstimatorModule
from reparam_suite.models.fitting import check_parts
from reparam_suite.models.given import Numbers, numbers_for
from reparam_suite.models.held_out import HeldOutBounds
from reparam_suite.models.held_out_bounds import divergence, held_out_bounds
from reparam_suite.models.optimizers import Optimizers
from reparam_suite.models.parts import with_control
from reparam_suite.objectives import ELBO, Objective
from reparam_suite.runtime import checks


class VAE(EstimatorModule):
    """A variational autoencoder trained with any gradient estimator.

    x -> posterior -> q(z|x) -> objective -> Expectation -> estimator -> loss. Validation and test never use objective
    or estimator and draw hard samples from q, so that the numbers of all runs compare. A batch is x, or a tuple or list
    whose first member is x.

    Outside of training (`encode`, `decode`, `sample`, `reconstruct`, `bound`, `posteriors`) x and z are tensors or
    NumPy arrays of any real numbers, converted to the model's type; integers are not scaled. Another shape or number
    of samples is refused with an ArgumentValueError, what is no real number with an ArgumentTypeError.

    Args:
        posterior: a module x `[B, *datum]` -> q(z|x), batch_shape `[B]`.
        likelihood: a module z `[*, *event]` -> p(x|z), batch_shape `[*]`.
        prior: a module () -> p(z), batch_shape `[]`.
        objective: what is maximised, `(model, x, step) -> Expectation`; by default ELBO().
        estimator: of the gradient.
        optimizer: settings for all parts, or by part: encoder, decoder, prior, control.

    Raises:
        TypeError: if a part returns something else than it should.
        ValueError: if parts do not fit together; the message names both sides.
    """

    num_val_samples: ClassVar[int] = 10
    num_test_samples: ClassVar[int] = 100

    def __init__(
        self,
        *,
        posterior: nn.Module,
        likelihood: nn.Module,
        prior: nn.Module,
        objective: Objective | None = None,
        estimator: GradientEstimator,
        optimizer: Optimizers | None = None,
    ) -> None:
        super().__init__(estimator=estimator, optimizer=optimizer)
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = prior
        self.objective: Objective = ELBO() if objective is None else objective
        self.held_out_bounds = HeldOutBounds()
        self.event_shape, self._latent_shape, self._support = check_parts(self)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z), `[K, *B]` in nats, for x of `[*B, *datum]` and z of `[K, *B, *event]`."""
        log_likelihood: Tensor = self.likelihood(z).log_prob(x)
        return log_likelihood

    def expectation(self, batch: Any) -> Expectation:
        """The objective's, for the batch."""
        return self.objective(self, datum_of(batch), self.steps_taken)

    def recorded(self, target: Expectation) -> dict[str, Tensor]:
        """KL(q || p) of the Expectation's own q, whatever the objective: in closed form, or at one hard sample."""
        known = getattr(self.objective, "kl_of", None)
        kl = known(target, self.steps_taken) if known is not None else None
        if kl is None:
            kl = divergence(target.q, self.prior())
        return {"kl": kl.mean()}

    @property
    def objective_name(self) -> str:
        """elbo or bound_K where the objective is one, at this step; a relaxed model's number never passes for it."""
        kind = getattr(self.objective, "record_as", "objective")
        weight_at = getattr(self.objective, "weight_at", None)
        if kind == "elbo" and weight_at is not None and weight_at(self.steps_taken) != 1.0:
            kind = "objective"
        name = f"bound_{self.estimator.num_samples}" if kind == "bound" else kind
        return f"relaxed_{name}" if self.estimator.relaxed else name

    @property
    def monitor(self) -> str | None:
        """val/elbo where the objective is the ELBO or a bound, else none."""
        return "val/elbo" if getattr(self.objective, "record_as", None) in ("elbo", "bound") else None

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The trainable parameters by part: encoder, decoder, prior, control; parts without any are left out.

        A prior of several layers has a `parameter_groups()` of its own, whose parts are joined with the model's.
        """
        of_prior = getattr(self.prior, "parameter_groups", None)
        above = of_prior() if of_prior is not None else {"prior": list(self.prior.parameters())}
        groups = {
            "encoder": [*self.posterior.parameters(), *above.get("encoder", [])],
            "decoder": [*self.likelihood.parameters(), *above.get("decoder", [])],
            "prior": above.get("prior", []),
        }
        return with_control(self, groups)

    def encode(self, x: Numbers) -> Distribution:
        """q(z|x), batch_shape `[B]`."""
        q: Distribution = self.posterior(numbers_for(self, "x", x, self.event_shape))
        return q

    def decode(self, z: Numbers) -> Distribution:
        """p(x|z), batch_shape `[*]`, for z of `[*, *event]`."""
        p: Distribution = self.likelihood(numbers_for(self, "z", z, self._latent_shape))
        return p

    @torch.no_grad()
    def sample(self, n: int, *, draw: bool = False) -> Tensor:
        """E[x|z] for n draws of z from the prior, `[n, *datum]`; draws of x instead where `draw` is true."""
        p = self.decode(self.prior().sample((checks.integer("n", n, least=1),)))
        return p.sample() if draw else p.mean

    @torch.no_grad()
    def reconstruct(self, x: Numbers) -> Tensor:
        """E[x|z] at q's mean, or at a sample of q where it has none, `[B, *datum]`."""
        q = self.encode(x)
        return self.decode(q.sample() if (mean := mean_of(q)) is None else mean).mean

    def bound(self, x: Numbers, num_samples: int) -> Tensor:
        """The importance-weighted bound on log p(x) from `num_samples` hard samples of q, `[B]` in nats."""
        checks.integer("num_samples", num_samples, least=1)
        data = numbers_for(self, "x", x, self.event_shape)
        if not data.numel():
            return data.new_zeros(data.shape[: data.dim() - len(self.event_shape)])
        return held_out_bounds(self, data, num_samples)["bound"]

    def layers(self) -> list[Any]:
        """This model and the layers of latents above its own, from the data up: each a model of what is below it."""
        found: list[Any] = [self]
        while hasattr(found[-1].prior, "posterior"):
            found.append(found[-1].prior)
        return found

    def top_prior(self) -> Distribution:
        """p(z_top), batch_shape `[]`."""
        p: Distribution = self.layers()[-1].prior()
        return p

    @torch.no_grad()
    def posteriors(self, x: Numbers) -> list[Distribution]:
        """q(z1|x), q(z2|z1) and so on, batch_shape `[*B]`, each given a hard sample of the layer below it."""
        below, found = numbers_for(self, "x", x, self.event_shape), []
        for layer in self.layers():
            found.append(layer.posterior(below))
            below = found[-1].sample()
        return found

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The parameters of q(z|x) by name, and E[x|z] at q's mean as `reconstruction`; no noise, no layer above."""
        q = self.encode(x)
        mean = mean_of(q)
        return dict(parameters(q)) | ({} if mean is None else {"reconstruction": self.decode(mean).mean})

    def on_fit_start(self) -> None:
        """Gives the mean of the training data to the parts that start from it; a resumed model has it already."""
        super().on_fit_start()
        starting = [module for module in self.modules() if hasattr(module, "start_from_mean")]
        if self.trainer.ckpt_path is None and starting:
            mean: Tensor = self.trainer.datamodule.train_mean  # type: ignore[attr-defined]
            for module in starting:
                cast("Any", module).start_from_mean(mean)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Adds a batch to the held-out bounds."""
        self.held_out_bounds.add(self, datum_of(batch), batch_idx, self.num_val_samples)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Adds a batch to the held-out bounds."""
        self.held_out_bounds.add(self, datum_of(batch), batch_idx, self.num_test_samples)

    def on_validation_epoch_end(self) -> None:
        """Logs val/elbo, val/bound_K, val/reconstruction and val/kl; val/bits_per_dim of images, see `bits_per_dim`."""
        self._log_held_out("val", self.num_val_samples)

    def on_test_epoch_end(self) -> None:
        """Logs test/elbo, test/bound_K, test/reconstruction and test/kl; test/bits_per_dim of images."""
        self._log_held_out("test", self.num_test_samples)

    def _log_held_out(self, stage: str, num_samples: int) -> None:
        metrics = self.held_out_bounds.take(stage, num_samples)
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, ImageData):
            elbo = metrics[f"{stage}/elbo"]
            bits = bits_per_dim(elbo, support=self._support, event_shape=self.event_shape, data=data)
            metrics |= {} if bits is None else {f"{stage}/bits_per_dim": bits}
        self.log_dict(metrics)


def datum_of(batch: Any) -> Tensor:
    """x of a batch: itself, or its first member.

    Raises:
        TypeError: if that is no tensor.
    """
    x = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    if not isinstance(x, Tensor):
        raise TypeError(f"batch: expected a tensor x, or a tuple or list that begins with it, got {type(x).__name__}")
    return x
