import numpy as np
import pytest
import torch

from reparam_suite.figures import code_use


def random(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_bernoulli_units_are_sorted_by_their_mean_and_carry_their_range():
    probabilities = random(50, 200) * random(200)
    (ax,) = code_use(probabilities).axes
    means = probabilities.mean(0).sort(descending=True)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), means.values)
    ranges = np.array([segment[:, 1] for segment in ax.collections[0].get_segments()])
    np.testing.assert_allclose(ranges, np.percentile(probabilities[:, means.indices], [10, 90], axis=0).T)
    assert ax.get_title(loc="left") == "Use of 200 Bernoulli units by 50 data"
    assert ax.get_ylim()[0] < 0
    assert ax.get_ylim()[1] > 1


def test_classes_are_shown_most_used_first_beside_their_perplexity():
    probabilities = torch.softmax(5 * random(50, 20, 10), -1)
    use = probabilities.mean(0)
    bars, heat, bar = code_use(probabilities).axes
    np.testing.assert_allclose(heat.images[0].get_array(), use.sort(-1, descending=True).values)
    assert heat.images[0].get_clim() == (0, 1)
    perplexity = torch.distributions.Categorical(probs=use).entropy().exp()
    ends = [patch.get_x() + patch.get_width() for patch in bars.patches]
    np.testing.assert_allclose(ends, perplexity)
    assert bar.get_ylabel() == "share of data"


def test_a_latent_stuck_in_one_class_has_perplexity_one_and_an_even_one_as_many_as_classes():
    probabilities = torch.stack([torch.tensor([0.0, 1.0, 0.0, 0.0]), torch.full((4,), 0.25)]).expand(3, 2, 4)
    bars = code_use(probabilities).axes[0]
    assert [patch.get_x() + patch.get_width() for patch in bars.patches] == pytest.approx([1, 4])


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (torch.tensor([[-0.5, 0.5]]), r"expected values in \[0, 1\], got values from -0.5 to 0.5"),
        (torch.tensor([[0.5, 2.0]]), r"expected values in \[0, 1\], got values from 0.5 to 2"),
        (torch.rand(4), r"expected the shape \[N, D, C\] and not empty, got \[4\]"),
    ],
)
def test_what_are_no_probabilities_is_refused(probabilities, message):
    with pytest.raises(ValueError, match=message):
        code_use(probabilities)
