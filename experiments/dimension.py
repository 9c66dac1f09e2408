"""How do the two variances grow with the number of latents?

    python -m experiments.dimension

The gradient is with respect to the D means of q = N(mu, I); its variance is the trace of its covariance. Every term of
f multiplies the score of every latent, its own or not, so the score function collects noise from all of them; the
derivative of f with respect to one latent depends on the others only through the curvature of f. Rezende, Mohamed &
Wierstra (2014), appendix D, makes the argument. In closed form, one draw:

    f = sum_d z_d               score function  D (D + 1)                            pathwise  0
    f = sum_d z_d^2 / 2, mu=1   score function  D ((D-1)^2 + 5.5 (D-1) + 7.5)        pathwise  D

The third f is the integrand of a Gaussian VAE with D latents, trained on the digits; its variances are measured.
"""

from dataclasses import dataclass
from typing import Any, final

import torch
from experiments.presenting import Experiment, Findings, rounded
from experiments.setting import Setting
from experiments.trainings import num_workers, require_success
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite import Run, Sweep, load
from reparam_suite.data import Digits
from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.distributions import normal
from reparam_suite.estimators import Expectation, GradientEstimator, Pathwise, ScoreFunction
from reparam_suite.figures import COLOURS, WIDTH, styled
from reparam_suite.models import VAE, GaussianVAE
from reparam_suite.objectives import ELBO
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import RecordSettings

NAME = "dimension"
SIZES = (1, 2, 4, 8, 16, 32, 64)
VAE_SIZES = (2, 4, 8, 16, 32, 64)
NUM_DRAWS, TRAIN_STEPS, REPEATS, SEED = 100_000, 1_000, 64, 0
OBJECTIVES = ("linear", "quadratic", "VAE")
SCORE, PATHWISE = "score function", "pathwise"
COLOUR = {SCORE: COLOURS[1], PATHWISE: COLOURS[0]}


def _linear(z: Tensor, _: Distribution) -> Tensor:
    return z.sum(-1)


def _quadratic(z: Tensor, _: Distribution) -> Tensor:
    return 0.5 * z.square().sum(-1)


TOYS = {"linear": (_linear, 0.0), "quadratic": (_quadratic, 1.0)}


def exact_trace(objective: str, road: str, size: int) -> float:
    """The trace for one of the two toys."""
    if objective == "linear":
        return float(size * (size + 1)) if road == SCORE else 0.0
    return size * ((size - 1) ** 2 + 5.5 * (size - 1) + 7.5) if road == SCORE else float(size)


def measured_trace(objective: str, road: str, size: int) -> float:
    """The same from NUM_DRAWS draws of the library's estimators."""
    f, centre = TOYS[objective]
    mean = torch.full((NUM_DRAWS, size), centre, requires_grad=True)
    estimate = _estimator(road)(Expectation(q=normal(mean, torch.ones_like(mean)), f=f))
    return torch.autograd.grad(estimate.objective.sum(), mean)[0].var(0).sum().item()


@final
@dataclass(frozen=True)
class Training:
    """Makes the run of a Gaussian VAE with `latent_size` latents and the pathwise gradient.

    Args:
        tracking: where it is recorded.
    """

    tracking: TrackingSettings

    def __call__(self, *, latent_size: int, seed: int) -> Run:
        """The run, whose last weights count."""

        def make_model() -> GaussianVAE:
            return GaussianVAE(event_shape=(64,), latent_size=latent_size, objective=ELBO(kl="sampled"))

        return Run(
            make_model,
            Digits(),
            seed=seed,
            max_steps=TRAIN_STEPS,
            tags={"experiment": NAME},
            trainer={"accelerator": "cpu", "limit_val_batches": 0, "limit_test_batches": 1},
            record=RecordSettings(test_data=0),
            tracking=self.tracking,
        )


def trained(tracking: TrackingSettings) -> dict[int, VAE]:
    """The VAEs after TRAIN_STEPS steps, by number of latents; those on record already are not trained again."""
    sweep = Sweep(
        Training(tracking),
        grid={"latent_size": VAE_SIZES},
        seeds=[SEED],
        name=f"{NAME}, {TRAIN_STEPS:,} steps",
        workers=num_workers(),
    )
    frame = sweep.run().frame
    require_success(frame["reason"])
    return {
        int(size): load(run_id, tracking=tracking)
        for size, run_id in zip(frame["latent_size"], frame["run_id"], strict=True)
    }


def of_vae(model: VAE, road: str, x: Tensor) -> float:
    """Trace for the gradient with respect to the means of q(z|x), of the mean objective over the batch."""
    model.estimator = _estimator(road)
    return gradient_statistics(model, x, REPEATS)["loc"].variance.item()


def _estimator(road: str) -> GradientEstimator:
    return ScoreFunction() if road == SCORE else Pathwise()


def exponent(sizes: list[int], traces: list[float]) -> tuple[float, float]:
    """The slope of log trace over log D by least squares, and its standard error."""
    x, y = torch.tensor(sizes).double().log(), torch.tensor(traces).double().log()
    x = x - x.mean()
    slope = (x * y).sum() / x.square().sum()
    residuals = y - y.mean() - slope * x
    error = (residuals.square().sum() / (len(sizes) - 2) / x.square().sum()).sqrt()
    return slope.item(), error.item()


def answer(setting: Setting) -> Findings:
    """Traces against D for three integrands, and the exponents fitted to them."""
    traces: dict[str, dict[str, dict[int, float]]] = {o: {SCORE: {}, PATHWISE: {}} for o in OBJECTIVES}
    with forked_generator(torch.device("cpu"), SEED):
        for size in SIZES:
            for objective in TOYS:
                for road in (SCORE, PATHWISE):
                    traces[objective][road][size] = measured_trace(objective, road, size)
        x = Digits().sample_batch("valid")
        for size, model in trained(setting.tracking).items():
            for road in (SCORE, PATHWISE):
                traces["VAE"][road][size] = of_vae(model, road, x)
    numbers, rows = _numbers(traces), []
    for objective in OBJECTIVES:
        for road in (SCORE, PATHWISE):
            found = numbers[objective][road.replace(" ", "_")]
            fitted = f"{found['exponent']:.2f} ± {found['standard_error']:.2f}" if "exponent" in found else "none: zero"
            at = traces[objective][road]
            rows.append([objective, road, f"{at[2]:.3g}", f"{at[16]:.3g}", f"{at[64]:.3g}", fitted])
    columns = ("f", "gradient", "D = 2", "D = 16", "D = 64", "exponent of D")
    return Findings(numbers, columns, rows, figure(traces, numbers))


def _numbers(traces: dict[str, dict[str, dict[int, float]]]) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for objective, roads in traces.items():
        numbers[objective] = {}
        for road, found in roads.items():
            entry: dict[str, Any] = {f"trace_{size}": rounded(trace) for size, trace in found.items()}
            if objective in TOYS:
                entry |= {f"exact_{size}": rounded(exact_trace(objective, road, size)) for size in found}
            if min(found.values()) > 0:
                slope, error = exponent(list(found), list(found.values()))
                entry |= {"exponent": rounded(slope, 3), "standard_error": rounded(error, 2)}
            numbers[objective][road.replace(" ", "_")] = entry
        largest = max(roads[SCORE])
        if roads[PATHWISE][largest] > 0:
            numbers[objective][f"ratio_at_{largest}"] = rounded(roads[SCORE][largest] / roads[PATHWISE][largest], 3)
    return numbers


@styled
def figure(traces: dict[str, dict[str, dict[int, float]]], numbers: dict[str, Any]) -> Figure:
    """Trace against D, one panel per integrand; dots measured, lines fitted."""
    whole = Figure(figsize=(WIDTH * 1.35, 3.4))
    titles = {"linear": "f linear", "quadratic": "f quadratic", "VAE": "f of a VAE on the digits"}
    for ax, (objective, roads) in zip(whole.subplots(1, 3), traces.items(), strict=True):
        for road, found in roads.items():
            sizes, values = list(found), list(found.values())
            entry = numbers[objective][road.replace(" ", "_")]
            if "exponent" not in entry:
                note = f"{road}: exactly 0"
                ax.text(0.97, 0.04, note, color=COLOUR[road], ha="right", transform=ax.transAxes)
                continue
            line = torch.tensor(sizes).double().pow(entry["exponent"])
            line = line * (torch.tensor(values).log().mean() - line.log().mean()).exp()
            ax.plot(sizes, values, "o", color=COLOUR[road])
            ax.plot(sizes, line, color=COLOUR[road], linewidth=1)
            text = f"{road}: $D^{{{entry['exponent']:.2f}}}$"
            x, y = sizes[len(sizes) // 2], values[len(sizes) // 2]
            if road == SCORE:
                ax.text(0.8 * x, 1.3 * y, text, color=COLOUR[road], ha="right", va="bottom")
            else:
                ax.text(x, 0.6 * y, text, color=COLOUR[road], ha="left", va="top")
        ax.set(xscale="log", yscale="log", xlabel="latents D")
        ax.set_xticks([1, 4, 16, 64], ["1", "4", "16", "64"])
        ax.minorticks_off()
        ax.set_title(titles[objective])
        ax.margins(x=0.1, y=0.2)
    whole.axes[0].set_ylabel("trace of the covariance")
    return whole


EXPERIMENT = Experiment(
    name=NAME,
    question="How do the two variances grow with the number of latents?",
    answer=answer,
    short=f"{NUM_DRAWS:,} draws; VAEs after {TRAIN_STEPS:,} steps",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
