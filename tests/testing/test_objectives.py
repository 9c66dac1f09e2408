"""check_objective accepts objectives that exist in these tests only, and finds every defect planted in one."""

from copy import deepcopy

import pytest
import torch
from tests.testing.own_objectives import Capacity, Tempered, Weighted, X, on_bits, on_normals
from torch import nn

from reparam_suite.distributions import kl_divergence
from reparam_suite.estimators import Expectation, GumbelSoftmax, LeaveOneOut, Pathwise, ScoreFunction, carry
from reparam_suite.testing import check_objective


@pytest.mark.parametrize("objective", [Tempered(), Capacity()], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "model", [on_normals(), on_bits(), on_bits(GumbelSoftmax())], ids=["normals", "bits", "a relaxed estimator"]
)
def test_objectives_of_ones_own_pass(objective, model):
    check_objective(objective, model, X)


@pytest.mark.parametrize(
    "model",
    [on_normals(Pathwise(num_samples=3)), on_bits(ScoreFunction(num_samples=3, baseline=LeaveOneOut()))],
    ids=["normals", "bits"],
)
def test_a_multi_sample_bound_passes(model):
    check_objective(Weighted(), model, X)


def test_the_model_is_left_as_it_is():
    model = on_normals().train()
    before, estimator = deepcopy(model.state_dict()), model.estimator
    generator = torch.get_rng_state()
    check_objective(Tempered(), model, X)
    assert model.training
    assert model.estimator is estimator
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)


# ------------------------------------------------------------------------------------------- defects that are seen


class OuterQ:
    """log q(z) of the enclosing q, whose explicit score no estimator can leave out."""

    def __call__(self, model, x, step):
        q = model.posterior(x)
        return Expectation(
            q=q, f=lambda z, _: model.log_likelihood(x, z) + model.prior().log_prob(z) - q.log_prob(z), context=x
        )


class ClosedFormInF(Tempered):
    """The KL of the q that f is given: frozen, it has no gradient."""

    def log_ratio(self, model, x, z, q):
        return -kl_divergence(q, model.prior()).expand(len(z), -1)


class ClosedFormOfTheOuterQ(Capacity):
    def f(self, model, x, q):
        return lambda z, _: model.log_likelihood(x, z) - kl_divergence(q, model.prior())


class SquaredLogQ(Tempered):
    def log_ratio(self, model, x, z, q):
        return model.prior().log_prob(z) - 0.1 * q.log_prob(z).square()


class PerDatumMultiple(Tempered):
    def log_ratio(self, model, x, z, q):
        return model.prior().log_prob(z) - x[:, 0].square() * q.log_prob(z)


class OneAxisTooMany:
    def __call__(self, model, x, step):
        return Expectation(q=model.posterior(x), f=lambda z, _: model.log_likelihood(x, z).unsqueeze(-1))


class MixesSamples(Tempered):
    def log_ratio(self, model, x, z, q):
        prior = model.prior().log_prob(z)
        return prior - prior.mean(0) - q.log_prob(z)


class MixesDataInF(Tempered):
    def log_ratio(self, model, x, z, q):
        prior = model.prior().log_prob(z)
        return prior - 0.5 * prior.mean(1, keepdim=True) - q.log_prob(z)


class StopsAtZ(Tempered):
    def log_ratio(self, model, x, z, q):
        return super().log_ratio(model, x, z.detach(), q)


class MixesDataInExact(Capacity):
    def exact(self, term):
        return term.mean().expand(len(term))


class OneExact(Capacity):
    def exact(self, term):
        return term.sum()


class StopsTheGradient(Capacity):
    def exact(self, term):
        return term.detach()


class ThreePercentMore(Capacity):
    def exact(self, term):
        return term + 0.03 * carry(term)


class CountsItsCalls(Tempered):
    """A step of its own: what it gives depends on how often it was asked."""

    calls = 0

    def log_ratio(self, model, x, z, q):
        type(self).calls += 1
        return min(1.0, self.calls / 1000) * super().log_ratio(model, x, z, q)


class ReturnsANumber(Tempered):
    def __call__(self, model, x, step):
        return super().__call__(model, x, step).f(torch.zeros(1, len(x), 2).double(), model.posterior(x))


class AsAModule(Tempered, nn.Module):
    def __call__(self, model, x, step):
        return Tempered.__call__(self, model, x, step)


PLANTED = {
    OuterQ: r"f\(z, frozen\(q\)\): expected no gradient with respect to loc of q: .*, got",
    ClosedFormInF: r"gradient of f\(z, q\) through q: expected .* a constant multiple of q.log_prob\(z\)",
    ClosedFormOfTheOuterQ: r"f\(z, frozen\(q\)\): expected no gradient with respect to loc of q: .*in exact",
    SquaredLogQ: r"gradient of f\(z, q\) through q: expected .* a constant multiple of q.log_prob\(z\)",
    PerDatumMultiple: r"gradient of f\(z, q\) through q: expected .* a constant multiple of q.log_prob\(z\)",
    OneAxisTooMany: r"f\(z, q\): expected shape \(6, 3\), K samples of each datum, got \(6, 3, 1\)",
    MixesSamples: r"f\(z, q\) of one sample: expected the same whatever the other samples are",
    MixesDataInF: r"f\(z, q\) of one datum: expected the same whatever z of the others is",
    StopsAtZ: r"gradient of encoder by Pathwise, minus that of the expected objective: .* standard errors apart",
    MixesDataInExact: r"exact of one datum: expected the same whatever the other data are",
    StopsTheGradient: r"gradient of exact along a direction .*: expected .* by finite differences, got 0",
    ThreePercentMore: r"gradient of exact along a direction .*: expected .* by finite differences, got",
    CountsItsCalls: r"f\(z, q\) at step 0: expected the same whenever it is asked for, got a change of",
    ReturnsANumber: r"objective: expected an Expectation, got Tensor",
    AsAModule: r"objective: expected a plain object, .*, got the module AsAModule",
}


def test_one_exact_term_for_all_data_is_refused_where_it_is_made():
    with pytest.raises(ValueError, match=r"exact: expected shape \[\*batch_shape\] = \[3\], got \[\]"):
        check_objective(OneExact(), on_normals(), X)


@pytest.mark.parametrize(("cls", "message"), list(PLANTED.items()), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_defect_is_found(cls, message):
    with pytest.raises(AssertionError, match=message):
        check_objective(cls(), on_normals(), X)


def test_one_datum_is_not_enough():
    with pytest.raises(ValueError, match="x: expected at least 2 data, got 1"):
        check_objective(Tempered(), on_normals(), X[:1])
