"""check_distribution accepts distributions that exist in these tests only, and finds every defect planted in one."""

import logging
import math
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from tests.testing.own_distributions import LOC, LOGITS, SCALE, Die, Logistic, Spiral, independent
from torch.distributions import (
    Bernoulli,
    Cauchy,
    Independent,
    MixtureSameFamily,
    Normal,
    OneHotCategoricalStraightThrough,
    Poisson,
    TanhTransform,
    TransformedDistribution,
    Uniform,
    constraints,
)
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import OneHotCategorical as TorchOneHotCategorical

from reparam_suite.distributions import (
    bernoulli,
    beta,
    categorical,
    dirichlet,
    gamma,
    multivariate_normal,
    normal,
    von_mises,
)
from reparam_suite.estimators import carry
from reparam_suite.testing import check_distribution


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (independent(Logistic), (LOC, SCALE)),
        (Spiral, (LOC[:, 0], SCALE[:, 0])),
        (independent(Die), (LOGITS,)),
    ],
    ids=["Logistic", "Spiral", "Die"],
)
def test_distributions_of_ones_own_pass(make, arguments, dtype):
    check_distribution(make, *(argument.to(dtype) for argument in arguments))


OURS = {
    "normal": (normal, LOC, SCALE),
    "multivariate_normal": (
        lambda loc, below: multivariate_normal(loc, below.tril()),
        LOC,
        SCALE[:, :, None] + torch.eye(2),
    ),
    "bernoulli": (bernoulli, LOC),
    "categorical": (categorical, LOGITS),
    "gamma": (gamma, SCALE, SCALE.flip(0)),
    "beta": (beta, SCALE, SCALE.flip(0)),
    "dirichlet": (dirichlet, LOGITS.exp()),
    "von_mises": (von_mises, LOC, SCALE),
}
TORCHS = {
    "bits": (lambda logits: Independent(Bernoulli(logits=logits), 1), LOC),
    "bits by probability": (lambda logits: Independent(Bernoulli(probs=logits.sigmoid()), 1), LOC),
    "one-hot": (lambda logits: Independent(TorchOneHotCategorical(logits=logits), 1), LOGITS),
    "one-hot by probability": (lambda logits: Independent(TorchOneHotCategorical(probs=logits.softmax(-1)), 1), LOGITS),
    "straight-through": (lambda logits: Independent(OneHotCategoricalStraightThrough(logits=logits), 1), LOGITS),
    "heavy tails": (independent(Cauchy), LOC, SCALE),
    "a support that moves": (lambda low, width: Independent(Uniform(low, low + width), 1), LOC, SCALE),
    "counts": (independent(Poisson), SCALE),
    "a mixture": (
        lambda logits, loc: Independent(MixtureSameFamily(TorchCategorical(logits=logits), Normal(loc, 0.5)), 1),
        LOGITS,
        2.0 * LOGITS,
    ),
    "a transform with a cache": (
        lambda loc, scale: Independent(TransformedDistribution(Normal(loc, scale), [TanhTransform(cache_size=1)]), 1),
        0.3 * LOC,
        0.4 * SCALE,
    ),
    "five dimensions": (
        lambda loc, below: multivariate_normal(loc, below.tril(-1) + torch.eye(5, dtype=loc.dtype)),
        torch.linspace(-1.0, 1.0, 10).reshape(2, 5),
        torch.linspace(-0.4, 0.5, 50).reshape(2, 5, 5),
    ),
}


@pytest.mark.parametrize("case", list((OURS | TORCHS).values()), ids=list(OURS | TORCHS))
def test_distributions_of_the_suite_and_of_torch_pass(case):
    make, *arguments = case
    check_distribution(make, *arguments)


def test_without_arguments_values_alone_are_checked():
    check_distribution(lambda: normal(LOC.double(), SCALE.double()))


# ---------------------------------------------------------------------------------------------- defects that are seen


class ThreePercentTooDense(Logistic):
    def log_prob(self, value):
        return super().log_prob(value) + math.log(1.03)


class DensityOfAnotherWidth(Logistic):
    def log_prob(self, value):
        y = (value - self.loc) / (1.03 * self.scale)
        return -y - 2.0 * F.softplus(-y) - (1.03 * self.scale).log()


class ThreePercentTooWide(Logistic):
    def rsample(self, sample_shape=torch.Size()):
        return self.loc + 1.03 * self.scale * self.noise(sample_shape)


class ThreePercentOfTheWidth(Logistic):
    def rsample(self, sample_shape=torch.Size()):
        noise = self.noise(sample_shape)
        return self.loc + self.scale * noise + 0.03 * carry(self.scale) * noise


class WidthWithoutAPath(Logistic):
    def rsample(self, sample_shape=torch.Size()):
        return self.loc + self.scale.detach() * self.noise(sample_shape)


class NoPathAtAll(Logistic):
    def rsample(self, sample_shape=torch.Size()):
        return super().rsample(sample_shape).detach()


class DensityWithoutAGradient(Logistic):
    def log_prob(self, value):
        y = (value - self.loc) / self.scale.detach()
        return -y - 2.0 * F.softplus(-y) - self.scale.detach().log()


class NamesACopy(Logistic):
    arg_constraints: ClassVar = {"loc": constraints.real, "width": constraints.positive}

    @property
    def width(self):
        return self.scale.clone()


class SampleWithAGradient(Logistic):
    def sample(self, sample_shape=torch.Size()):
        return self.rsample(sample_shape)


class SummedDensity(Logistic):
    def log_prob(self, value):
        return super().log_prob(value).sum(0)


class DoubleSamples(Logistic):
    def rsample(self, sample_shape=torch.Size()):
        return super().rsample(sample_shape).double()


class FreezesNothing(Logistic):
    def frozen(self):
        return self


class FreezesToAnotherLaw(Logistic):
    def frozen(self):
        return Logistic(self.loc.detach(), 1.03 * self.scale.detach())


class FreezesTheSample(Logistic):
    def frozen(self):
        held = Logistic(self.loc.detach(), self.scale.detach())
        held.log_prob = lambda z: Logistic.log_prob(held, z.detach())
        return held


PLANTED = {
    ThreePercentTooDense: r"integral of exp log_prob of ThreePercentTooDense: expected 1, got 1.03",
    DensityOfAnotherWidth: r"means of bounded functions of samples of .*: expected .* standard errors apart",
    ThreePercentTooWide: r"means of bounded functions of samples of .*: expected .* standard errors apart",
    ThreePercentOfTheWidth: r"gradient that samples of .* carry to argument 1: expected .* standard errors apart",
    WidthWithoutAPath: r"rsample of WidthWithoutAPath: expected to be computed from .* names scale, got no gradient",
    NoPathAtAll: r"rsample of NoPathAtAll: expected a gradient, got none",
    DensityWithoutAGradient: r"gradient of log_prob of .* along argument 1: expected .* by finite differences, got 0",
    NamesACopy: r"log_prob of NamesACopy: expected to be computed from the tensor that parameters\(q\) names width",
    SampleWithAGradient: r"sample of SampleWithAGradient: expected no gradient: that is for rsample, got one",
    SummedDensity: r"log_prob of SummedDensity: expected shape \(3, 3\), got",
    DoubleSamples: r"sample of DoubleSamples: expected torch.float32, as its arguments, got torch.float64",
    FreezesNothing: r"frozen\(q\).log_prob of .*: expected no gradient with respect to argument 0, got",
    FreezesToAnotherLaw: r"frozen\(q\).log_prob of .*: expected the values of log_prob, got a difference of",
    FreezesTheSample: r"frozen\(q\).log_prob of .*: expected the gradient of log_prob with respect to z, got",
}


@pytest.mark.parametrize(("cls", "message"), list(PLANTED.items()), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_defect_is_found(cls, message):
    with pytest.raises(AssertionError, match=message):
        check_distribution(independent(cls), LOC, SCALE)


def test_what_is_no_distribution_or_has_no_event_axis_is_named():
    with pytest.raises(AssertionError, match=r"make: expected a torch.distributions.Distribution, got Tensor"):
        check_distribution(lambda loc: loc, LOC)
    with pytest.raises(AssertionError, match=r"event_shape of Logistic: .*wrap it in torch.distributions.Independent"):
        check_distribution(Logistic, LOC, SCALE)
    with pytest.raises(AssertionError, match=r"batch_shape of Bernoulli: expected \(3,\), the rows of its arguments"):
        check_distribution(lambda logits: Independent(Bernoulli(logits=logits), 2), LOC)


def test_the_generator_is_left_as_it_was_and_nothing_is_logged(caplog):
    before = torch.get_rng_state()
    with caplog.at_level(logging.WARNING):
        check_distribution(independent(Logistic), LOC, SCALE)
    assert torch.equal(torch.get_rng_state(), before)
    assert not caplog.records
