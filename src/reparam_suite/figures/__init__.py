"""Figures of data, latents and training, each a matplotlib Figure made from plain arrays."""

from reparam_suite.figures.bands import Band, band, banded_curves
from reparam_suite.figures.codes import code_use
from reparam_suite.figures.costs import gradient_cost
from reparam_suite.figures.curves import gradient_variance, training_curves
from reparam_suite.figures.elements import element_variances
from reparam_suite.figures.images import latent_traversal, prior_samples, reconstructions
from reparam_suite.figures.latents import latent_use
from reparam_suite.figures.style import COLOURS, HAIRLINE, INK, QUIET, STYLE, WIDTH, styled

__all__ = [
    "COLOURS",
    "HAIRLINE",
    "INK",
    "QUIET",
    "STYLE",
    "WIDTH",
    "Band",
    "band",
    "banded_curves",
    "code_use",
    "element_variances",
    "gradient_cost",
    "gradient_variance",
    "latent_traversal",
    "latent_use",
    "prior_samples",
    "reconstructions",
    "styled",
    "training_curves",
]
