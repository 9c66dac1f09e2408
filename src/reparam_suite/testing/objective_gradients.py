"""The gradient of an objective by several estimators, compared with an expected objective made without them."""

import logging
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from reparam_suite.distributions import num_states, support_of
from reparam_suite.estimators import (
    Average,
    Expectation,
    GradientEstimator,
    LeaveOneOut,
    NoBaseline,
    Pathwise,
    ScoreFunction,
)
from reparam_suite.testing.assertions import expect_close
from reparam_suite.testing.statistics import Draws, draw_until_precise

_log = logging.getLogger(__name__)

_MOST_STATES = 4_096
_NUM_ROWS = 2_000  # data per pass, repeated as often as that takes
_NUM_PASSES = 25
_MOST_ROUNDS = 8
_NUM_GROUPS = 8
_NUM_PROJECTIONS = 8
_NUM_SAMPLES = 4

Blocks = dict[str, Draws]


def check_gradients(objective: Callable[[Any, Tensor, int], Expectation], model: Any, x: Tensor) -> None:
    """Value and gradient from each estimator that fits are those of the expected objective.

    The gradient of each part of the model, a child module, is compared in eight random projections.

    Args:
        objective: makes the Expectation.
        model: a copy that may be changed, in float64.
        x: data `[B, *event]`.

    Raises:
        AssertionError: naming the estimator and the part, and by how many standard errors they differ.
    """
    projections = _Projections(model)
    own = model.estimator
    reference = _reference(objective, model, x, projections)
    target = objective(model, x, 0)
    for estimator in _candidates(own, target):
        model.estimator = estimator
        found = _drawn(_by_estimator(objective, model, x), projections)
        for name, draws in found.items():
            subject = f"{name} by {_name(estimator)}, minus that of the expected objective"
            difference = draws.minus(reference[name])
            expect_close(subject, difference, torch.zeros_like(difference.mean))
            if not draws.show_three_percent():
                _log.warning("%s by %s: an error of 3 %% would not be seen", name, _name(estimator))
    model.estimator = own


def _candidates(own: GradientEstimator, target: Expectation) -> Iterator[GradientEstimator]:
    on_average = isinstance(target.bound, Average)
    num_samples = _NUM_SAMPLES if on_average else own.num_samples
    if own.unbiased:
        yield own
    baseline = LeaveOneOut() if num_samples > 1 else NoBaseline()
    for estimator in (Pathwise(num_samples=num_samples), ScoreFunction(num_samples=num_samples, baseline=baseline)):
        if estimator.fits(target.q) is None and isinstance(target.bound, estimator.bounds):
            yield deepcopy(estimator).double().eval()


def _name(estimator: GradientEstimator) -> str:
    baseline = getattr(estimator, "baseline", None)
    return type(estimator).__name__ + (f"({type(baseline).__name__})" if baseline is not None else "")


class _Projections:
    # The gradient of each child module of a model in some random directions; the estimator's parameters left out.
    def __init__(self, model: Any) -> None:
        control = {id(parameter) for parameter in model.estimator.parameters()}
        self._blocks: dict[str, list[Tensor]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and id(parameter) not in control:
                self._blocks.setdefault(name.split(".")[0], []).append(parameter)
        self._directions = {
            name: [torch.randn((_NUM_PROJECTIONS, parameter.numel()), dtype=parameter.dtype) for parameter in block]
            for name, block in self._blocks.items()
        }

    def __call__(self, value: Tensor) -> dict[str, Tensor]:
        """The value `[1]` and its gradient in each block `[8]`."""
        parameters = [parameter for block in self._blocks.values() for parameter in block]
        gradients = iter(torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True))
        found = {"value": value.detach().reshape(1)}
        for name, directions in self._directions.items():
            products = [direction @ next(gradients).flatten() for direction in directions]
            found[f"gradient of {name}"] = torch.stack(products).sum(0)
        return found


def _drawn(draw: Callable[[], Tensor], projections: _Projections) -> Blocks:
    names: list[str] = []

    def rows() -> list[Tensor]:
        passes = [projections(draw()) for _ in range(_NUM_PASSES)]
        names[:] = list(passes[0])
        return [torch.stack([found[name] for found in passes]) for name in names]

    blocks = draw_until_precise(rows, _MOST_ROUNDS)
    return dict(zip(names, blocks, strict=True))


def _repeated(x: Tensor) -> Tensor:
    return x.repeat(max(1, _NUM_ROWS // len(x)), *(1,) * (x.dim() - 1))


def _by_estimator(objective: Callable[..., Expectation], model: Any, x: Tensor) -> Callable[[], Tensor]:
    many = _repeated(x)

    def draw() -> Tensor:
        value: Tensor = model.estimator(objective(model, many, 0)).objective.mean()
        return value

    return draw


def _reference(objective: Callable[..., Expectation], model: Any, x: Tensor, projections: _Projections) -> Blocks:
    # Of the sum over all values, without noise; else of samples whose score is taken here, by no estimator.
    target = objective(model, x, 0)
    states = num_states(target.q)
    if isinstance(target.bound, Average) and states is not None and states <= _MOST_STATES:
        support = support_of(target.q)
        assert support is not None
        f = target.f(support, target.q)
        if torch.equal(f, target.f(support, target.q)):
            value = (target.q.log_prob(support).exp() * f).sum(0)
            found = projections(_with_exact(value, target).mean())
            return {name: Draws(block.double(), torch.zeros_like(block).double()) for name, block in found.items()}
    many = _repeated(x)
    num_samples = 1 if isinstance(target.bound, Average) else model.estimator.num_samples

    def draw() -> Tensor:
        target = objective(model, many, 0)
        value, log_q = _values(target, num_samples)
        others = (value.sum(0) - value) / (_NUM_GROUPS - 1)
        credit = (value - others).detach()
        return _with_exact((value + credit * (log_q - log_q.detach())).mean(0), target).mean()

    return _drawn(draw, projections)


def _values(target: Expectation, num_samples: int) -> tuple[Tensor, Tensor]:
    # Independent values of the bound `[8, B]`, and the log-density of the samples of each.
    with torch.no_grad():
        z = target.q.sample(torch.Size([num_samples * _NUM_GROUPS]))
    f, log_q = (part.unflatten(0, (num_samples, _NUM_GROUPS)) for part in (target.f(z, target.q), target.q.log_prob(z)))
    return target.bound.value(f), log_q.sum(0)


def _with_exact(value: Tensor, target: Expectation) -> Tensor:
    return value if target.exact is None else value + target.exact
