"""`check_objective`: what the suite asks of an objective, as a test of anyone's, with anyone's model."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from reparam_suite.distributions import frozen, parameters
from reparam_suite.estimators import Expectation
from reparam_suite.testing.assertions import expect, shown
from reparam_suite.testing.objective_gradients import check_gradients
from reparam_suite.testing.statistics import SEED

Objective = Callable[[Any, Tensor, int], Expectation]

_NUM_VALUES = 6
_STEPS = (0, 1, 10_000)
_NUM_WEIGHTINGS = 4
# The error of central differences in float64 is of the order of step^2 and of 1e-16 / step.
_STEP = 1e-6
_TOLERANCE = 1e-5


def check_objective(objective: Objective, model: nn.Module, x: Tensor) -> None:
    """Checks that an objective makes an Expectation whose gradient every estimator finds.

    First, without statistics: q has one row for each datum, f is `[K, *B]`, `exact` and `context` have one row for each
    datum; f depends on q through a constant multiple of `q.log_prob(z)` of its argument alone, on z[k] and on its own
    datum alone; a term known in closed form stands in `exact`; gradients of f and of `exact` are those of finite
    differences; the same step gives the same Expectation, whatever was asked before. Values of f that are estimates
    themselves, which differ from call to call, are compared in their means only.

    Then the gradient with respect to the model's parameters is estimated by the model's estimator if that is unbiased,
    by Pathwise and by ScoreFunction with LeaveOneOut as far as they fit, and compared at |z| < 5.5 standard errors with
    that of the sum over all values of z where they can be enumerated, else with an average of the score function's.

    All of this is done in float64 and eval mode with a deep copy of the model.

    Args:
        objective: a callable `(model, x, step) -> Expectation`.
        model: what the objective asks for q, p(z), p(x|z) and the estimator, its attribute `estimator`.
        x: a few data `[B, *event]`, B at least 2.

    Raises:
        AssertionError: saying what is wrong, and by how many standard errors.
        ValueError: if there are fewer than two data, or the objective gives `exact` another shape than the data have.
    """
    if len(x) < 2:
        raise ValueError(f"x: expected at least 2 data, got {len(x)}")
    plain = "a plain object, since a module cannot take its place as an attribute of a model"
    expect(not isinstance(objective, nn.Module), "objective", plain, f"the module {type(objective).__name__}")
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        tried = deepcopy(model).double().eval()
        x = x.detach().double() if x.is_floating_point() else x
        target = objective(tried, x, _STEPS[0])
        _check_form(target, x)
        _check_steps(objective, tried, x)
        _check_use_of_q(target, tried)
        if _is_deterministic(target):
            _check_independence(objective, tried, x)
            _check_derivatives(objective, tried, x)
        check_gradients(objective, tried, x)


def _check_form(target: Expectation, x: Tensor) -> None:
    expect(isinstance(target, Expectation), "objective", "an Expectation", type(target).__name__)
    rows = (len(x),)
    batch = tuple(target.q.batch_shape)
    expect(batch == rows, "batch_shape of q", f"{rows}, one row for each datum", batch)
    f = target.f(_values(target), target.q)
    shape = (_NUM_VALUES, *rows)
    expect(tuple(f.shape) == shape, "f(z, q)", f"shape {shape}, K samples of each datum", tuple(f.shape))
    expect(bool(f.isfinite().all()), "f(z, q) at samples of q", "finite numbers", shown(f))
    if target.exact is not None:
        name = type(target.bound).__name__
        expect(target.bound.admits_exact, f"exact with {name}", "None: all of log q inside f", "a term in closed form")
    if target.context is not None:
        found = tuple(target.context.shape)
        expect(len(found) == 2 and found[:1] == rows, "context", f"shape {(*rows, '.')}, one axis per datum", found)


def _values(target: Expectation) -> Tensor:
    with torch.no_grad():
        return target.q.sample(torch.Size([_NUM_VALUES]))


def _is_deterministic(target: Expectation) -> bool:
    z = _values(target)
    return torch.equal(target.f(z, target.q), target.f(z, target.q))


def _parts(target: Expectation, z: Tensor) -> dict[str, Tensor]:
    f = target.f(z, target.q)
    return {"f(z, q)": f} if target.exact is None else {"f(z, q)": f, "exact": target.exact}


def _expect_same(subject: str, why: str, before: dict[str, Tensor], after: dict[str, Tensor]) -> None:
    for name in before:
        largest = (before[name] - after[name]).abs().max().item()
        same = torch.allclose(before[name], after[name], rtol=1e-9, atol=1e-9)
        expect(same, f"{name} {subject}", f"the same {why}", f"a change of {largest:.4g}")


def _check_steps(objective: Objective, model: nn.Module, x: Tensor) -> None:
    # A step is a Python number; what an objective gives for it must not depend on the calls before.
    first = objective(model, x, _STEPS[0])
    z = _values(first)

    def parts(step: int) -> dict[str, Tensor]:
        torch.manual_seed(SEED + 1)
        return _parts(objective(model, x, step), z)

    asked = {step: parts(step) for step in _STEPS}
    for step in _STEPS:
        _expect_same(f"at step {step}", "whenever it is asked for", asked[step], parts(step))


def _trained(model: nn.Module) -> list[Tensor]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _gradient(value: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    # All gradients in one vector.
    if not value.requires_grad:
        return torch.cat([torch.zeros_like(entry).flatten() for entry in inputs])
    found = torch.autograd.grad(value, list(inputs), retain_graph=True, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in found])


def _check_use_of_q(target: Expectation, model: nn.Module) -> None:
    # f(z, frozen q) must not reach q; what f(z, q) adds to its gradient is a constant times that of log q.
    z = _values(target)
    torch.manual_seed(SEED + 1)
    still = target.f(z, frozen(target.q))
    torch.manual_seed(SEED + 1)
    live = target.f(z, target.q)
    _expect_same("of a frozen q", "as that of q", {"f": live}, {"f": still})
    for name, tensor in parameters(target.q).items():
        if tensor.requires_grad and still.requires_grad:
            (leaked,) = torch.autograd.grad(still.sum(), tensor, retain_graph=True, allow_unused=True)
            size = 0.0 if leaked is None else leaked.abs().max().item()
            expected = (
                f"no gradient with respect to {name} of q: log q from the q that f is given, closed forms in exact"
            )
            expect(size == 0.0, "f(z, frozen(q))", expected, f"{size:.4g}")
    added, scores, inputs = [], [], _trained(model)
    log_q = target.q.log_prob(z)
    for _ in range(_NUM_WEIGHTINGS):
        weight = torch.rand(live.shape, dtype=live.dtype)
        added.append(_gradient((weight * live).sum(), inputs) - _gradient((weight * still).sum(), inputs))
        scores.append(_gradient((weight * log_q).sum(), inputs))
    by_q, by_log_q = torch.stack(added), torch.stack(scores)
    multiple = (by_q * by_log_q).sum() / by_log_q.square().sum().clamp_min(1e-300)
    rest = (by_q - multiple * by_log_q).abs().max().item()
    expected = "q to enter through a constant multiple of q.log_prob(z) alone, closed forms in exact"
    small = rest <= 1e-7 * max(1.0, by_log_q.abs().max().item(), by_q.abs().max().item())
    expect(small, "gradient of f(z, q) through q", expected, f"a rest of {rest:.4g}")


def _check_independence(objective: Objective, model: nn.Module, x: Tensor) -> None:
    target = objective(model, x, _STEPS[0])
    z = _values(target)
    f = target.f(z, target.q)
    alone = target.f(z[:1], target.q)
    _expect_same("of one sample", "whatever the other samples are", {"f(z, q)": f[:1]}, {"f(z, q)": alone})
    moved = torch.cat([z[:, :1], z[:, 1:].flip(0)], 1)
    after = target.f(moved, target.q)
    _expect_same("of one datum", "whatever z of the others is", {"f(z, q)": f[:, :1]}, {"f(z, q)": after[:, :1]})
    first = {name: part[..., :1] for name, part in _parts(target, z).items()}
    _expect_same(
        "of one datum", "whatever the other data are", first, _parts(objective(model, x[:1], _STEPS[0]), z[:, :1])
    )


def _check_derivatives(objective: Objective, model: nn.Module, x: Tensor) -> None:
    # Along one random direction in all parameters, z fixed.
    inputs = _trained(model)
    target = objective(model, x, _STEPS[0])
    z = _values(target)
    directions = [torch.randn_like(entry) for entry in inputs]
    flat = torch.cat([direction.flatten() for direction in directions])
    got = {name: _gradient(part.sum(), inputs) * flat for name, part in _parts(target, z).items()}
    ends = []
    with torch.no_grad():
        for sign in (1.0, -2.0, 1.0):  # forth, back beyond the start, and to it
            for entry, direction in zip(inputs, directions, strict=True):
                entry.add_(direction, alpha=sign * _STEP)
            ends.append({name: part.sum().item() for name, part in _parts(objective(model, x, _STEPS[0]), z).items()})
    for name, slopes in got.items():
        expected = (ends[0][name] - ends[1][name]) / (2.0 * _STEP)
        found, scale = slopes.sum().item(), slopes.abs().sum().item()
        same = abs(found - expected) <= _TOLERANCE * max(1.0, scale, abs(expected))
        subject = f"gradient of {name} along a direction in the parameters"
        expect(same, subject, f"{expected:.6g} by finite differences", f"{found:.6g}")
