"""The table of a paper: estimators by number of samples, several seeds, the learning rate chosen on validation data.

A `Sweep` trains every combination of the grid's values with every seed. Runs are found again by the sweep's name: the
program, started again, trains nothing and prints the same table.
"""

from pathlib import Path

from reparam_suite import Run, Sweep
from reparam_suite.data import Digits
from reparam_suite.estimators import AntitheticPathwise, GradientEstimator, Pathwise
from reparam_suite.models import GaussianVAE

MAX_STEPS = 200
SEEDS = (0, 1)
LEARNING_RATES = (1e-3, 5e-3)
WORKERS = 1  # processes that train at once
GRID = {
    "estimator": [Pathwise(num_samples=2), AntitheticPathwise(num_samples=2)],
    "learning_rate": LEARNING_RATES,
}


def make_run(*, estimator: GradientEstimator, learning_rate: float, seed: int) -> Run:
    """Returns the run of one cell of the grid with one seed."""

    def make_model() -> GaussianVAE:
        return GaussianVAE(
            event_shape=(64,),
            latent_size=5,
            hidden_sizes=(100,),
            learning_rate=learning_rate,
            estimator=estimator,
        )

    return Run(make_model, Digits(), seed=seed, max_steps=MAX_STEPS)


if __name__ == "__main__":
    sweep = Sweep(make_run, grid=GRID, seeds=SEEDS, name="antithetic", workers=WORKERS)
    print(sweep.plan().to_string(index=False))  # the runs, before any of them is trained

    result = sweep.run()
    print(f"trained {result.trained} of {len(result.frame)} runs")

    # For each estimator the learning rate with the best mean validation ELBO, then its test metrics: mean and spread.
    table = result.table(
        rows="estimator",
        columns=["test/elbo", "grad/encoder/variance"],
        select="val/elbo_best",
        over="learning_rate",
        spread="standard_error",
    )
    print(table)
    Path("antithetic.tex").write_text(table.to_latex())
    table.to_csv("antithetic.csv")
