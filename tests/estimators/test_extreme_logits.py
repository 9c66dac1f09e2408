"""Logits of +-30 leave every number finite, logits of +-8 leave unbiased gradients, both in float32."""

from dataclasses import dataclass

import pytest
import torch
from tests.estimators.draws import replicate
from tests.statistics import LIMIT

from reparam_suite.commands.classes import concrete_subclasses
from reparam_suite.distributions import bernoulli, categorical
from reparam_suite.estimators import (
    ARM,
    ARMS,
    ARSM,
    CARMS,
    REBAR,
    RELAX,
    RODEO,
    UGC,
    BitFlip,
    CoupledMeasureValued,
    DisARM,
    DoubleCV,
    Enumeration,
    Expectation,
    GaussianCopula,
    GradientEstimator,
    LeaveOneOut,
    LocalExpectation,
    MeasureValued,
    MuProp,
    ScoreFunction,
    SumAndSample,
    UnorderedSet,
)

NUM_LATENTS = 500


@dataclass(frozen=True)
class Setting:
    """Latents of one family, with a function of them that is neither linear nor the same in any two."""

    family: object
    rare: torch.Tensor  # logits, some of which leave a value a probability of exp(-8)

    def f(self, z):
        z = z.flatten(-self.rare.dim())
        weight = torch.linspace(-1.0, 1.3, z.shape[-1], dtype=z.dtype, device=z.device)
        return (z * weight).sum(-1).exp() + 0.5 * z[..., 0] * z[..., -1]


BITS = Setting(bernoulli, torch.tensor([8.0, 0.4, -8.0]))
CLASSES = Setting(categorical, torch.tensor([[8.0, 0.0, 0.3], [-8.0, 0.2, 0.7]]))
ONE_CLASS = Setting(categorical, torch.tensor([[8.0, 0.0, 0.3]]))

STABLE = [
    (ARM(num_samples=64), BITS),
    (DisARM(num_samples=64), BITS),
    (ARMS(num_samples=64), BITS),
    (ARMS(num_samples=64, copula=GaussianCopula()), BITS),
    (ARMS(num_samples=2), BITS),
    (BitFlip(num_samples=64), BITS),
    (UGC(num_samples=64), BITS),
    (LocalExpectation(num_samples=64, chunk_size=1), BITS),
    (MeasureValued(num_samples=64, chunk_size=1), BITS),
    (CoupledMeasureValued(num_samples=64, chunk_size=1), BITS),
    (DoubleCV(num_samples=64, strength=0.5), BITS),
    (REBAR(num_samples=64), BITS),
    (RELAX(num_samples=64), BITS),
    (RODEO(num_samples=64, strength=0.5), BITS),
    (ARSM(num_samples=64), CLASSES),
    (REBAR(num_samples=64), CLASSES),
    (RELAX(num_samples=64), CLASSES),
    (CARMS(num_samples=64), CLASSES),
    (CARMS(num_samples=64, copula=GaussianCopula()), CLASSES),
    (CARMS(num_samples=2), CLASSES),
    (LocalExpectation(num_samples=8), CLASSES),
    (MuProp(num_samples=64), BITS),
    (MuProp(num_samples=64), CLASSES),
    (ScoreFunction(num_samples=64, baseline=LeaveOneOut()), BITS),
    (ScoreFunction(num_samples=64, baseline=LeaveOneOut()), CLASSES),
    (UnorderedSet(num_samples=64), BITS),
    (UnorderedSet(num_samples=64), CLASSES),
    (SumAndSample(num_samples=8, num_summed=56), BITS),
    (SumAndSample(num_samples=8, num_summed=56), CLASSES),
]

UNBIASED = [
    (ARM(), BITS),
    (DisARM(), BITS),
    (ARMS(), BITS),
    (ARMS(num_samples=3, copula=GaussianCopula()), BITS),
    (BitFlip(), BITS),
    (UGC(), BITS),
    (LocalExpectation(), BITS),
    (MeasureValued(), BITS),
    (CoupledMeasureValued(), BITS),
    (DoubleCV(strength=0.5).eval(), BITS),
    (REBAR().eval(), BITS),
    (RELAX(temperature=0.5).eval(), BITS),
    (RODEO().eval(), BITS),
    (REBAR(temperature=0.5).eval(), CLASSES),
    (ARSM(), ONE_CLASS),  # with two latents its noise comes from the other one, and hides rare events
    (CARMS(), CLASSES),
    (CARMS(num_samples=2, copula=GaussianCopula()), CLASSES),
    (LocalExpectation(), CLASSES),
    (RELAX(temperature=0.5).eval(), CLASSES),
    (MuProp(num_samples=4), BITS),
    (MuProp(num_samples=4), CLASSES),
    (ScoreFunction(num_samples=4, baseline=LeaveOneOut()), BITS),
    (ScoreFunction(num_samples=4, baseline=LeaveOneOut()), CLASSES),
    (UnorderedSet(num_samples=2), BITS),
    (UnorderedSet(num_samples=2), CLASSES),
    (SumAndSample(num_summed=1), BITS),
    (SumAndSample(num_samples=2, num_summed=2), CLASSES),
]


def name_of(value):
    return (
        f"{type(value).__name__}-K{value.num_samples}"
        if isinstance(value, GradientEstimator)
        else value.family.__name__
    )


@pytest.mark.parametrize("listed", [STABLE, UNBIASED], ids=["stable", "unbiased"])
def test_every_unbiased_estimator_of_discrete_latents_is_listed(listed):
    library = concrete_subclasses(GradientEstimator) - {Enumeration}  # what the others are compared with
    settings = [(setting.family, setting.family(setting.rare)) for setting in (BITS, CLASSES)]
    expected = {(cls, of) for cls in library for of, q in settings if cls().unbiased and cls().fits(q) is None}
    assert {(type(estimator), setting.family) for estimator, setting in listed} == expected


@pytest.mark.parametrize(("estimator", "setting"), STABLE, ids=name_of)
def test_large_logits_leave_every_number_finite(estimator, setting):
    # f is a sum over the latents, minus log q: its exact gradient is known, and next to nothing at these logits.
    torch.manual_seed(0)
    shape = (NUM_LATENTS, *setting.rare.shape[1:])
    phi = 30.0 * torch.randn(shape).sign()
    phi[0] = 0.0
    phi.requires_grad_()
    theta = torch.linspace(-1.0, 1.0, NUM_LATENTS).reshape(-1, *(1,) * (len(shape) - 1)).requires_grad_()

    def f(z, q):
        return (z * theta).flatten(-len(shape)).sum(-1) / NUM_LATENTS - q.log_prob(z)

    objective = estimator(Expectation(q=setting.family(phi), f=f)).objective
    by_phi, by_theta = torch.autograd.grad(objective, (phi, theta))
    assert objective.isfinite()
    assert by_phi.isfinite().all()
    assert by_theta.isfinite().all()


@pytest.mark.parametrize(("estimator", "setting"), UNBIASED, ids=name_of)
def test_gradient_is_unbiased_where_a_value_is_rare(estimator, setting):
    # A million replicates: a value of probability exp(-8) comes up some 300 times for each sample drawn.
    _, exact = replicate(Enumeration(), setting.family, setting.rare.double(), setting.f, 1)
    total = torch.zeros_like(exact[0])
    total_square = torch.zeros_like(exact[0])
    num_replicates, num_repeats = 250_000, 4
    for repeat in range(num_repeats):
        _, drawn = replicate(estimator, setting.family, setting.rare, setting.f, num_replicates, seed=repeat)
        total += drawn.double().sum(0)
        total_square += drawn.double().square().sum(0)
    mean = total / (num_replicates * num_repeats)
    variance = total_square / (num_replicates * num_repeats) - mean.square()
    standard_error = (variance.clamp_min(0.0) / (num_replicates * num_repeats)).sqrt()
    error = (mean - exact[0]).abs()
    rounding = 2e-6 * exact[0].abs()
    assert (error / (standard_error + rounding)).max() < LIMIT
    assert (standard_error < 0.12 * exact[0].abs()).all(), "too few rare events to see a bias"
