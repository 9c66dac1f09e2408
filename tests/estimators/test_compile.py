"""Estimators as one graph. In a process of its own: the shape checks of the other tests cannot be traced."""

import subprocess
import sys

import torch
from tests.estimators.cases import BERNOULLI, CATEGORICAL

from reparam_suite.estimators import (
    DARN,
    DecoupledGumbel,
    ExponentialDecay,
    GappedStraightThrough,
    GumbelRao,
    GumbelSoftmax,
    ReinMax,
    StraightThrough,
    StraightThroughGumbel,
)

MAKES = [
    lambda: DARN(),
    lambda: DecoupledGumbel(),
    lambda: GappedStraightThrough(),
    lambda: GumbelRao(),
    lambda: GumbelSoftmax(temperature=ExponentialDecay(num_steps=10)),
    lambda: ReinMax(),
    lambda: StraightThrough(),
    lambda: StraightThroughGumbel(),
]


def compare(estimator, problem):
    """The gradients, by phi and theta, of two steps with and without compilation at the same seed."""

    def step(phi, theta):
        return estimator(problem.expectation(phi, theta)).objective.sum()

    torch._dynamo.reset()
    start = {name: value.clone() for name, value in estimator.state_dict().items()}
    results = []
    for run in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        estimator.load_state_dict(start)
        torch.manual_seed(7)
        for _ in range(2):
            phi, theta = (each.expand(8, -1).clone().requires_grad_() for each in (problem.phi, problem.theta))
            results.append(torch.cat(torch.autograd.grad(run(phi, theta), (phi, theta)), -1))
    torch.testing.assert_close(results[2:], results[:2])
    assert not torch.equal(*results[:2])


def test_estimators_without_inner_gradients_compile_as_one_graph():
    done = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 * len(MAKES)


if __name__ == "__main__":
    for make in MAKES:
        for problem in (BERNOULLI[1], CATEGORICAL[1]):
            compare(make().double(), problem)
            print(type(make()).__name__, problem)
