"""What does the estimator do to the training of one Gaussian VAE, at the same number of evaluations of f?

    python -m experiments.vae_on_digits

Ten normal latents, two hidden layers of 200 units each way, Adam at 1e-3, batches of 100, the KL in closed form
wherever the estimator admits it. A K-sample estimator takes 1/K of the steps.
"""

from __future__ import annotations

from docs.catalogue import Latents
from experiments.presenting import Experiment, Findings, Setting
from experiments.vae_comparison import Study, compare
from torch.distributions import Normal

BUDGETS = {"short": 3_000, "full": 30_000}
NUM_SEEDS = {"short": 3, "full": 10}


def answer(setting: Setting) -> Findings:
    """Bounds and variances along training."""
    study = Study("Digits", Latents(Normal, 10), BUDGETS[setting.length], NUM_SEEDS[setting.length])
    return compare(study, setting)


EXPERIMENT = Experiment(
    name="vae_on_digits",
    question="What does the estimator do to the training of one VAE on the digits?",
    answer=answer,
    short=f"{BUDGETS['short']:,} evaluations, {NUM_SEEDS['short']} seeds",
    full=f"{BUDGETS['full']:,} evaluations, {NUM_SEEDS['full']} seeds",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
