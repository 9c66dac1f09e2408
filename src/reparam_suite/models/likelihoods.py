"""Likelihoods: the decoder's output and a datum become log p(x|z)."""

import math
from abc import ABC, abstractmethod
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Observation = Literal["binary", "real"]


class Likelihood(nn.Module, ABC):
    """p(x|z) with one number a feature from the decoder."""

    @abstractmethod
    def forward(self, raw: Tensor, x: Tensor) -> Tensor:
        """log p(x|z) in nats, `[K, *B]`, from the decoder's `[K, *B, P]` and x of `[*B, P]`."""

    @abstractmethod
    def mean(self, raw: Tensor) -> Tensor:
        """E[x|z], of the shape of `raw`."""

    @abstractmethod
    def raw_of(self, mean: Tensor) -> Tensor:
        """The decoder's output that gives `mean`."""


@final
class BernoulliLikelihood(Likelihood):
    """Independent bits; the decoder gives their logits."""

    def forward(self, raw: Tensor, x: Tensor) -> Tensor:
        """x log p + (1 - x) log(1 - p), summed over features."""
        return -F.binary_cross_entropy_with_logits(raw, x.expand_as(raw), reduction="none").sum(-1)

    def mean(self, raw: Tensor) -> Tensor:
        """The probability of a 1."""
        return raw.sigmoid()

    def raw_of(self, mean: Tensor) -> Tensor:
        """The logit; a pixel that is never or always 1 in training may still be the other one, at odds of 1000."""
        return mean.clamp(1e-3, 1.0 - 1e-3).logit()


@final
class NormalLikelihood(Likelihood):
    """Independent normals; the decoder gives their means, and one scale is learned for all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, raw: Tensor, x: Tensor) -> Tensor:
        """-1/2 ((x - mean) / scale)^2 - log scale - 1/2 log 2 pi, summed over features."""
        standardized = (x - raw) * (-self.log_scale).exp()
        constant = self.log_scale + 0.5 * math.log(2.0 * math.pi)
        return -(0.5 * standardized.square() + constant).sum(-1)

    def mean(self, raw: Tensor) -> Tensor:
        """The decoder's output."""
        return raw

    def raw_of(self, mean: Tensor) -> Tensor:
        """The mean itself."""
        return mean


LIKELIHOODS: dict[Observation, type[Likelihood]] = {"binary": BernoulliLikelihood, "real": NormalLikelihood}
