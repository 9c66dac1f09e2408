"""The contract table: which estimator is held against which problems, and where its bias must be seen.

One row an estimator and family. `biased_phi` and `biased_theta` say whether the declared bias shows in that block of
the gradient on these problems; an estimator that declares itself unbiased has neither.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch

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
    Baseline,
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
from reparam_suite.problems import (
    BernoulliModel,
    BetaModel,
    CategoricalModel,
    DirichletModel,
    FullGaussianModel,
    GammaModel,
    GaussianModel,
    Problem,
    ToyGaussian,
    VonMisesModel,
    catalogue,
)

NORMAL, FULL_NORMAL, IMPLICIT, BERNOULLI, CATEGORICAL = (
    [make() for make in family]
    for family in (
        catalogue.NORMAL,
        catalogue.FULL_NORMAL,
        catalogue.IMPLICIT,
        catalogue.BERNOULLI,
        catalogue.CATEGORICAL,
    )
)
GAUSSIAN_IW: list[Problem] = [
    GaussianModel(bound=LogMeanExp(), num_samples=2),
    FullGaussianModel(bound=LogMeanExp(), num_samples=2),
]
VON_MISES_IW = VonMisesModel(bound=LogMeanExp(), num_samples=2)
DISCRETE_IW: list[Problem] = [
    BernoulliModel(bound=LogMeanExp(), num_samples=3),
    CategoricalModel(bound=LogMeanExp(), num_samples=2),
]


@dataclass(frozen=True)
class Row:
    """An estimator and the problems of one sort; K of the estimator is that of a multi-sample problem."""

    make: Callable[[], GradientEstimator]
    problems: list[Problem]
    biased_phi: bool = False
    biased_theta: bool = False


@dataclass(frozen=True)
class Case:
    """One estimator on one problem."""

    row: Row
    problem: Problem

    @property
    def estimator(self) -> GradientEstimator:
        """A fresh estimator, in eval mode: its state stands still while independent gradients are drawn."""
        return self.row.make().double().eval()

    def __str__(self) -> str:
        estimator = self.row.make()
        baseline = getattr(estimator, "baseline", None)
        parts = [type(estimator).__name__, type(baseline).__name__ if baseline is not None else ""]
        return "-".join([part for part in parts if part] + [f"K{estimator.num_samples}", str(self.problem)])


def trained(estimator: GradientEstimator, problem: Problem, num_steps: int = 10) -> GradientEstimator:
    """The estimator after some steps on `problem`, so that what it remembers of the past is no longer 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        estimator.double().train()
        target = problem.expectation(problem.phi.expand(20, -1), problem.theta.expand(20, -1))
        for _ in range(num_steps):
            estimator(target)
    return estimator


def with_past(baseline: Baseline, num_samples: int, problem: Problem) -> Callable[[], GradientEstimator]:
    """A score function whose baseline remembers `problem`."""
    return lambda: trained(ScoreFunction(num_samples=num_samples, baseline=deepcopy(baseline)), problem)


ROWS = [
    Row(lambda: Pathwise(), NORMAL + FULL_NORMAL + IMPLICIT),
    Row(lambda: Pathwise(num_samples=3), [GaussianModel(), FullGaussianModel()]),
    Row(lambda: Pathwise(num_samples=2), [*GAUSSIAN_IW, VON_MISES_IW]),
    Row(lambda: StickTheLanding(), NORMAL + FULL_NORMAL + IMPLICIT),
    Row(lambda: StickTheLanding(num_samples=3), [GaussianModel(), FullGaussianModel()]),
    Row(lambda: StickTheLanding(num_samples=2), [*GAUSSIAN_IW, VON_MISES_IW]),
    Row(lambda: AntitheticPathwise(), NORMAL + FULL_NORMAL),
    Row(lambda: AntitheticPathwise(num_samples=4), [GaussianModel(), FullGaussianModel()]),
    Row(lambda: ControlledPathwise(), NORMAL),
    Row(lambda: ControlledPathwise(num_samples=3), [GaussianModel()]),
    Row(lambda: ScoreFunction(num_samples=16), NORMAL + FULL_NORMAL),
    Row(lambda: ScoreFunction(num_samples=16), BERNOULLI + CATEGORICAL),
    Row(lambda: ScoreFunction(num_samples=2), GAUSSIAN_IW[:1]),
    Row(lambda: ScoreFunction(num_samples=4, baseline=LeaveOneOut()), NORMAL + FULL_NORMAL + IMPLICIT),
    Row(lambda: ScoreFunction(num_samples=4, baseline=LeaveOneOut()), BERNOULLI + CATEGORICAL),
    Row(lambda: ScoreFunction(num_samples=2, baseline=LeaveOneOut()), [*GAUSSIAN_IW, DISCRETE_IW[1]]),
    Row(lambda: ScoreFunction(num_samples=3, baseline=LeaveOneOut()), DISCRETE_IW[:1]),
    Row(with_past(MovingAverage(), 4, BernoulliModel()), [GaussianModel(), *BERNOULLI, *CATEGORICAL]),
    Row(with_past(OptimalConstant(), 4, GaussianModel()), [GaussianModel(), FullGaussianModel()]),
    Row(with_past(OptimalConstant(), 4, BernoulliModel()), [BernoulliModel(), CategoricalModel()]),
    Row(with_past(VarianceNormalized(baseline=MovingAverage()), 4, ToyGaussian()), BERNOULLI, biased_phi=True),
    Row(with_past(VarianceNormalized(baseline=LeaveOneOut()), 2, ToyGaussian()), GAUSSIAN_IW[:1], biased_phi=True),
    Row(lambda: ScoreFunction(num_samples=2, baseline=OVIS()), [*GAUSSIAN_IW, DISCRETE_IW[1]]),
    Row(lambda: ScoreFunction(num_samples=3, baseline=OVIS()), DISCRETE_IW[:1]),
    Row(lambda: MuProp(num_samples=4), NORMAL + FULL_NORMAL),
    Row(lambda: MuProp(num_samples=4), BERNOULLI + CATEGORICAL),
    Row(lambda: MuProp(num_samples=4), [GammaModel(), BetaModel(), DirichletModel()]),
    Row(lambda: MuProp(num_samples=4, baseline=LeaveOneOut()), [GaussianModel(), BernoulliModel(), CategoricalModel()]),
    Row(lambda: ScoreFunction(num_samples=4, baseline=Learned()), [GaussianModel(), *BERNOULLI, *CATEGORICAL]),
    Row(lambda: Enumeration(), BERNOULLI + CATEGORICAL),
    Row(lambda: Enumeration(num_samples=3), DISCRETE_IW[:1]),
    Row(lambda: Enumeration(num_samples=2), DISCRETE_IW[1:]),
    Row(lambda: ARM(num_samples=4), BERNOULLI),
    Row(lambda: DisARM(), BERNOULLI),
    Row(lambda: DisARM(num_samples=4), BERNOULLI),
    Row(lambda: ARMS(), BERNOULLI),
    Row(lambda: ARMS(num_samples=3, copula=GaussianCopula()), BERNOULLI),
    Row(lambda: ARSM(), CATEGORICAL),
    Row(lambda: CARMS(), CATEGORICAL),
    Row(lambda: CARMS(num_samples=3, copula=GaussianCopula()), CATEGORICAL),
    Row(lambda: BitFlip(), BERNOULLI),
    Row(lambda: UGC(threshold=0.25), BERNOULLI),
    Row(lambda: LocalExpectation(chunk_size=2), BERNOULLI + CATEGORICAL),
    Row(lambda: MeasureValued(num_samples=2, chunk_size=2), NORMAL + BERNOULLI),
    Row(lambda: CoupledMeasureValued(), NORMAL + BERNOULLI),
    Row(lambda: UnorderedSet(), BERNOULLI + CATEGORICAL),
    Row(lambda: UnorderedSet(num_samples=2), [BernoulliModel(), CategoricalModel()]),
    Row(lambda: SumAndSample(), BERNOULLI + CATEGORICAL),
    Row(lambda: SumAndSample(num_samples=3, num_summed=1), [BernoulliModel(), CategoricalModel()]),
    Row(lambda: Quadrature(num_nodes=14), [*NORMAL, FullGaussianModel()]),
    Row(lambda: REBAR(num_samples=4, temperature=0.5), BERNOULLI + CATEGORICAL),
    Row(lambda: REBAR(num_samples=2, strength=0.6), BERNOULLI + CATEGORICAL),
    Row(lambda: RELAX(num_samples=4, temperature=0.5), BERNOULLI + CATEGORICAL),
    Row(lambda: DoubleCV(strength=0.5), BERNOULLI),
    Row(lambda: DoubleCV(num_samples=4), BERNOULLI),
    Row(lambda: RODEO(), BERNOULLI),
    Row(lambda: RODEO(num_samples=4, strength=1.0), BERNOULLI),
    Row(lambda: DARN(), BERNOULLI + CATEGORICAL[:1], biased_phi=True),
    Row(lambda: DARN(num_samples=32), CATEGORICAL[1:], biased_phi=True),
    Row(lambda: DecoupledGumbel(), BERNOULLI + CATEGORICAL, biased_phi=True, biased_theta=True),
    Row(lambda: GappedStraightThrough(), BERNOULLI + CATEGORICAL, biased_phi=True),
    Row(lambda: GumbelRao(), BERNOULLI, biased_phi=True),
    Row(lambda: GumbelRao(num_conditional=2, temperature=1.0), CATEGORICAL, biased_phi=True),
    Row(lambda: GumbelSoftmax(), BERNOULLI + CATEGORICAL, biased_phi=True, biased_theta=True),
    Row(lambda: GumbelSoftmax(num_samples=2, temperature=ExponentialDecay()), BERNOULLI, True, True),
    Row(lambda: ReinMax(), BERNOULLI + CATEGORICAL[:1], biased_phi=True),
    Row(lambda: ReinMax(num_samples=32), CATEGORICAL[1:], biased_phi=True),
    Row(lambda: ReinMax(num_samples=2, temperature=1.5), BERNOULLI + CATEGORICAL[1:], biased_phi=True),
    Row(lambda: ReinMaxRao(), BERNOULLI, biased_phi=True),
    Row(lambda: ReinMaxRao(num_conditional=2), CATEGORICAL, biased_phi=True),
    Row(lambda: StraightThrough(), BERNOULLI + CATEGORICAL, biased_phi=True),
    Row(lambda: StraightThroughGumbel(), BERNOULLI, biased_phi=True),
    Row(lambda: StraightThroughGumbel(temperature=1.0), CATEGORICAL, biased_phi=True),
]


def cases() -> Iterator[Case]:
    """Every estimator on every one of its problems."""
    for row in ROWS:
        for problem in row.problems:
            yield Case(row, problem)


CASES = list(cases())
