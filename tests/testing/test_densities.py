"""Expectations from a log-density alone, against moments in closed form."""

import math

import pytest
import torch
import torch.distributions as td
from scipy import special

from reparam_suite.testing.densities import is_periodic, nodes_of, probes_of, units_of


def of(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def drawn(units: td.Distribution) -> torch.Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return units.sample((2_000,))


# Each with a function of the units, and its mean in closed form for each of the batch.
MOMENTS = {
    "normal": (td.Normal(of(1.0, -2.0), of(0.5, 3.0)), lambda z: z.square(), [1.25, 13.0]),
    "gamma": (td.Gamma(of(2.5, 0.7), of(2.0, 0.5)), lambda z: z, [1.25, 1.4]),
    "uniform": (td.Uniform(of(1.0, 0.0), of(4.0, 0.5)), lambda z: z.square(), [7.0, 1.0 / 12.0]),
    "bits": (td.Bernoulli(probs=of(0.2, 0.9)), lambda z: 3.0 * z, [0.6, 2.7]),
    "counts": (td.Poisson(of(0.5, 6.0)), lambda z: z.square(), [0.75, 42.0]),
    "angles": (
        td.VonMises(of(0.3, -3.0), of(1.5, 4.0)),
        lambda z: (z - of(0.3, -3.0)).cos(),
        [float(special.ive(1, k) / special.ive(0, k)) for k in (1.5, 4.0)],
    ),
    "a plane": (
        td.MultivariateNormal(of(1.0, -1.0), torch.tensor([[[2.0, 0.6], [0.6, 0.5]]], dtype=torch.float64)),
        lambda z: z[..., 0] * z[..., 1],
        [-0.4],
    ),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_masses_of_the_nodes_are_probabilities_with_the_right_moments(name):
    units, function, expected = MOMENTS[name]
    nodes = nodes_of(units, drawn(units))
    masses = nodes.masses(units)
    rel = 1e-4 if name in ("counts", "uniform") else 1e-6  # a tail that is cut off; a density with edges
    assert masses.sum(0).tolist() == pytest.approx([1.0] * len(expected), rel=rel)
    assert (masses * function(nodes.values)).sum(0).tolist() == pytest.approx(expected, rel=rel)


def test_masses_carry_the_gradient_of_the_mean():
    """E z^2 = m^2 + s^2."""
    m, s = of(0.7).requires_grad_(), of(1.3).requires_grad_()
    units = td.Normal(m, s)
    nodes = nodes_of(units, drawn(units))
    mean = (nodes.masses(units) * nodes.values.square()).sum()
    assert torch.cat(torch.autograd.grad(mean, (m, s))).tolist() == pytest.approx([1.4, 2.6], rel=1e-6)


def test_there_is_no_grid_in_many_dimensions():
    units = td.MultivariateNormal(torch.zeros(5).double(), torch.eye(5).double())
    assert nodes_of(units, drawn(units)) is None


def test_units_are_what_stands_below_independent():
    inner = td.Normal(torch.zeros(3, 2), 1.0)
    assert units_of(td.Independent(td.Independent(inner, 1), 1)) is inner


def test_an_angle_is_told_by_its_period():
    angle, line = td.VonMises(of(0.3), of(1.5)), td.Normal(of(0.3), of(1.5))
    assert is_periodic(angle, drawn(angle))
    assert not is_periodic(line, drawn(line))
    z = of(0.4).reshape(1, 1)
    assert probes_of(angle, drawn(angle))(z).flatten().tolist() == pytest.approx([math.sin(0.4), math.cos(0.4)])


def test_probes_are_bounded_and_stand_where_the_samples_are():
    """tanh(y + 0.3) and exp(-y^2 / 2) of the distance y from the median, in halves of the middle 68 %."""
    units = td.Cauchy(of(5.0), of(2.0))
    samples = torch.linspace(3.0, 7.0, 1_001, dtype=torch.float64).unsqueeze(-1)
    found = probes_of(units, samples)
    assert found(of(5.0).reshape(1, 1)).flatten().tolist() == pytest.approx([math.tanh(0.3), 1.0], abs=1e-6)
    # The 16th and the 84th percentile are 1.36 away.
    assert found(of(6.36).reshape(1, 1)).flatten().tolist() == pytest.approx([math.tanh(1.3), math.exp(-0.5)], abs=1e-3)
    assert found(of(1e12).reshape(1, 1)).flatten().tolist() == [1.0, 0.0]
