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
from reparam_suite.distributions import is_real, mean_of, probabilities
from reparam_suite.figures import (
    code_use,
    curves,
    element_variances,
    encodings,
    gradient_variance,
    interpolations,
    latent_map,
    latent_traversal,
    latent_use,
    most_used,
    reconstructions,
    samples,
    samples_along_training,
    training_curves,
)
from reparam_suite.figures.encodings import MOST_LABELS
from reparam_suite.running.images import image_shape
from reparam_suite.running.offers import DRAWN_BY, TRAVERSED_BY, is_ours, offers
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.tracking import reason
from reparam_suite.training import Journal
from reparam_suite.training.endpoints import ELEMENT_VARIANCES
from reparam_suite.training.latents import TEST_FILE
from reparam_suite.training.samples import SAMPLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)

Drawing = tuple[str, Callable[[], "Figure | None"]]

_NUM_SAMPLES = 64
_MOST_TRAVERSED = 10
_SEED = 7  # the same noise for the figures of every run, so that they compare


def figures_of(model: Any, data: DataModule, journal: Journal) -> Iterator[tuple[str, "Figure"]]:
    """Name and figure: of the model, as far as it has the methods, and of its training.

    Numbers that are not finite, as those of a run that has diverged, have no figure; nor has a method of a model of a
    user's own that raises.
    """
    for name, draw in chain(model_drawings(model, data), training_drawings(journal)):
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # of matplotlib, about numbers at the end of their range
                figure = draw()
        except Exception as error:
            if "expected finite values" not in str(error) and is_ours(model):
                raise
            _log.info("figure %s is not drawn: %s", name, reason(error))
            continue
        if figure is not None:
            yield name, figure


def model_drawings(model: Any, data: DataModule) -> Iterator[Drawing]:
    """Name and how it is drawn: reconstructions, samples, the use of discrete codes, a traversal and a map of latents.

    A model answers by its methods: `encode(x)` and `reconstruct(x)`; `sample(n)`; `encode(x)`, or `posteriors(x)` of
    several layers; `encode(x)`, `decode(z)` and `prior()`.
    """
    if not offers(model, "encode") and not offers(model, "sample"):
        return
    batch = data.sample_batch("valid" if data.has("valid") else "train")
    x = datum_of(batch).to(model.device)
    shape = image_shape(data)
    if offers(model, *DRAWN_BY):
        yield "reconstructions", partial(reconstructions, model, x, image_shape=shape, seed=_SEED)
    if offers(model, "sample") and shape is not None:
        yield "samples", partial(samples, model, _NUM_SAMPLES, image_shape=shape, seed=_SEED)
    if offers(model, "encode"):
        yield "code_use", partial(_code_use, model, x, 0)
    for layer in range(1, len(model.layers()) if offers(model, "posteriors", "layers") else 1):
        yield f"code_use_{layer + 1}", partial(_code_use, model, x, layer)
    if offers(model, *TRAVERSED_BY) and shape is not None:
        yield "latent_traversal", partial(_traversal, model, x, shape)
        yield "latent_map", partial(_latent_map, model, x, shape)
    if offers(model, "encode", "prior") and (labels := _labels(batch, len(x))) is not None:
        yield "encodings", partial(_encodings, model, x, labels)
    if offers(model, "encode", "decode") and shape is not None and len(x) > 1:
        yield "interpolations", partial(_interpolations, model, x, shape)


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


def _code_use(model: Any, x: Tensor, layer: int) -> "Figure | None":
    # None where the latents are no bits and of no classes.
    with forked_generator(model.device, _SEED):
        q = model.posteriors(x)[layer] if offers(model, "posteriors") else model.encode(x)
    found = probabilities(q)
    return None if found is None else code_use(found.cpu())


def _interpolations(model: Any, x: Tensor, image_shape: tuple[int, ...]) -> "Figure | None":
    # None where latents are not real, or where the posterior has no mean.
    q = model.encode(x[:1])
    if mean_of(q) is None or not is_real(q):
        return None
    return interpolations(model, x, image_shape=image_shape)


def _latent_map(model: Any, x: Tensor, image_shape: tuple[int, ...]) -> "Figure | None":
    # None where there are no two latents whose KL is known.
    if most_used(model.encode(x), model.prior()) is None:
        return None
    return latent_map(model, x, image_shape=image_shape)


def _encodings(model: Any, x: Tensor, labels: Tensor) -> "Figure | None":
    # None where there are no two real latents whose KL is known.
    q = model.encode(x)
    if not is_real(q) or most_used(q, model.prior()) is None:
        return None
    return encodings(model, x, labels=labels)


def _labels(batch: Any, number: int) -> Tensor | None:
    # The second member of a batch, where it is a class for each datum.
    y = batch[1] if isinstance(batch, tuple | list) and len(batch) > 1 else None
    if not isinstance(y, Tensor) or y.shape != (number,) or y.is_floating_point() or y.is_complex():
        return None
    return y if len(y.unique()) <= MOST_LABELS else None


def _traversal(model: Any, x: Tensor, image_shape: tuple[int, ...]) -> "Figure | None":
    # The latents that the posterior uses most, moved over the bulk of the prior while the others stay at its mean; None
    # where they are not real, or where posterior or prior has no mean.
    q, p = model.encode(x), model.prior()
    mean, centre = mean_of(q), mean_of(p)
    if mean is None or centre is None or not is_real(q) or len(q.event_shape) != 1:
        return None
    order = mean.std(0).argsort(descending=True)[:_MOST_TRAVERSED]
    values = torch.linspace(-2.5, 2.5, 11, device=x.device)
    z = centre.expand(len(order), len(values), -1).clone()
    for row, latent in enumerate(order):
        z[row, :, latent] += values * p.stddev[latent]
    names = [f"z{latent}" for latent in order.tolist()]
    return latent_traversal(model.decode(z).mean.cpu(), values.cpu(), image_shape=image_shape, names=names)
