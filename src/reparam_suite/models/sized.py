"""From sizes and options to the parts of a VAE."""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from torch import nn

from reparam_suite.distributions import BernoulliLikelihood, Conditional
from reparam_suite.distributions.posteriors import LatentFamily
from reparam_suite.estimators import GradientEstimator
from reparam_suite.models.layers import LayeredPrior
from reparam_suite.models.optimizers import require_rate
from reparam_suite.models.vae import VAE
from reparam_suite.networks import MLP, BiasFromMean, Builder, Centred, SignedBits, built
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentValueError

PriorKind = Literal["fixed", "learned"]
# Builder first: on the command line a short name is looked for in this order.
Network = Builder | nn.Module | Callable[..., nn.Module]


class SizedVAE(VAE):
    """The base of GaussianVAE and DiscreteVAE: makes the parts of a VAE from sizes and options.

    Args:
        arguments: of the subclass's constructor, as given.
        options: the same with defaults in their places.
    """

    accepts: tuple[type[LatentFamily], ...]

    def __init__(self, arguments: Mapping[str, Any], *, posterior: LatentFamily, num_layers: int = 1) -> None:
        given = dict(arguments)
        event_shape = _shape(given["event_shape"])
        latent_size = checks.integer("latent_size", given["latent_size"], least=1)
        num_layers = checks.integer("num_layers", num_layers, least=1)
        require_rate("learning_rate", given["learning_rate"])
        if not isinstance(posterior, self.accepts):
            names = " or ".join(sorted(cls.__name__ for base in self.accepts for cls in _concrete(base)))
            raise ValueError(f"posterior of {type(self).__name__}: expected {names}, got {type(posterior).__name__}")
        family = posterior.of_latent_size(latent_size)
        likelihood = _likelihood(given["likelihood"], event_shape)
        mlp = MLP(hidden_sizes=given["hidden_sizes"], activation=given["activation"])
        mirrored = MLP(hidden_sizes=mlp.hidden_sizes[::-1], activation=mlp.activation)
        signed = bool(given["centre_input"]) and family.are_bits

        chosen = mlp if given["encoder"] is None else given["encoder"]
        encoder = built(chosen, event_shape, (family.num_parameters,), "encoder")
        chosen = _mirrored(given["encoder"]) or mirrored if given["decoder"] is None else given["decoder"]
        decoder = built(chosen, family.event_shape, event_shape, "decoder")
        if given["initialize_bias"]:
            decoder = BiasFromMean(decoder, likelihood.raw_of)
        if given["centre_input"]:
            encoder = nn.Sequential(Centred(event_shape), encoder)
        estimator = self.default_estimator() if given["estimator"] is None else given["estimator"]
        super().__init__(
            posterior=Conditional(encoder, family, input_axes=len(event_shape)),
            likelihood=_given_latents(decoder, likelihood, family, signed=signed),
            prior=_prior(given["prior"], family, num_layers, mlp, mirrored, estimator, signed=signed),
            objective=given["objective"],
            estimator=estimator,
            optimizer=given["optimizer"],
        )
        self._arguments = given
        self.latent_size = latent_size
        self.num_layers = num_layers
        self.learning_rate = self.default_learning_rate = float(given["learning_rate"])

    @classmethod
    def default_estimator(cls) -> GradientEstimator:
        """The estimator where none is given."""
        raise NotImplementedError

    def constructor_arguments(self) -> dict[str, Any]:
        """The arguments that make the same model; those of a subclass with a constructor of its own by attribute."""
        names = [name for name in inspect.signature(type(self).__init__).parameters if name != "self"]
        own = set(names) == set(self._arguments)
        kept = dict(self._arguments) | {"objective": self.objective, "estimator": self.estimator}
        return kept if own else {name: getattr(self, name) for name in names}


def _mirrored(encoder: Any) -> Builder | None:
    return encoder.mirrored() if isinstance(encoder, Builder) else None


def _shape(event_shape: Any) -> tuple[int, ...]:
    sizes = event_shape if isinstance(event_shape, Sequence) and not isinstance(event_shape, str) else (event_shape,)
    if not sizes:
        raise ArgumentValueError(f"event_shape: expected at least one axis, got {event_shape!r}")
    return tuple(checks.integer("event_shape", size, least=1) for size in sizes)


def _likelihood(family: Any, event_shape: tuple[int, ...]) -> Any:
    family = BernoulliLikelihood() if family is None else family
    if isinstance(family, type):
        raise TypeError(f"likelihood: expected a family, got the class {family.__name__}: call it first")
    if hasattr(family, "of_event_shape"):
        family = family.of_event_shape(event_shape)
    if tuple(family.event_shape) != event_shape:
        raise ValueError(f"likelihood: expected event_shape {event_shape}, got {tuple(family.event_shape)}")
    return family


def _given_latents(network: nn.Module, family: Any, latents: LatentFamily, *, signed: bool) -> Conditional:
    # p(.|z) for latents z.
    seen = nn.Sequential(SignedBits(), network) if signed else network
    return Conditional(seen, family, input_axes=len(latents.event_shape))


def _prior(
    prior: PriorKind | nn.Module,
    family: LatentFamily,
    num_layers: int,
    mlp: MLP,
    mirrored: MLP,
    estimator: GradientEstimator,
    *,
    signed: bool,
) -> nn.Module:
    # That of the lowest of `num_layers` layers; every layer above it has a copy of the estimator of its own.
    if isinstance(prior, str) and prior not in ("fixed", "learned"):
        raise ValueError(f"prior: expected fixed, learned or a module, got {prior!r}")
    made = family.prior(learned=prior == "learned") if isinstance(prior, str) else prior
    if not isinstance(made, nn.Module):
        raise TypeError(f"prior: expected fixed, learned or a module, got {type(made).__name__}")
    for _ in range(num_layers - 1):
        encoder = mlp(family.event_shape, (family.num_parameters,))
        decoder = mirrored(family.event_shape, (family.num_parameters,))
        context: list[nn.Module] = [SignedBits()] if signed else []
        context += [nn.Flatten(-2)] if len(family.event_shape) > 1 else []
        made = LayeredPrior(
            posterior=_given_latents(encoder, family, family, signed=signed),
            likelihood=_given_latents(decoder, family, family, signed=signed),
            prior=made,
            estimator=copy.deepcopy(estimator),
            context=nn.Sequential(*context),
            event_shape=family.event_shape,
        )
    return made


def _concrete(cls: type[LatentFamily]) -> list[type[LatentFamily]]:
    # Those of the suite.
    below = [found for subclass in cls.__subclasses__() for found in _concrete(subclass)]
    ours = cls.__module__.partition(".")[0] == "reparam_suite" and not inspect.isabstract(cls)
    return [cls, *below] if ours else below
