"""Whether the parts of a VAE fit together, on dummy data at construction; refusals name both sides."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, constraints

from reparam_suite.estimators import Expectation
from reparam_suite.models.bits_per_dim import Support, support_of_data
from reparam_suite.runtime.checks import takes
from reparam_suite.runtime.errors import SuiteError
from reparam_suite.runtime.random_streams import forked_generator

if TYPE_CHECKING:
    from reparam_suite.models.vae import VAE

_ROWS = 2

_OBJECTIVE = "a callable (model, x, step) -> Expectation"

_MANY = torch.Size([100])  # samples that show whether q(z|x) stays within the support of p(z)


def check_parts(model: "VAE") -> tuple[tuple[int, ...], tuple[int, ...], Support]:
    """Passes dummy data through prior, likelihood, posterior, objective and estimator.

    The event shapes of x and of z, and the support of x.

    Lazy layers get their shapes on the way. Evaluation mode and a forked generator: nothing else moves.

    Raises:
        TypeError: if a part returns something else than it should.
        ValueError: if two parts do not fit together.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    like = next((p for p in model.parameters() if not isinstance(p, nn.UninitializedParameter)), torch.zeros(()))
    try:
        with forked_generator(like.device), torch.enable_grad():
            x, latent_shape, support = _checked_data(model, like)
        with forked_generator(like.device), torch.enable_grad():  # lazy layers start from the state that was found here
            _estimate(model, x[:1])
        return tuple(x.shape[1:]), latent_shape, support
    finally:
        for module, mode in modes:
            module.training = mode


def _checked_data(model: "VAE", like: Tensor) -> tuple[Tensor, tuple[int, ...], Support]:
    # Dummy data of the likelihood's event shape, which the posterior takes, the shape of z, and the support of x.
    prior = _distribution("prior", model.prior)
    if prior.batch_shape != ():
        raise ValueError(
            f"prior: expected batch_shape (), got {tuple(prior.batch_shape)}: wrap it in "
            "torch.distributions.Independent"
        )
    family = getattr(model.posterior, "family", None)
    _check_event_shape(prior, getattr(family, "event_shape", prior.event_shape))
    z = prior.sample((_ROWS,))
    given = _distribution("likelihood", model.likelihood, z)
    if given.batch_shape != (_ROWS,):
        raise ValueError(
            f"likelihood: expected batch_shape {(_ROWS,)} for z of shape {tuple(z.shape)}, "
            f"got {tuple(given.batch_shape)}"
        )
    event_shape = tuple(given.event_shape)
    x = torch.zeros(_ROWS, *event_shape, dtype=like.dtype, device=like.device)
    q = _distribution("posterior", model.posterior, x)
    if q.batch_shape != (_ROWS,):
        raise ValueError(
            f"posterior: expected batch_shape {(_ROWS,)} for x of shape {tuple(x.shape)}, got {tuple(q.batch_shape)}: "
            "wrap it in torch.distributions.Independent"
        )
    _check_event_shape(prior, q.event_shape)
    _check_support(prior, q)
    return x, tuple(prior.event_shape), support_of_data(given)


def _check_event_shape(prior: Distribution, event_shape: tuple[int, ...]) -> None:
    if prior.event_shape != tuple(event_shape):
        raise ValueError(
            f"prior: expected the event_shape of the posterior, {tuple(event_shape)}, got {tuple(prior.event_shape)}"
        )


def _check_support(prior: Distribution, q: Distribution) -> None:
    # Samples of q(z|x) that p(z) gives no density make every KL infinite.
    of_prior, of_q = support_of_data(prior), support_of_data(q)
    if of_prior is None or of_q is None or (type(of_prior), str(of_prior)) == (type(of_q), str(of_q)):
        return
    if of_prior.is_discrete == of_q.is_discrete and of_prior.check(q.sample(_MANY)).all():
        return
    raise ValueError(
        f"prior: expected support of q(z|x), {_shown(q)} ({_values(of_q)}), got {_shown(prior)} ({_values(of_prior)})"
    )


def _values(support: constraints.Constraint) -> str:
    return "real vectors" if support is constraints.real else str(support).removesuffix("()").strip("_")


def _shown(distribution: Distribution) -> str:
    while isinstance(distribution, Independent):
        distribution = distribution.base_dist
    return type(distribution).__name__


def _estimate(model: "VAE", x: Tensor) -> None:
    target = _expectation(model, x)
    try:
        model.estimator(target)
    except (ValueError, TypeError, NotImplementedError) as error:
        name, reason = type(model.estimator).__name__, str(error)
        raise ValueError(reason if reason.startswith(name) else f"estimator {name}: {reason}") from error


def _distribution(part: str, module: Callable[..., Any], *inputs: Tensor) -> Distribution:
    try:
        made = module(*inputs)
    except Exception as error:
        given = f" for an input of shape {tuple(inputs[0].shape)}" if inputs else ""
        kind = "" if type(error) is ValueError or isinstance(error, SuiteError) else f"{type(error).__name__}: "
        reason = f"{kind}{' '.join(str(error).split())}"
        raise ValueError(f"{part}: expected a distribution{given}, got {reason}") from error
    if not isinstance(made, Distribution):
        raise TypeError(f"{part}: expected forward to return a Distribution, got {type(made).__name__}")
    return made


def _expectation(model: "VAE", x: Tensor) -> Expectation:
    if isinstance(model.objective, type):
        raise TypeError(f"objective: expected {_OBJECTIVE}, got the class {model.objective.__name__}: call it first")
    if not takes(model.objective, 3):
        raise TypeError(f"objective: expected {_OBJECTIVE}, got {type(model.objective).__name__}")
    target = model.objective(model, x, 0)
    if not isinstance(target, Expectation):
        raise TypeError(f"objective: expected to return an Expectation, got {type(target).__name__}")
    return target
