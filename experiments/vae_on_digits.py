"""Effect of the estimator on the training of one Gaussian VAE, at the same number of evaluations of f.

    python -m experiments.vae_on_digits

Ten normal latents, two hidden layers of 200 units each way, Adam at 1e-3, batches of 100, the KL in closed form
wherever the estimator admits it. A K-sample estimator takes 1/K of the steps.
"""

from experiments.vae_comparison import Study, experiment

STUDY = Study("Digits", num_latents=10, budgets={"short": 3_000, "full": 30_000}, num_seeds={"short": 3, "full": 10})
EXPERIMENT = experiment("vae_on_digits", STUDY)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
