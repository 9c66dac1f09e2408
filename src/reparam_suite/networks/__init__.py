"""Networks: data to parameter tensors (encoder), latents to the parameters of a likelihood (decoder)."""

from reparam_suite.networks.mlp import Activation, mlp

__all__ = ["Activation", "mlp"]
