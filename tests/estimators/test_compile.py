"""Estimators under torch.compile. In a process of its own: the shape checks of the other tests cannot be traced."""

import pytest
import torch
import torch._inductor.config
from tests.lives import Life

from reparam_suite.commands.classes import concrete_subclasses
from reparam_suite.estimators import (
    ARM,
    ARMS,
    ARSM,
    CARMS,
    DARN,
    OVIS,
    REBAR,
    RELAX,
    RODEO,
    UGC,
    AntitheticPathwise,
    BitFlip,
    ControlledPathwise,
    CoupledMeasureValued,
    DecoupledGumbel,
    DisARM,
    DoubleCV,
    Enumeration,
    ExponentialDecay,
    GappedStraightThrough,
    GaussianCopula,
    GradientEstimator,
    GumbelRao,
    GumbelSoftmax,
    Learned,
    LeaveOneOut,
    LocalExpectation,
    LogMeanExp,
    MeasureValued,
    MovingAverage,
    MuProp,
    OptimalConstant,
    Pathwise,
    Quadrature,
    ReinMax,
    ReinMaxRao,
    ScoreFunction,
    StickTheLanding,
    StraightThrough,
    StraightThroughGumbel,
    SumAndSample,
    UnorderedSet,
    VarianceNormalized,
)
from reparam_suite.problems import BernoulliModel, CategoricalModel, GaussianModel

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
    lambda: ReinMaxRao(),
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
CASES = [(make, problem) for make in MAKES for problem in PROBLEMS if make().fits(problem.q(problem.phi)) is None]
CASES += [
    (lambda: ScoreFunction(num_samples=3, baseline=LeaveOneOut()), BernoulliModel(bound=LogMeanExp())),
    (lambda: ScoreFunction(num_samples=3, baseline=OVIS()), BernoulliModel(bound=LogMeanExp())),
]


# These ask autograd for a gradient on the way, and so are no single graph.
IN_PARTS = [
    (lambda: ControlledPathwise(), GaussianModel()),
    (lambda: DoubleCV(), BernoulliModel()),
    (lambda: MuProp(), BernoulliModel()),
    (lambda: REBAR(), BernoulliModel()),
    (lambda: REBAR(), CategoricalModel()),
    (lambda: RELAX(), BernoulliModel()),
    (lambda: RODEO(), BernoulliModel()),
    (lambda: ScoreFunction(baseline=Learned()), BernoulliModel()),
    (lambda: StickTheLanding(), GaussianModel()),
]
INDUCTOR = [
    (lambda: DisARM(), BernoulliModel()),
    (lambda: GumbelSoftmax(), BernoulliModel()),
    (lambda: Pathwise(), GaussianModel()),
    (lambda: ScoreFunction(num_samples=2, baseline=LeaveOneOut()), CategoricalModel()),
]
# The backward pass is traced once for each class: it is the same for other problems.
FIRST = [next(case for case in CASES if type(case[0]()) is cls) for cls in {type(make()): None for make, _ in CASES}]
ROADS = {
    "one graph": ([case for case in CASES if case not in FIRST], {"backend": "eager", "fullgraph": True}),
    "with its backward pass": (FIRST, {"backend": "aot_eager", "fullgraph": True}),
    "in parts": (IN_PARTS, {"backend": "aot_eager"}),
    "inductor": (INDUCTOR, {"backend": "inductor", "fullgraph": True}),
}


def compare(estimator, problem, **options):
    """The gradients with respect to phi and theta of two steps with and without compilation at the same seed."""

    def step(phi, theta):
        return estimator(problem.expectation(phi, theta)).objective.sum()

    def parameters():
        return [given.expand(8, -1).clone().requires_grad_() for given in (problem.phi, problem.theta)]

    torch._dynamo.reset()
    step(*parameters())  # lazy layers get their shapes
    start = {name: value.clone() for name, value in estimator.state_dict().items()}
    results = []
    for run in (step, torch.compile(step, **options)):
        estimator.load_state_dict(start)
        torch.manual_seed(7)
        for _ in range(2):
            phi, theta = parameters()
            results.append(torch.cat(torch.autograd.grad(run(phi, theta), (phi, theta)), -1))
    torch.testing.assert_close(results[2:], results[:2])
    assert torch.equal(*results[:2]) == isinstance(estimator, Enumeration | Quadrature)


def compare_all() -> None:
    torch._inductor.config.fallback_random = True  # or inductor draws other numbers than eager does
    for road, (cases, options) in ROADS.items():
        for make, problem in cases:
            compare(make().double(), problem, **options)
            print(road, type(make()).__name__, problem)


@pytest.mark.slow
def test_compiled_estimators_give_the_same_gradients(tmp_path):
    life = Life.of(compare_all, directory=tmp_path)
    assert life.end() == 0, life.told()
    assert len(life.out.read_text().splitlines()) == sum(len(cases) for cases, _ in ROADS.values())


def test_every_estimator_is_compiled():
    compiled = {type(make()) for make, _ in [*CASES, *IN_PARTS]}
    assert compiled == concrete_subclasses(GradientEstimator)
