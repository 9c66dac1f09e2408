"""The gradient that others are held against: which estimators make it, and how their means are weighted."""

import pytest
import torch
from tests.comparison.small import RLOO, RLOO_NAME, SIZES

from reparam_suite.comparison import compare_gradients, references
from reparam_suite.comparison.references import mean_reference
from reparam_suite.diagnostics import ReferenceGradient
from reparam_suite.estimators import DisARM, Pathwise, StraightThrough
from reparam_suite.models import DiscreteVAE, GaussianVAE


def reference(gradient: list[float], variance: float, name: str) -> ReferenceGradient:
    return ReferenceGradient(
        gradient=torch.tensor(gradient), variance=torch.tensor(variance), estimator=name, exact=variance == 0.0
    )


@pytest.fixture
def drawn(monkeypatch):
    """What the next references are, one for each estimator; and with how many repeats they were asked for."""
    made: list[ReferenceGradient] = []
    asked: list[int] = []

    def reference_gradients(model, batch, estimator, *, num_repeats, memory_budget):
        asked.append(num_repeats)
        return {"encoder": made.pop(0)}

    monkeypatch.setattr(references, "reference_gradients", reference_gradients)
    return made, asked


def test_means_are_weighted_by_the_inverse_of_their_variances(drawn):
    made, asked = drawn
    made += [reference([1.0, 0.0], 1.0, "A"), reference([0.0, 3.0], 3.0, "B")]
    found = mean_reference(None, None, [Pathwise(), DisARM()], num_repeats=50, memory_budget=1)["encoder"]
    # 1 and 1/3 as shares of 4/3.
    torch.testing.assert_close(found.gradient, torch.tensor([0.75, 0.75]))
    assert float(found.variance) == pytest.approx(0.75)
    assert (found.estimator, found.exact) == ("A, B", False)
    assert asked == [100, 100], "four times as many in all"


def test_one_without_noise_counts_alone(drawn):
    made, asked = drawn
    made += [reference([1.0, 0.0], 1.0, "A"), reference([0.0, 3.0], 0.0, "B")]
    found = mean_reference(None, None, [Pathwise(), DisARM()], num_repeats=50, memory_budget=1)["encoder"]
    assert (found.estimator, found.exact) == ("B", True)
    assert found.gradient.tolist() == [0.0, 3.0]
    made += [reference([1.0], 1.0, f"{n}") for n in range(8)]
    mean_reference(None, None, [DisARM()] * 8, num_repeats=50, memory_budget=1)
    assert asked[2:] == [50] * 8, "of each at least as many as an estimator has"


def test_where_nothing_is_exact_the_mean_of_the_unbiased_ones_is_the_reference(x):
    model = GaussianVAE(event_shape=(6,), latent_size=4, hidden_sizes=(5,), estimator=Pathwise())
    comparison = compare_gradients(model, x, [Pathwise(), RLOO], num_repeats=256)
    assert comparison.reference == f"Pathwise(), {RLOO_NAME}"
    for row in comparison.rows:
        assert abs(float(row.bias["encoder"].cosine) - 1.0) < 5.5 * float(row.bias["encoder"].cosine_error)


def test_a_reference_that_is_biased_or_does_not_fit_is_refused(x):
    model = DiscreteVAE(**SIZES)
    with pytest.raises(ValueError, match=r"reference: expected an unbiased estimator, got StraightThrough\(\)"):
        compare_gradients(model, x, [DisARM()], reference=StraightThrough())
    with pytest.raises(ValueError, match="reference: Pathwise"):
        compare_gradients(model, x, [DisARM()], reference=Pathwise())
