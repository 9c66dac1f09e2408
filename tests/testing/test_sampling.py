"""Samples that do not follow the density, or do not carry its gradient, are found."""

import math
from typing import ClassVar

import pytest
import torch
from tests.testing.own_distributions import LOC, LOGITS, SCALE, Die, Spiral, independent
from torch import Tensor
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Distribution, Normal, constraints

from reparam_suite.estimators import carry
from reparam_suite.testing import check_distribution


class LoadedDie(Die):
    def sample(self, sample_shape=torch.Size()):
        chosen = TorchCategorical(logits=1.15 * self.logits.detach()).sample(sample_shape)
        return self.faces.to(self.logits.dtype)[chosen]


class UnnormalizedDie(Die):
    def log_prob(self, value):
        return (self.logits * (value.unsqueeze(-1) == self.faces)).sum(-1)


class SpiralOfAnotherCurve(Spiral):
    def rsample(self, sample_shape=torch.Size()):
        x, y = super().rsample(sample_shape).unbind(-1)
        return torch.stack([x, y + 0.05 * x.square()], -1)


def test_defects_of_discrete_and_of_dependent_values_are_found():
    with pytest.raises(AssertionError, match=r"means of bounded functions of samples of LoadedDie.* standard errors"):
        check_distribution(independent(LoadedDie), LOGITS)
    with pytest.raises(AssertionError, match="integral of exp log_prob of UnnormalizedDie: expected 1"):
        check_distribution(independent(UnnormalizedDie), LOGITS)
    with pytest.raises(AssertionError, match=r"means of bounded functions of samples of Spiral.* standard errors"):
        check_distribution(SpiralOfAnotherCurve, LOC[:, 0], SCALE[:, 0])


class Wide(Distribution):
    """Five coordinates, for which there is no grid; `density` and `path` plant an error in one of the two."""

    has_rsample = True
    arg_constraints: ClassVar = {"loc": constraints.real_vector}
    support = constraints.real_vector

    def __init__(self, loc: Tensor, *, density: float = 1.0, path: float = 1.0) -> None:
        self.loc, self.density, self.path = loc, density, path
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        eps = torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + eps + (self.path - 1.0) * carry(self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        return Normal(self.loc, 1.0).log_prob(value).sum(-1) + math.log(self.density)


def test_defects_in_many_dimensions_are_found():
    loc = torch.linspace(-1.0, 1.0, 10).reshape(2, 5)
    check_distribution(Wide, loc)
    with pytest.raises(
        AssertionError, match=r"mean of p\(z\) / q\(z\) at samples of Wide: expected 1, got 0\.9[45].* standard"
    ):
        check_distribution(lambda loc: Wide(loc, density=1.05), loc)
    with pytest.raises(AssertionError, match=r"carry to argument 0, minus that of the score function: expected 0"):
        check_distribution(lambda loc: Wide(loc, path=1.05), loc)
