"""Effect of the estimator on the training of one Gaussian VAE on MNIST, at the same number of evaluations of f.

    python -m experiments.vae_on_mnist --data_root data

Fifty normal latents, two hidden layers of 200 units each way, Adam at 1e-3, batches of 100, dynamic binarization.
"""

from experiments.vae_comparison import Study, experiment

STUDY = Study("MNIST", num_latents=50, budgets={"short": 1_500, "full": 50_000}, num_seeds={"short": 2, "full": 5})
EXPERIMENT = experiment("vae_on_mnist", STUDY)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
