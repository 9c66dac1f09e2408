"""Estimators as one graph. In a process of its own: the shape checks of the other tests cannot be traced."""

import subprocess
import sys

import torch

from reparam_suite.estimators import (
    ARM,
    ARMS,
    ARSM,
    CARMS,
    DARN,
    OVIS,
    UGC,
    AntitheticPathwise,
    BitFlip,
    CoupledMeasureValued,
    DecoupledGumbel,
    DisARM,
    Enumeration,
    ExponentialDecay,
    GappedStraightThrough,
    GaussianCopula,
    GumbelRao,
    GumbelSoftmax,
    LeaveOneOut,
    LocalExpectation,
    LogMeanExp,
    MeasureValued,
    MovingAverage,
    OptimalConstant,
    Pathwise,
    Quadrature,
    ReinMax,
    ScoreFunction,
    StraightThrough,
    StraightThroughGumbel,
    SumAndSample,
    UnorderedSet,
    VarianceNormalized,
)
from reparam_suite.problems import BernoulliModel, CategoricalModel, GaussianModel
from reparam_suite.variational import family

PROBLEMS = [BernoulliModel(), CategoricalModel(), GaussianModel()]

MAKES = [
    lambda: ARM(),
    lambda: ARMS(),
    lambda: ARMS(num_samples=3, copula=GaussianCopula()),
    lambda: ARSM(),
    lambda: BitFlip(),
    lambda: CARMS(),
    lambda: CoupledMeasureValued(),
    lambda: DARN(),
    lambda: DisARM(),
    lambda: DecoupledGumbel(),
    lambda: GappedStraightThrough(),
    lambda: GumbelRao(),
    lambda: GumbelSoftmax(temperature=ExponentialDecay(num_steps=10)),
    lambda: LocalExpectation(chunk_size=2),
    lambda: MeasureValued(),
    lambda: ReinMax(),
    lambda: StraightThrough(),
    lambda: StraightThroughGumbel(),
    lambda: UGC(),
    lambda: AntitheticPathwise(),
    lambda: Enumeration(),
    lambda: Pathwise(),
    lambda: Quadrature(num_nodes=4),
    lambda: ScoreFunction(),
    lambda: ScoreFunction(num_samples=2, baseline=LeaveOneOut()),
    lambda: ScoreFunction(baseline=MovingAverage()),
    lambda: ScoreFunction(baseline=OptimalConstant()),
    lambda: ScoreFunction(baseline=VarianceNormalized(baseline=MovingAverage())),
    lambda: SumAndSample(num_samples=2),
    lambda: UnorderedSet(),
]
CASES = [(make, problem) for make in MAKES for problem in PROBLEMS if family(problem.q(problem.phi)) in make().families]
CASES += [
    (lambda: ScoreFunction(num_samples=3, baseline=LeaveOneOut()), BernoulliModel(bound=LogMeanExp())),
    (lambda: ScoreFunction(num_samples=3, baseline=OVIS()), BernoulliModel(bound=LogMeanExp())),
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
    assert torch.equal(*results[:2]) == isinstance(estimator, Enumeration | Quadrature)


def test_estimators_without_inner_gradients_compile_as_one_graph():
    done = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(CASES)


if __name__ == "__main__":
    for make, problem in CASES:
        compare(make().double(), problem)
        print(type(make()).__name__, problem)
