"""Figures of models, data, latents and training: each function returns a matplotlib Figure and draws on no screen."""

from reparam_suite.figures.bands import Band, band, banded_curves
from reparam_suite.figures.codes import code_use
from reparam_suite.figures.costs import gradient_cost
from reparam_suite.figures.curves import curves, gradient_variance, training_curves
from reparam_suite.figures.elements import element_variances
from reparam_suite.figures.encodings import encodings
from reparam_suite.figures.images import (
    interpolation_grid,
    latent_traversal,
    reconstruction_grid,
    sample_grid,
    samples_along_training,
)
from reparam_suite.figures.latent_maps import latent_map, most_used
from reparam_suite.figures.latents import latent_use
from reparam_suite.figures.of_models import interpolations, reconstructions, samples
from reparam_suite.figures.style import COLOURS, HAIRLINE, INK, QUIET, STYLE, WIDTH, styled
from reparam_suite.figures.tiles import tiled

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
    "curves",
    "element_variances",
    "encodings",
    "gradient_cost",
    "gradient_variance",
    "interpolation_grid",
    "interpolations",
    "latent_map",
    "latent_traversal",
    "latent_use",
    "most_used",
    "reconstruction_grid",
    "reconstructions",
    "sample_grid",
    "samples",
    "samples_along_training",
    "styled",
    "tiled",
    "training_curves",
]
