"""How do all estimators of discrete latents compare on one model, at the same number of evaluations of f?

    python -m experiments.discrete_baseline

Eight Bernoulli latents, or four categorical ones of four classes for estimators that take those alone: 256 states in
either case, so that the exact gradient is known. Trained on the digits with Adam at 1e-3; the bound is the mean over
seeds at the end of training. Variance, bias and time are measured on one checkpoint, the same for all, which was
trained with leave-one-out; the parameters of an estimator itself are new there, and its variance is that of an
untrained one.
"""

from collections.abc import Mapping
from typing import Any

from benchmarks.catalogue import Latents, entries, entry
from experiments.presenting import Experiment, Findings, rounded
from experiments.setting import Setting
from experiments.trainings import Comparison, Curve, mean_and_error, trained
from matplotlib.figure import Figure
from rich.progress import track
from torch.distributions import Bernoulli

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.diagnostics import EstimatorRow, measure, reference_gradients
from reparam_suite.distributions import OneHotCategorical
from reparam_suite.estimators import Average, LeaveOneOut, ScoreFunction
from reparam_suite.figures import COLOURS, QUIET, WIDTH, styled
from reparam_suite.models import VAE
from reparam_suite.training import RecordSettings

NAME = "discrete_baseline"
BITS, CLASSES = Latents(Bernoulli, 8), Latents(OneHotCategorical, 4, 4)
BUDGETS = {"short": 2_000, "full": 40_000}
NUM_SEEDS = 5
CHECKPOINT_STEPS = 2_000
REPEATS = 4


def fitting() -> dict[str, Latents]:
    """Every discrete estimator with the latents it is trained on: bits if it takes them, which most do."""
    found: dict[str, Latents] = {}
    for listed in entries():
        for latents in (BITS, CLASSES):
            if listed.name not in found and latents.largest_for(listed, Average) == latents:
                found[listed.name] = latents
    return found


def checkpoint(latents: Latents, setting: Setting) -> VAE:
    """The model that every estimator is measured on, with the weights of its last step."""
    data = Digits()

    def make_model() -> VAE:
        return latents.model(ScoreFunction(num_samples=4, baseline=LeaveOneOut()), Average(), data.event_shape[0])

    run = Run(
        make_model,
        data,
        max_steps=CHECKPOINT_STEPS,
        name=f"{NAME}-checkpoint-{latents}",
        tags={"experiment": NAME},
        trainer={"accelerator": "cpu", "limit_val_batches": 0},
        record=RecordSettings(test_data=0),
        tracking=setting.tracking,
    )
    model: VAE = run.fit().model
    return model


def measured(names: Mapping[str, Latents], setting: Setting) -> dict[str, EstimatorRow]:
    """Variance, bias and cost of each, on the checkpoint of its latents."""
    rows: dict[str, EstimatorRow] = {}
    for latents in (BITS, CLASSES):
        model, x = checkpoint(latents, setting), Digits().sample_batch("valid")
        reference = reference_gradients(model, x)
        estimators = {name: entry(name).at_defaults for name, own in names.items() if own == latents}
        found = measure(model, [x], estimators, num_repeats=REPEATS, references=[reference])
        for row in track(found, f"{latents}, measuring", total=len(estimators), transient=True):
            rows[row.name] = row
    return rows


def answer(setting: Setting) -> Findings:
    """Trains and measures all of them."""
    names = fitting()
    comparison = Comparison(NAME, names, "Digits", BUDGETS[setting.length], setting)
    rows_by_name = measured(names, setting)
    curves = trained(comparison, NUM_SEEDS)
    numbers: dict[str, Any] = {"budget": comparison.budget, "seeds": NUM_SEEDS}
    for name, latents in names.items():
        numbers[_key(name)] = _numbers(latents, curves[name], rows_by_name[name])
    order = sorted(names, key=lambda name: -numbers[_key(name)]["elbo"])
    rows = [_cells(name, numbers[_key(name)]) for name in order]
    columns = ("estimator", "on", "f", "ELBO", "± s.e.", "variance", "bias", "ms")
    return Findings(numbers, columns, rows, figure(numbers, order))


def _key(name: str) -> str:
    return name.replace("ScoreFunction, ", "ScoreFunction_")


def _numbers(latents: Latents, curves: list[Curve], row: EstimatorRow) -> dict[str, Any]:
    elbo, error = mean_and_error([curve.elbo[-1][1] for curve in curves])
    encoder = row.statistics["encoder"]
    return {
        "latents": str(latents),
        "unbiased": row.unbiased,
        "evaluations": row.cost.evaluations,
        "elbo": rounded(elbo),
        "standard_error": rounded(error, 2),
        "variance": rounded(float(encoder.variance), 3),
        "relative_bias": rounded(float(row.bias["encoder"].relative), 3),
        "ms": rounded(row.cost.milliseconds, 3),
        "work_normalized_variance": rounded(float(row.work_normalized("encoder")), 3),
    }


def _cells(name: str, found: Mapping[str, Any]) -> list[str]:
    bias = "0" if found["unbiased"] else f"{found['relative_bias']:.0%}"
    on = "bits" if found["latents"] == str(BITS) else "classes"
    elbo, error = f"{found['elbo']:.2f}", f"{found['standard_error']:.2f}"
    shown = name.removeprefix("ScoreFunction, ")
    return [shown, on, f"{found['evaluations']:,}", elbo, error, f"{found['variance']:.3g}", bias, f"{found['ms']:.3g}"]


@styled
def figure(numbers: Mapping[str, Any], order: list[str]) -> Figure:
    """Left, the bound at the end of training; right, variance times time of a gradient."""
    whole = Figure(figsize=(WIDTH * 1.2, 0.23 * len(order) + 1.1))
    bound, work = whole.subplots(1, 2, sharey=True)
    left = _left_edge([numbers[_key(name)]["elbo"] for name in order])
    for position, name in enumerate(reversed(order)):
        found = numbers[_key(name)]
        colour = COLOURS[0] if found["unbiased"] else COLOURS[1]
        marker = "o" if found["latents"] == str(BITS) else "s"
        bound.errorbar(found["elbo"], position, xerr=2 * found["standard_error"], fmt=marker, color=colour)
        if found["elbo"] < left:
            bound.annotate(f"◂ {found['elbo']:.1f}", (left, position), color=colour, va="center", annotation_clip=False)
        if found["work_normalized_variance"] > 0:
            work.plot(found["work_normalized_variance"], position, marker, color=colour)
    bound.set_yticks(range(len(order)), [name.removeprefix("ScoreFunction, ") for name in reversed(order)])
    bound.set(xlabel="validation ELBO, nats (two standard errors)", ylim=(-0.8, len(order) - 0.2))
    bound.set_xlim(left=left)
    bound.set_title(f"After {numbers['budget']:,} evaluations of f")
    work.set(xscale="log", xlabel="variance x milliseconds, encoder")
    work.set_title("On one checkpoint")
    handles = [
        work.plot([], [], "o", color=COLOURS[0], label="unbiased")[0],
        work.plot([], [], "o", color=COLOURS[1], label="biased")[0],
        work.plot([], [], "s", color=QUIET, label="categorical latents")[0],
    ]
    whole.legend(handles=handles, loc="outside lower center", ncols=3)
    return whole


def _left_edge(elbo: list[float]) -> float:
    # An estimator with so few steps that it has hardly begun would squeeze all others together.
    best, least = max(elbo), sorted(elbo)[len(elbo) // 10]
    return min(elbo) - 1.0 if min(elbo) > best - 2 * (best - least) else least - 0.1 * (best - least)


EXPERIMENT = Experiment(
    name=NAME,
    question="How do all estimators of discrete latents compare on one model?",
    answer=answer,
    short=f"{BUDGETS['short']:,} evaluations, {NUM_SEEDS} seeds",
    full=f"{BUDGETS['full']:,} evaluations, {NUM_SEEDS} seeds",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
