"""Figures of a run: of its model and of its training."""

import logging
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reparam_suite.data import DataModule, datum_of
from reparam_suite.figures import (
    code_use,
    curves,
    element_variances,
    gradient_variance,
    interpolations,
    latent_traversal,
    latent_use,
    reconstructions,
    samples,
    samples_along_training,
    training_curves,
)
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE
from reparam_suite.running.images import image_shape
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.training import Journal
from reparam_suite.training.endpoints import ELEMENT_VARIANCES
from reparam_suite.training.latents import TEST_FILE
from reparam_suite.training.samples import SAMPLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)

Drawing = tuple[str, Callable[[], "Figure"]]

_NUM_SAMPLES = 64
_MOST_TRAVERSED = 10
_SEED = 7  # the same noise for the figures of every run, so that they compare


def figures_of(model: Any, data: DataModule, journal: Journal) -> Iterator[tuple[str, "Figure"]]:
    """Name and figure: of the model, where it is a VAE, and of its training.

    Numbers that are not finite, as those of a run that has diverged, have no figure.
    """
    drawings = training_drawings(journal)
    if isinstance(model, VAE):
        drawings = chain(model_drawings(model, data), drawings)
    for name, draw in drawings:
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # of matplotlib, about numbers at the end of their range
                figure = draw()
        except ValueError as error:
            if "expected finite values" not in str(error):
                raise
            _log.info("figure %s is not drawn: %s", name, error)
            continue
        yield name, figure


def model_drawings(model: VAE, data: DataModule) -> Iterator[Drawing]:
    """Name and how it is drawn: reconstructions, samples, and a latent traversal or the use of the code."""
    device = next(model.parameters()).device
    x = datum_of(data.sample_batch("valid" if data.has("valid") else "train")).to(device)
    shape = image_shape(data)
    yield "reconstructions", partial(reconstructions, model, x, image_shape=shape, seed=_SEED)
    if shape is not None:
        yield "samples", partial(samples, model, _NUM_SAMPLES, image_shape=shape, seed=_SEED)
    if isinstance(model, DiscreteVAE):
        with forked_generator(device, _SEED):
            codes = model.posteriors(x)
        for layer, code in enumerate(codes, 1):
            yield "code_use" if layer == 1 else f"code_use_{layer}", partial(code_use, code.mean.cpu())
    elif isinstance(model, GaussianVAE) and shape is not None:
        yield "latent_traversal", partial(_traversal, model, x, shape)
        if len(x) > 1:
            yield "interpolations", partial(interpolations, model, x, image_shape=shape)


def training_drawings(journal: Journal) -> Iterator[Drawing]:
    """Name and how it is drawn: curves along training, the gradient's variance, use of latents, samples by step."""
    if len(by_step := _samples_by_step(journal)) > 1:
        shape = next(iter(by_step.values())).shape[1:]
        yield "samples_along_training", partial(samples_along_training, by_step, image_shape=shape)
    recorded = journal.curves
    trained = [name for name in recorded if name.startswith("train/") and not name.endswith(_NO_OBJECTIVE)]
    if trained and "val/elbo" in recorded:
        yield "curves", partial(training_curves, {"train": recorded[trained[0]], "val": recorded["val/elbo"]})
    elif shown := trained[:1] + [name for name in recorded if name.startswith("val/") and "_best" not in name][:3]:
        yield "curves", partial(curves, {name: recorded[name] for name in shown})
    parts = [name.split("/")[1] for name in recorded if name.startswith("grad/") and name.endswith("/variance")]
    variances = {
        part: [
            (step, value, error)
            for (step, value), (_, error) in zip(
                recorded[f"grad/{part}/variance"], recorded[f"grad/{part}/variance_standard_error"], strict=True
            )
        ]
        for part in parts
    }
    if variances:
        snr = {part: recorded[f"grad/{part}/snr"] for part in parts if f"grad/{part}/snr" in recorded}
        yield "gradient_variance", partial(gradient_variance, variances, snr=snr)
    if of_latents := journal.arrays.get(TEST_FILE):
        yield "latent_use", partial(latent_use, of_latents["kl_per_latent"], of_latents["aggregate_kl"])
    if elements := _elements_by_time(journal):
        yield "element_variances", partial(element_variances, elements)


_NO_OBJECTIVE = ("/kl", "/kl_weight", "reconstruction")


def _samples_by_step(journal: Journal) -> dict[int, Tensor]:
    return {
        int(name.removeprefix(SAMPLES)): arrays["samples"] / 255
        for name, arrays in journal.arrays.items()
        if name.startswith(SAMPLES)
    }


def _elements_by_time(journal: Journal) -> dict[str, dict[str, npt.NDArray[Any]]]:
    # The parameters of a group laid end to end.
    by_time: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for name, arrays in journal.arrays.items():
        if name.startswith(ELEMENT_VARIANCES):
            parts: dict[str, list[npt.NDArray[Any]]] = {}
            for key, values in arrays.items():
                parts.setdefault(key.partition("/")[0], []).append(values.numpy().ravel())
            time = f"step {int(name.removeprefix(ELEMENT_VARIANCES)):,}"
            by_time[time] = {group: np.concatenate(some) for group, some in parts.items()}
    return by_time


def _traversal(model: VAE, x: Tensor, image_shape: tuple[int, ...]) -> "Figure":
    # The latents that the posterior uses most, moved over the bulk of the prior while the others stay at its mean.
    order = model.encode(x).mean.std(0).argsort(descending=True)[:_MOST_TRAVERSED]
    values = torch.linspace(-2.5, 2.5, 11, device=x.device)
    z = model.top_prior().mean.expand(len(order), len(values), -1).clone()
    for row, latent in enumerate(order):
        z[row, :, latent] = values
    names = [f"z{latent}" for latent in order.tolist()]
    return latent_traversal(model.decode(z).mean.cpu(), values.cpu(), image_shape=image_shape, names=names)
