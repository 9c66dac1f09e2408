"""A search over hyperparameters from Python: Optuna varies the arguments of a function that makes a run.

Every trial is a run on record. A study is known by its name: the program, started again, trains what is missing, and
nothing if all trials are done. `num_trials` may be raised.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from reparam_suite import Run, Study, load
from reparam_suite.data import Digits
from reparam_suite.distributions import FactorizedCategorical
from reparam_suite.estimators import GumbelSoftmax
from reparam_suite.models import DiscreteVAE

MAX_STEPS = 200
NUM_TRIALS = 4
SPACE = {
    "learning_rate": FloatDistribution(1e-3, 3e-2, log=True),
    "temperature": FloatDistribution(0.2, 2.0, log=True),
    "num_classes": CategoricalDistribution([4, 8]),
}


def make_run(*, learning_rate: float, temperature: float, num_classes: int, seed: int) -> Run:
    """Returns the run of one trial: the searched values and a seed in, nothing trained yet."""

    def make_model() -> DiscreteVAE:
        return DiscreteVAE(
            event_shape=(64,),
            latent_size=8,
            posterior=FactorizedCategorical(num_classes=num_classes),
            hidden_sizes=(100,),
            learning_rate=learning_rate,
            estimator=GumbelSoftmax(temperature=temperature),
        )

    return Run(make_model, Digits(), seed=seed, max_steps=MAX_STEPS)


if __name__ == "__main__":
    study = Study(
        make_run,
        space=SPACE,
        objective="val/elbo_best",
        direction="maximize",
        num_trials=NUM_TRIALS,
        name="temperatures",
    )
    result = study.run()
    print(result.frame[["trial", "state", *SPACE, "val/elbo_best"]].to_string(index=False))
    print(f"best: {dict(result.best_params)}; this call has trained {result.trained} runs")

    for name, figure in result.figures().items():
        figure.savefig(f"study_{name}.png", bbox_inches="tight")

    model = load(result.best_run_id)
    print(f"bound of 50 samples: {model.bound(Digits().sample_batch('valid'), num_samples=50).mean().item():.2f} nats")
