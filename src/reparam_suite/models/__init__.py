"""LightningModules: a VAE with normal latents and one with discrete latents, each with any estimator."""

from reparam_suite.models.base import VAE
from reparam_suite.models.hyperparameters import arguments
from reparam_suite.models.layers import LayeredPrior
from reparam_suite.models.optimizers import OptimizerSettings, PartedOptimizer
from reparam_suite.models.vae import DiscreteVAE, GaussianVAE

__all__ = ["VAE", "DiscreteVAE", "GaussianVAE", "LayeredPrior", "OptimizerSettings", "PartedOptimizer", "arguments"]
