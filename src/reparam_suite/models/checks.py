"""What the arguments of a model have to be, each alone and together; a misfit is told by name at construction."""

from collections.abc import Sequence
from typing import Any, get_args

from reparam_suite.estimators import Average, Bound, GradientEstimator
from reparam_suite.objectives import KL
from reparam_suite.distributions import Posterior


def require_at_least(name: str, value: float, least: float) -> None:
    """Refuses too small a number, and what is none.

    Raises:
        ValueError: naming the argument, what was given and what is accepted.
    """
    if not value >= least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def require_positive(name: str, value: float) -> None:
    """Refuses 0 and below, and what is no number.

    Raises:
        ValueError: naming the argument and what was given.
    """
    if not value > 0.0:
        raise ValueError(f"{name} must be positive, got {value}")


def require_one_of(name: str, value: Any, accepted: Sequence[Any]) -> None:
    """Refuses what is not among the accepted values.

    Raises:
        ValueError: naming the argument, what was given and what is accepted.
    """
    if value not in accepted:
        raise ValueError(f"{name} must be one of {', '.join(map(str, accepted))}, got {value!r}")


def require_posterior(model: str, posterior: Posterior, accepted: Sequence[type[Posterior]]) -> None:
    """Refuses a posterior of another kind of latents.

    Raises:
        ValueError: naming the model, the posterior and those that are accepted.
    """
    if not isinstance(posterior, tuple(accepted)):
        names = " or ".join(name for each in accepted for name in _concrete_names(each))
        raise ValueError(f"posterior of {model} must be {names}, got {type(posterior).__name__}")


def chosen_kl(kl: KL | None, estimator: GradientEstimator, bound: Bound, num_layers: int) -> KL:
    """How the divergence from the prior enters: as asked, or in closed form where everything admits it.

    Raises:
        ValueError: if there is no such way.
    """
    if kl is None:
        return "analytic" if estimator.admits_exact and bound.admits_exact and num_layers == 1 else "sampled"
    require_one_of("kl", kl, get_args(KL))
    return kl


def require_bound(bound: Bound, *, kl: KL, kl_weight: float, kl_warmup_steps: int, num_layers: int) -> None:
    """Refuses objectives that would be no bounds, and a KL in closed form where there is none.

    Raises:
        ValueError: naming the arguments that do not fit together.
    """
    name = type(bound).__name__
    if not isinstance(bound, Average) and (kl_weight != 1.0 or kl_warmup_steps):
        raise ValueError(
            f"bound {name} accepts kl_weight 1 without warm-up, weighted it is no bound; "
            f"got kl_weight {kl_weight:g} and kl_warmup_steps {kl_warmup_steps}"
        )
    if num_layers == 1:
        return
    accepted = f"num_layers {num_layers} accepts"
    if kl == "analytic":
        raise ValueError(f"{accepted} kl sampled, there is no closed form; got analytic")
    if not isinstance(bound, Average):
        raise ValueError(f"{accepted} bound Average, an estimate within the logarithm is no bound; got {name}")


def _concrete_names(cls: type[Posterior]) -> list[str]:
    return [each.__name__ for each in cls.__subclasses__() if not each.__name__.startswith("LazyInstance_")]
