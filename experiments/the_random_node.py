"""The gradient at a random node, and the result of learning along each road across it.

    python -m experiments.the_random_node

One datum x, two latents: p(z) = N(0, I), p(x|z) = N(W z, s^2 I). The posterior is normal with the covariance
S = (I + W^T W / s^2)^-1 and the mean S W^T x / s^2, so it is known where training should end. q starts at N(0, I/4)
and climbs the evidence bound, one draw per step at a rate that falls to zero, on four roads:

    sample()                   z drawn by `q.sample()`, backpropagation through the whole bound
    log q instead              as before, with log q(z) of the drawn z in place of the closed-form divergence
    trick, diagonal            z = mu + sigma * eps
    trick, Cholesky            z = mu + L eps

On the first, E[log p(x|z)] gives q no gradient at all; what remains is the divergence from the prior, and q becomes the
prior. On the second the only path is the explicit log q(z), whose expected gradient is zero: q does a random walk.
Where q ends is that of the first seed; the gap to log p(x) is the mean over seeds with its standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from experiments.drawn_graphs import draw_graphs
from experiments.presenting import Experiment, Findings, Setting, rounded
from experiments.trainings import mean_and_error
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import kl_divergence, multivariate_normal, normal
from reparam_suite.estimators import Expectation, Pathwise
from reparam_suite.figures import COLOURS, INK, WIDTH, styled
from reparam_suite.runtime.random_streams import forked_generator

WEIGHTS = torch.tensor([[1.0, 0.8], [0.3, 1.2]], dtype=torch.float64)
NOISE = 0.7
DATUM = torch.tensor([1.5, 2.0], dtype=torch.float64)
NUM_STEPS, LEARNING_RATE, SEEDS = 3_000, 0.02, (0, 1, 2)
NUM_DRAWS = 20_000
"""For the gradient at the start and for the bound at the end."""

PRIOR = multivariate_normal(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))


def log_likelihood(z: Tensor) -> Tensor:
    """log p(x|z), for z of `[*, 2]`."""
    error = (DATUM - z @ WEIGHTS.T) / NOISE
    return -0.5 * error.square().sum(-1) - 2 * math.log(NOISE) - math.log(2 * math.pi)


def posterior() -> tuple[Tensor, Tensor]:
    """Mean and covariance of p(z|x)."""
    covariance = torch.linalg.inv(torch.eye(2, dtype=torch.float64) + WEIGHTS.T @ WEIGHTS / NOISE**2)
    return covariance @ WEIGHTS.T @ DATUM / NOISE**2, covariance


def log_evidence() -> float:
    """log p(x): x is N(0, W W^T + s^2 I)."""
    covariance = WEIGHTS @ WEIGHTS.T + NOISE**2 * torch.eye(2, dtype=torch.float64)
    p_of_x = multivariate_normal(torch.zeros(2, dtype=torch.float64), torch.linalg.cholesky(covariance))
    return p_of_x.log_prob(DATUM).item()


class Parameters(torch.nn.Module):
    """mu, log sigma (L's diagonal) and, with `full`, what is below L's diagonal."""

    def __init__(self, *, full: bool) -> None:
        super().__init__()
        self.mu = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.log_sigma = torch.nn.Parameter(torch.full((2,), math.log(0.5), dtype=torch.float64))
        self.below = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)) if full else None

    def q(self) -> Distribution:
        """The distribution they make."""
        sigma = self.log_sigma.exp()
        return normal(self.mu, sigma) if self.below is None else multivariate_normal(self.mu, self.scale_tril())

    def scale_tril(self) -> Tensor:
        """L."""
        lower = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
        below = torch.zeros(1, dtype=torch.float64) if self.below is None else self.below
        return torch.diag(self.log_sigma.exp()) + below * lower


def divergence(q: Distribution) -> Tensor:
    """KL(q || p(z)), from the prior of q's own kind."""
    prior = PRIOR if isinstance(q, type(PRIOR)) else normal(PRIOR.mean, torch.ones_like(PRIOR.mean))
    return kl_divergence(q, prior)


def sampled(q: Distribution, num_samples: int) -> Tensor:
    """The bound as one writes it at first: z is a number that fell from the sky."""
    return log_likelihood(q.sample((num_samples,))).mean() - divergence(q)


def substituted(q: Distribution, num_samples: int) -> Tensor:
    """log p(x, z) - log q(z) of a sampled z: q is in the formula, and so has a gradient."""
    z = q.sample((num_samples,))
    return (log_likelihood(z) + PRIOR.log_prob(z) - q.log_prob(z)).mean()


def reparameterized(q: Distribution, num_samples: int) -> Tensor:
    """The library's pathwise estimator."""
    target = Expectation(q=q, f=lambda z, _: log_likelihood(z), exact=-divergence(q))
    return Pathwise(num_samples=num_samples)(target).objective


@final
@dataclass(frozen=True)
class Road:
    """A way of making the bound from q."""

    key: str
    name: str
    bound: Callable[[Distribution, int], Tensor]
    full: bool
    colour: str


ROADS = (
    Road("sample", "sample()", sampled, full=False, colour=COLOURS[1]),
    Road("log_q", "log q instead", substituted, full=False, colour=COLOURS[4]),
    Road("diagonal", "trick, diagonal", reparameterized, full=False, colour=COLOURS[5]),
    Road("cholesky", "trick, Cholesky", reparameterized, full=True, colour=COLOURS[0]),
)


def likelihood_gradients(road: Road) -> dict[str, float]:
    """Norms of the gradient of E[log p(x|z)] alone at the start, by each parameter; what the likelihood teaches q."""
    parameters = Parameters(full=road.full)
    q = parameters.q()
    if road.bound is reparameterized:
        of_likelihood = Pathwise(num_samples=NUM_DRAWS)(Expectation(q=q, f=lambda z, _: log_likelihood(z))).objective
    else:
        of_likelihood = log_likelihood(q.sample((NUM_DRAWS,))).mean()
    named = dict(parameters.named_parameters())
    if not of_likelihood.requires_grad:  # nothing in it depends on q: autograd would refuse
        return dict.fromkeys(named, 0.0)
    found = torch.autograd.grad(of_likelihood, list(named.values()))
    return {name: gradient.norm().item() for name, gradient in zip(named, found, strict=True)}


def train(road: Road, seed: int) -> tuple[Parameters, list[float]]:
    """Climbs with one draw per step; the exact bound after every step. A seed has the same noise on every road."""
    parameters = Parameters(full=road.full)
    optimizer = torch.optim.Adam(parameters.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, NUM_STEPS)
    curve = [exact_bound(parameters)]
    with forked_generator(torch.device("cpu"), seed):
        for _ in range(NUM_STEPS):
            optimizer.zero_grad()
            (-road.bound(parameters.q(), 1)).backward()
            optimizer.step()
            schedule.step()
            curve.append(exact_bound(parameters))
    return parameters, curve


@torch.no_grad()
def exact_bound(parameters: Parameters) -> float:
    """The evidence bound in closed form: log p(x|z) is quadratic in z."""
    scale_tril = parameters.scale_tril()
    spread = (WEIGHTS @ scale_tril).square().sum() / NOISE**2
    return (log_likelihood(parameters.mu) - 0.5 * spread - divergence(parameters.q())).item()


def answer(setting: Setting) -> Findings:  # noqa: ARG001 - there is one
    """Gradients at the start, the ends and the bounds of four roads."""
    evidence, (mean, covariance) = log_evidence(), posterior()
    best_diagonal = covariance.inverse().diagonal().rsqrt()
    numbers: dict[str, Any] = {
        "log_evidence": rounded(evidence, 5),
        "posterior_mean": [rounded(value) for value in mean.tolist()],
        "posterior_scale": [rounded(value) for value in covariance.diagonal().sqrt().tolist()],
        "best_diagonal_scale": [rounded(value) for value in best_diagonal.tolist()],
        "posterior_correlation": rounded((covariance[0, 1] / covariance.diagonal().prod().sqrt()).item(), 3),
    }
    rows, curves, ends = [], {}, {}
    with forked_generator(torch.device("cpu")):
        for road in ROADS:
            torch.manual_seed(SEEDS[0])
            gradients = likelihood_gradients(road)
            trained = [train(road, seed) for seed in SEEDS]
            end, curves[road.key] = trained[0]  # the other seeds are in the gap
            ends[road.key] = end
            gap, error = mean_and_error([evidence - curve[-1] for _, curve in trained])
            scale_tril = end.scale_tril().detach()
            scale = scale_tril.square().sum(1).sqrt().tolist()
            numbers[road.key] = {
                "gradient": {name: rounded(value, 3) for name, value in gradients.items()},
                "mean": [rounded(value, 3) for value in end.mu.tolist()],
                "scale": [rounded(value, 3) for value in scale],
                "bound": rounded(evidence - gap),
                "gap": rounded(gap, 3),
                "standard_error_of_gap": rounded(error, 2),
            }
            shown = [f"{gradients[name]:.2f}" if name in gradients else "-" for name in ("mu", "log_sigma", "below")]
            mu = ", ".join(f"{value:.2f}" for value in end.mu.tolist())
            sigma = ", ".join(f"{value:.2f}" for value in scale)
            rows.append([road.name, *shown, mu, sigma, f"{gap:.2f} ± {error:.2f}"])
    exact = [", ".join(f"{value:.2f}" for value in values.tolist()) for values in (mean, covariance.diagonal().sqrt())]
    rows.append(["the posterior", "", "", "", *exact, "0"])
    columns = ("road", "∂μ", "∂log σ", "∂L", "μ", "σ", "gap")
    return Findings(numbers, columns, rows, figure(curves, ends, evidence))


@styled
def figure(curves: dict[str, list[float]], ends: dict[str, Parameters], evidence: float) -> Figure:
    """The graph; the bound along training; where q ended, over the posterior."""
    whole = Figure(figsize=(WIDTH * 1.45, 4.2))
    graph, bound, plane = whole.subplots(1, 3, width_ratios=[1.15, 1, 1])
    draw_graphs(graph)
    bound.axhline(evidence, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    bound.text(NUM_STEPS, evidence + 0.25, "log p(x)", ha="right")
    for road in ROADS:
        bound.plot(curves[road.key], color=road.colour, label=road.name)
    bound.set(xlabel="step", ylabel="evidence bound, nats", ylim=(evidence - 13, evidence + 1.5))
    bound.set_title("The bound along training")
    mean, covariance = posterior()
    for deviations in (1, 2):
        ellipse(plane, mean, covariance, deviations, INK, dashed=True)
    for road in ROADS:
        scale_tril = ends[road.key].scale_tril().detach()
        ellipse(plane, ends[road.key].mu.detach(), scale_tril @ scale_tril.T, 1, road.colour)
        ellipse(plane, ends[road.key].mu.detach(), scale_tril @ scale_tril.T, 2, road.colour)
    plane.set(xlabel="z₀", ylabel="z₁", aspect="equal", xlim=(-3.2, 3.2), ylim=(-3.2, 3.2))
    plane.set_title("Where q ended; dashed: posterior")
    whole.legend(*bound.get_legend_handles_labels(), loc="outside lower right", ncols=len(ROADS))
    return whole


def ellipse(ax: Axes, mean: Tensor, covariance: Tensor, deviations: int, colour: str, *, dashed: bool = False) -> None:
    """The points so many standard deviations from the mean."""
    values, vectors = torch.linalg.eigh(covariance)
    width, height = (2 * deviations * values.sqrt()).tolist()
    angle = math.degrees(math.atan2(vectors[1, 0].item(), vectors[0, 0].item()))
    style = {"linestyle": (0, (4, 2)), "zorder": 5} if dashed else {}
    ax.add_patch(
        Ellipse(mean.tolist(), width, height, angle=angle, fill=False, edgecolor=colour, linewidth=1.3, **style)
    )


EXPERIMENT = Experiment(
    name="the_random_node",
    question="What happens to the gradient at a random node?",
    answer=answer,
    short=f"{NUM_STEPS:,} steps of one draw each, {len(SEEDS)} seeds",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
