"""Networks: builders from event shapes to modules, and the small modules that stand before and after a network."""

from reparam_suite.networks.adapters import BiasFromMean, Centred, SignedBits
from reparam_suite.networks.builder import Builder, built
from reparam_suite.networks.mlp import MLP, Activation

__all__ = ["MLP", "Activation", "BiasFromMean", "Builder", "Centred", "SignedBits", "built"]
