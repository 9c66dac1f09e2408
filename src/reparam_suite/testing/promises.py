"""The promises of an estimator that take no statistics: cost, shapes, dtypes, independence of data, own parameters.

Each check is a function of an estimator and a problem, works on deep copies and raises AssertionError.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, MultivariateNormal, Normal

from reparam_suite.distributions import OneHotCategorical, family
from reparam_suite.estimators import Estimate, Expectation, GradientEstimator
from reparam_suite.problems import Problem
from reparam_suite.testing.assertions import expect, shown
from reparam_suite.testing.statistics import SEED

# Families whose samples take the same number of random numbers whatever their parameters are.
_FIXED_NOISE = (Bernoulli, OneHotCategorical, Normal, MultivariateNormal)


def name_of(estimator: GradientEstimator, problem: Problem) -> str:
    """The estimator and the problem, as messages name them."""
    return f"{type(estimator).__name__} on {problem}"


def _target(problem: Problem, *batch: int, dtype: torch.dtype = torch.float64) -> tuple[Expectation, Tensor, Tensor]:
    phi = problem.phi.to(dtype).expand(*batch, -1).clone().requires_grad_()
    theta = problem.theta.to(dtype).expand(*batch, -1).clone().requires_grad_()
    return problem.expectation(phi, theta), phi, theta


def _in_eval_mode(estimator: GradientEstimator) -> GradientEstimator:
    return deepcopy(estimator).double().eval()


def _rows(z: Tensor, q: Distribution) -> torch.Size:
    return z.shape[: z.dim() - len(q.event_shape)]


def check_evaluations(estimator: GradientEstimator, problem: Problem) -> None:
    """`evaluations(q)` is the number of rows of z that f is handed per datum."""
    target, _, _ = _target(problem, 5)
    handed = 0

    def counting(z: Tensor, q: Distribution) -> Tensor:
        nonlocal handed
        handed += _rows(z, q).numel()
        return target.f(z, q)

    tried = _in_eval_mode(estimator)
    tried(replace(target, f=counting))
    declared = tried.evaluations(target.q)
    subject = f"evaluations(q) of {name_of(estimator, problem)}"
    expect(5 * declared == handed, subject, f"the {handed / 5:g} rows of z that f is handed per datum", declared)


def check_shapes(estimator: GradientEstimator, problem: Problem) -> None:
    """The objective is `[*B]` for any `*B`, the control loss `[]` with value zero."""
    for batch in ((5,), (2, 3)):
        estimate = _in_eval_mode(estimator)(_target(problem, *batch)[0])
        subject = name_of(estimator, problem)
        expect(isinstance(estimate, Estimate), subject, "an Estimate", type(estimate).__name__)
        shape = tuple(estimate.objective.shape)
        expect(shape == batch, f"objective of {subject}", f"the shape {batch} of the batch", shape)
        shape = tuple(estimate.control_loss.shape)
        expect(shape == (), f"control_loss of {subject}", "one number, of shape ()", shape)
        value = estimate.control_loss.item()
        expect(value == 0.0, f"value of control_loss of {subject}", "zero", f"{value:.4g}")


def check_dtypes(estimator: GradientEstimator, problem: Problem) -> None:
    """Parameters in float32 give an objective and a gradient in float32."""
    target, phi, theta = _target(problem, 7, dtype=torch.float32)
    objective = deepcopy(estimator).float().eval()(target).objective
    subject = name_of(estimator, problem)
    expect(objective.dtype == torch.float32, f"objective of {subject}", "float32 from float32", objective.dtype)
    for name, gradient in zip(("phi", "theta"), torch.autograd.grad(objective.sum(), (phi, theta)), strict=True):
        finite = bool(gradient.isfinite().all())
        expect(finite, f"gradient with respect to {name} of {subject}", "finite numbers in float32", gradient)


def check_independence(estimator: GradientEstimator, problem: Problem) -> None:
    """The estimate of a datum depends on no other datum, neither in its gradient nor in its value."""
    subject = name_of(estimator, problem)
    target, phi, theta = _target(problem, 2, 3)
    tried = _in_eval_mode(estimator)
    first, *gradients = _estimate_of_first(tried, target, phi, theta)
    for name, gradient in zip(("phi", "theta"), gradients, strict=True):
        others = gradient.flatten(0, 1)[1:].abs().max().item()
        expect(
            others == 0.0, f"gradient of one datum of {subject}", f"zero with respect to the {name} of others", others
        )
    if not issubclass(family(target.q), _FIXED_NOISE):
        return
    moved = [block.detach().clone() for block in (phi, theta)]
    for block in moved:
        block.flatten(0, 1)[1:] *= 1.3
        block.requires_grad_()
    changed = _estimate_of_first(tried, problem.expectation(*moved), *moved)
    _expect_same(f"objective of one datum of {subject}", first, changed[0])
    for name, before, after in zip(("phi", "theta"), gradients, changed[1:], strict=True):
        _expect_same(f"gradient of one datum of {subject} with respect to {name}", before[0, 0], after[0, 0])


def _expect_same(subject: str, before: Tensor, after: Tensor) -> None:
    same = torch.allclose(before, after, rtol=1e-9, atol=1e-12)
    change = f"a change of {(before - after).abs().max().item():.4g}"
    expect(same, subject, "the same at the same noise whatever the other data are", change)


def _estimate_of_first(
    estimator: GradientEstimator, target: Expectation, phi: Tensor, theta: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    # The objective `[]` of the first datum, at the same random numbers in every call, and its gradients.
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        objective = estimator(target).objective[0, 0]
    by_phi, by_theta = torch.autograd.grad(objective, (phi, theta))
    return objective.detach(), by_phi, by_theta


def check_constant(estimator: GradientEstimator, problem: Problem) -> None:
    """The estimate of an f that ignores z has the value and the gradient of f."""
    target, _, _ = _target(problem, 6)
    level = torch.arange(6.0, dtype=torch.float64).requires_grad_()

    def f(z: Tensor, q: Distribution) -> Tensor:
        return level.expand(_rows(z, q))

    objective = _in_eval_mode(estimator)(replace(target, f=f)).objective
    subject = f"{name_of(estimator, problem)} with an f that ignores z"
    expect(torch.allclose(objective, level), f"objective of {subject}", shown(level), shown(objective))
    (gradient,) = torch.autograd.grad(objective.sum(), level)
    ones = torch.ones_like(level)
    expect(torch.allclose(gradient, ones), f"gradient of {subject}", "1 with respect to f", shown(gradient))


def check_control_loss(estimator: GradientEstimator, problem: Problem) -> None:
    """The control loss reaches all of the estimator's own parameters and nothing else; the objective none of them."""
    subject = f"control_loss of {name_of(estimator, problem)}"
    tried = deepcopy(estimator).double()
    target, phi, theta = _target(problem, 6)
    estimate = tried(target)
    own = {name: value for name, value in tried.named_parameters() if value.requires_grad}
    loss, objective = estimate.control_loss, estimate.objective
    foreign = {"phi": phi, "theta": theta}
    gradients = _gradients(loss, {**own, **foreign})
    for name in foreign:
        leaked = gradients[name]
        size = 0.0 if leaked is None else leaked.abs().max().item()
        expect(size == 0.0, subject, f"no gradient with respect to {name}", f"{size:.4g}")
    for name in own:
        reached = gradients[name]
        trained = reached is not None and bool(reached.abs().max() > 0)
        expect(trained, subject, f"a gradient with respect to the estimator's parameter {name}", "none")
    for name, leaked in _gradients(objective.sum(), own).items():
        expect(leaked is None, f"objective of {name_of(estimator, problem)}", f"no gradient reaching {name}", "one")


def _gradients(value: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    # With respect to each input, by name; None where the value does not depend on it.
    if not value.requires_grad or not inputs:
        return dict.fromkeys(inputs)
    found = torch.autograd.grad(value, list(inputs.values()), retain_graph=True, allow_unused=True)
    return dict(zip(inputs, found, strict=True))


def check_state(estimator: GradientEstimator, problem: Problem) -> None:
    """In eval mode the estimator's state stands still."""
    tried = deepcopy(estimator).double()
    target, _, _ = _target(problem, 6)
    tried(target)  # materialises lazy layers and moves what moves in training
    tried.eval()
    before = {name: value.clone() for name, value in tried.state_dict().items()}
    tried(target)
    for name, value in tried.state_dict().items():
        same = torch.equal(before[name], value)
        expect(same, f"{name} of {name_of(estimator, problem)}", "no change in eval mode", f"{before[name]} -> {value}")


PROMISES: tuple[Callable[[GradientEstimator, Problem], None], ...] = (
    check_evaluations,
    check_shapes,
    check_dtypes,
    check_state,
    check_independence,
    check_constant,
    check_control_loss,
)
