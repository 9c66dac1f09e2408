"""What a finished run shows: figures of the model and of its training."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from reparam_suite.data import ArrayDataModule
from reparam_suite.figures import (
    code_use,
    element_variances,
    gradient_variance,
    latent_traversal,
    latent_use,
    prior_samples,
    reconstructions,
    training_curves,
)
from reparam_suite.models import VAE, GaussianVAE
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.training import Journal
from reparam_suite.training.endpoints import ELEMENT_VARIANCES
from reparam_suite.training.latents import TEST_FILE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NUM_SHOWN = 16
_NUM_PRIOR_SAMPLES = 64
_MOST_TRAVERSED = 10
_SEED = 7  # the same noise for every run's pictures, so that they compare


@torch.no_grad()
def model_figures(model: VAE, data: ArrayDataModule) -> Iterator[tuple[str, "Figure"]]:
    """Name and figure: reconstructions, prior samples, and a latent traversal or the use of the code."""
    x = data.sample_batch("valid")
    q = model.posterior_of(x)
    shown = x[:_NUM_SHOWN]
    yield (
        "figures/reconstructions",
        reconstructions(shown.cpu(), model.mean_of(q.mean)[:_NUM_SHOWN].cpu(), image_shape=data.image_shape),
    )
    if data.image_shape is not None:
        with forked_generator(x.device, _SEED):
            z = model.prior_distribution().sample((_NUM_PRIOR_SAMPLES,))
        yield "figures/prior_samples", prior_samples(model.mean_of(z).cpu(), image_shape=data.image_shape)
    if not isinstance(model, GaussianVAE):
        with forked_generator(x.device, _SEED):
            codes = model.posteriors_of(x)
        for layer, code in enumerate(codes, 1):
            yield "figures/code_use" if layer == 1 else f"figures/code_use_{layer}", code_use(code.mean.cpu())
    elif data.image_shape is not None:
        yield "figures/latent_traversal", _traversal(model, data)


def training_figures(journal: Journal, objective_name: str) -> Iterator[tuple[str, "Figure"]]:
    """Name and figure: the bound along training, the gradient's variance as a whole and by element, use of latents."""
    curves = journal.curves
    bounds = {"train": curves[f"train/{objective_name}"], "val": curves["val/elbo"]}
    yield "figures/training_curves", training_curves(bounds)
    groups = [name.split("/")[1] for name in curves if name.startswith("grad/") and name.endswith("/variance")]
    variances = {
        group: [
            (step, value, error)
            for (step, value), (_, error) in zip(
                curves[f"grad/{group}/variance"], curves[f"grad/{group}/variance_standard_error"], strict=True
            )
        ]
        for group in groups
    }
    if variances:
        snr = {group: curves[f"grad/{group}/snr"] for group in groups if f"grad/{group}/snr" in curves}
        yield "figures/gradient_variance", gradient_variance(variances, snr=snr)
    if of_latents := journal.arrays.get(TEST_FILE):
        yield "figures/latent_use", latent_use(of_latents["kl_per_latent"], of_latents["aggregate_kl"])
    if elements := _elements_by_time(journal):
        yield "figures/element_variances", element_variances(elements)


def _elements_by_time(journal: Journal) -> dict[str, dict[str, npt.NDArray[Any]]]:
    # The parameters of a group laid end to end.
    by_time: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for name, arrays in journal.arrays.items():
        if name.startswith(ELEMENT_VARIANCES):
            parts: dict[str, list[npt.NDArray[Any]]] = {}
            for key, each in arrays.items():
                parts.setdefault(key.partition("/")[0], []).append(each.numpy().ravel())
            time = f"step {int(name.removeprefix(ELEMENT_VARIANCES)):,}"
            by_time[time] = {group: np.concatenate(some) for group, some in parts.items()}
    return by_time


def _traversal(model: VAE, data: ArrayDataModule) -> "Figure":
    # The latents that the posterior uses most, moved over the bulk of the prior while the others stay at its mean.
    x = data.sample_batch("valid")
    order = model.posterior_of(x).mean.std(0).argsort(descending=True)[:_MOST_TRAVERSED]
    values = torch.linspace(-2.5, 2.5, 11, device=x.device)
    z = model.top_prior().mean.expand(len(order), len(values), -1).clone()
    for row, latent in enumerate(order):
        z[row, :, latent] = values
    assert data.image_shape is not None
    names = [f"z{latent}" for latent in order.tolist()]
    return latent_traversal(model.mean_of(z).cpu(), values.cpu(), image_shape=data.image_shape, names=names)
