"""What does the estimator do to the training of one Gaussian VAE on MNIST, at the same number of evaluations of f?

    python -m experiments.vae_on_mnist --data_root data

Fifty normal latents, two hidden layers of 200 units each way, Adam at 1e-3, batches of 100, dynamic binarization.
"""

from __future__ import annotations

from docs.catalogue import Latents
from experiments.presenting import Experiment, Findings, Setting
from experiments.vae_comparison import Study, compare
from torch.distributions import Normal

BUDGETS = {"short": 1_500, "full": 50_000}
NUM_SEEDS = {"short": 2, "full": 5}


def answer(setting: Setting) -> Findings:
    """Bounds and variances along training."""
    study = Study("MNIST", Latents(Normal, 50), BUDGETS[setting.length], NUM_SEEDS[setting.length])
    return compare(study, setting)


EXPERIMENT = Experiment(
    name="vae_on_mnist",
    question="What does the estimator do to the training of one VAE on MNIST?",
    answer=answer,
    short=f"{BUDGETS['short']:,} evaluations, {NUM_SEEDS['short']} seeds",
    full=f"{BUDGETS['full']:,} evaluations, {NUM_SEEDS['full']} seeds",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
