"""Networks: builders from event shapes to modules, and the small modules that stand before and after a network."""

from reparam_suite.networks.activations import Activation
from reparam_suite.networks.adapters import BiasFromMean, Centred, SignedBits
from reparam_suite.networks.builder import Builder, built
from reparam_suite.networks.conv_net import ConvNet
from reparam_suite.networks.mlp import MLP
from reparam_suite.networks.resnet import ResNet

__all__ = ["MLP", "Activation", "BiasFromMean", "Builder", "Centred", "ConvNet", "ResNet", "SignedBits", "built"]
