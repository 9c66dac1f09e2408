"""Train a variational autoencoder on handwritten digits, look at its record, and load it again.

The model holds its gradient estimator; a `Run` trains, validates and tests it. Metrics, figures and weights are stored
in `mlruns/` of the working directory: `python -m reparam_suite.ui` opens the record in a browser.
"""

from reparam_suite import Run, load, runs
from reparam_suite.data import Digits
from reparam_suite.distributions import DiagonalNormal, FullCovarianceNormal
from reparam_suite.estimators import Pathwise
from reparam_suite.models import GaussianVAE

MAX_STEPS = 600


def make_model(posterior: DiagonalNormal | FullCovarianceNormal) -> GaussianVAE:
    """Returns a VAE with six normal latents, trained with the reparameterization trick at one sample."""
    return GaussianVAE(
        event_shape=(64,),
        latent_size=6,
        posterior=posterior,
        hidden_sizes=(100,),
        learning_rate=3e-3,
        estimator=Pathwise(num_samples=1),
    )


if __name__ == "__main__":
    data = Digits()  # 8 x 8 pixels, binarized anew in every epoch

    # A callable that makes the model lets the initial weights depend on the seed of the run.
    diagonal = Run(lambda: make_model(DiagonalNormal()), data, seed=0, max_steps=MAX_STEPS, name="diagonal").fit()
    full = Run(lambda: make_model(FullCovarianceNormal()), data, seed=0, max_steps=MAX_STEPS, name="full").fit()

    for result in (diagonal, full):
        elbo, bound = result.metrics["test/elbo"], result.metrics["test/bound_100"]
        print(f"{result.name:>8}: ELBO {elbo:.2f} nats, bound of 100 samples {bound:.2f} nats")

    # The history of a metric is a DataFrame with the columns `step` and `value`.
    curve = diagonal.history("train/elbo")
    print(f"training ELBO: {curve['value'].iloc[0]:.1f} nats at step 1, {curve['value'].iloc[-1]:.1f} nats at the end")

    for name, figure in diagonal.figures().items():
        figure.savefig(f"{name}.png")

    # Every run of the working directory, the newest first, with all metrics as columns.
    table = runs()
    print(table[["name", "status", "test/elbo", "test/kl", "grad/encoder/variance"]].to_string(index=False))

    # The record suffices to make the model again, in another process or on another day.
    model = load(full.run_id)
    x = data.sample_batch("test")
    q = model.encode(x)
    print("means of q(z|x):", tuple(q.mean.shape), "means of p(x|z):", tuple(model.decode(q.mean).mean.shape))
