"""Priors over the latents: fixed, or with parameters that are learned."""

from typing import Literal, final

import torch
from torch import nn
from torch.distributions import Bernoulli, Distribution, MultivariateNormal, Normal

from reparam_suite.distributions import OneHotCategorical, bernoulli, categorical, normal, standard_normal

PriorKind = Literal["fixed", "learned"]


@final
class Prior(nn.Module):
    """p(z) in the family of the posterior: N(0, I) or uniform, and where the learning starts if it is learned.

    Args:
        family: the family of q; a full-covariance q has a factorised prior.
        event_shape: the shape of one z.
        kind: whether its parameters are learned.
    """

    def __init__(self, *, family: type[Distribution], event_shape: tuple[int, ...], kind: PriorKind) -> None:
        super().__init__()
        self.family = family
        names = {Normal: ("loc", "log_scale"), MultivariateNormal: ("loc", "log_scale")}.get(family, ("logits",))
        self.natural = nn.ParameterDict({name: torch.zeros(event_shape) for name in names})
        self.natural.requires_grad_(kind == "learned")
        self._is_standard = kind == "fixed" and "loc" in names

    def forward(self) -> Distribution:
        """p(z), batch_shape `[]`."""
        if self._is_standard:
            return standard_normal(self.natural["loc"])
        values = dict(self.natural.items())
        if self.family is Bernoulli:
            return bernoulli(values["logits"])
        if self.family is OneHotCategorical:
            return categorical(values["logits"])
        return normal(values["loc"], values["log_scale"].exp())
