"""Whether samples follow the log-density and carry the gradient of their mean."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, biject_to

from reparam_suite.testing.assertions import expect, expect_close
from reparam_suite.testing.densities import Nodes, Probes, nodes_of, probes_of, support_of_units, units_of
from reparam_suite.testing.statistics import LIMIT, Draws, Moments, draw_until_precise

_log = logging.getLogger(__name__)

_NUM_PLACED = 2_000  # samples that say where the grid and the functions are placed
_MOST_ROUNDS = 25
_TOTAL_TOLERANCE = 1e-4


def check_means(q: Distribution, num_samples: int) -> None:
    """The probabilities of `q` sum to one, and samples have the means that log_prob gives.

    Raises:
        AssertionError: saying by how much, or by how many standard errors, they do not.
    """
    with torch.no_grad():
        units, drawn, probes = _placed(q)
        name = type(units).__name__
        nodes = nodes_of(units, drawn)
        fresh = Moments()
        if nodes is None:
            fresh.add(_ratios(units, drawn, num_samples))
            ratios = fresh.draws()
            expect_close(f"mean of p(z) / q(z) at samples of {name}", ratios, torch.ones_like(ratios.mean))
            return
        masses = nodes.masses(units)
        worst = masses.sum(0).flatten()[(masses.sum(0) - 1.0).abs().argmax()].item()
        expect(abs(worst - 1.0) < _TOTAL_TOLERANCE, f"integral of exp log_prob of {name}", "1", f"{worst:.5g}")
        fresh.add(probes(units.sample(torch.Size([num_samples]))))
        expect_close(
            f"means of bounded functions of samples of {name}", fresh.draws(), _exact_means(nodes, units, probes)
        )


def _placed(q: Distribution) -> tuple[Distribution, Tensor, Probes]:
    units = units_of(q)
    drawn = units.sample(torch.Size([_NUM_PLACED]))
    with torch.no_grad():
        return units, drawn, probes_of(units, drawn)


def _exact_means(nodes: Nodes, units: Distribution, probes: Probes) -> Tensor:
    # [*batch, H], differentiable with respect to what the units are made from.
    return (nodes.masses(units).unsqueeze(-1) * probes(nodes.values)).sum(0)


def _ratios(units: Distribution, drawn: Tensor, num_samples: int) -> Tensor:
    # p(z) / q(z) at samples of q, [N, 3, *batch], for three normals p, in unconstrained coordinates, that are narrower
    # than q: their mean is the integral of exp log_prob, wherever the samples come from.
    to_support = biject_to(support_of_units(units))
    z = units.sample(torch.Size([num_samples]))
    event_dim = len(units.event_shape)
    u = to_support.inv(z).flatten(z.dim() - event_dim)
    placed = to_support.inv(drawn).flatten(z.dim() - event_dim)
    centre, width = placed.mean(0), placed.std(0)
    log_jacobian = to_support.log_abs_det_jacobian(to_support.inv(z), z)
    direction = torch.linspace(0.3, -0.3, u.shape[-1], dtype=u.dtype)
    log_q = units.log_prob(z) + log_jacobian
    ratios = []
    for shift in (-1.0, 0.0, 1.0):
        p = Normal(centre + shift * direction * width, 0.8 * width)
        ratios.append((p.log_prob(u).sum(-1) - log_q).exp())
    return torch.stack(ratios, 1)


def check_path_gradient(make: Callable[..., Distribution], arguments: Sequence[Tensor], num_samples: int) -> None:
    """Samples of `rsample` carry the gradient of the mean of functions of them.

    Raises:
        AssertionError: saying by how many standard errors they do not.
    """
    leaves = [argument.detach().clone().requires_grad_() for argument in arguments]
    units, drawn, probes = _placed(make(*leaves))
    name = type(units).__name__
    weight = torch.rand(probes(drawn[:1]).shape[1:], dtype=torch.float64) + 0.5  # [*batch, H]
    nodes = nodes_of(units, drawn)
    num_repeats = max(1, num_samples // len(arguments[0]))

    def gradients(*, path: bool) -> list[Tensor]:
        # [R, B, ...] for each argument, of independent samples: its rows are repeated.
        repeated = [
            argument.repeat(num_repeats, *(1,) * (argument.dim() - 1)).requires_grad_() for argument in arguments
        ]
        large = make(*repeated)
        z = large.rsample(torch.Size([1])) if path else large.sample(torch.Size([1]))
        by_unit = z.reshape(num_repeats, *units.batch_shape, *units.event_shape)
        value = (weight * probes(by_unit)).flatten(2).sum(-1)  # [R, B]
        if not path:
            value = (value - value.mean(0)) * large.log_prob(z).reshape(value.shape)
        found = torch.autograd.grad(value.sum(), repeated, allow_unused=True, materialize_grads=True)
        return [result.reshape(num_repeats, *argument.shape) for result, argument in zip(found, arguments, strict=True)]

    blocks = draw_until_precise(lambda: gradients(path=True), _MOST_ROUNDS)
    subject = f"gradient that samples of {name} carry to argument"
    if nodes is None:
        others = draw_until_precise(lambda: gradients(path=False), _MOST_ROUNDS)
        for index, (block, other) in enumerate(zip(blocks, others, strict=True)):
            expect_close(
                f"{subject} {index}, minus that of the score function", block.minus(other), torch.zeros_like(block.mean)
            )
        return
    total = (weight * _exact_means(nodes, units, probes)).sum()
    exact = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
    for index, (block, expected) in enumerate(zip(blocks, exact, strict=True)):
        expect_close(f"{subject} {index}", block, expected)
        _log_precision(f"{subject} {index}", block)


def _log_precision(subject: str, draws: Draws) -> None:
    if not draws.show_three_percent():
        smallest = (LIMIT * draws.standard_error / draws.mean.abs()).min().item()
        _log.warning("%s: only an error of %.2g %% would be seen", subject, 100.0 * smallest)
