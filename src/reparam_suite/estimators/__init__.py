"""Gradient estimators for E_q[f(z)]: one contract, one family of estimators per file."""

from reparam_suite.estimators.antithetic import ARM, DisARM
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, Integrand, carry, only_through
from reparam_suite.estimators.baselines import (
    OVIS,
    Baseline,
    Learned,
    LeaveOneOut,
    MovingAverage,
    NoBaseline,
    OptimalConstant,
    VarianceNormalized,
)
from reparam_suite.estimators.bounds import Average, Bound, LogMeanExp
from reparam_suite.estimators.control_variates import REBAR, RELAX
from reparam_suite.estimators.copulas import Copula, DirichletCopula, GaussianCopula
from reparam_suite.estimators.coupled import ARMS, CARMS
from reparam_suite.estimators.double_cv import RODEO, DoubleCV
from reparam_suite.estimators.exact import Enumeration, Quadrature
from reparam_suite.estimators.gapped import GappedStraightThrough
from reparam_suite.estimators.gaussian_cv import AntitheticPathwise, ControlledPathwise
from reparam_suite.estimators.gumbel_rao import GumbelRao
from reparam_suite.estimators.local import UGC, BitFlip, LocalExpectation
from reparam_suite.estimators.measure_valued import CoupledMeasureValued, MeasureValued
from reparam_suite.estimators.pathwise import Pathwise, StickTheLanding
from reparam_suite.estimators.reinmax_rao import ReinMaxRao
from reparam_suite.estimators.relaxation import (
    DecoupledGumbel,
    GumbelSoftmax,
    StraightThroughGumbel,
)
from reparam_suite.estimators.score_function import MuProp, ScoreFunction
from reparam_suite.estimators.straight_through import DARN, ReinMax, StraightThrough
from reparam_suite.estimators.swaps import ARSM
from reparam_suite.estimators.temperature import ExponentialDecay, LinearDecay, TemperatureSchedule
from reparam_suite.estimators.without_replacement import SumAndSample, UnorderedSet

__all__ = [
    "ARM",
    "ARMS",
    "ARSM",
    "CARMS",
    "DARN",
    "OVIS",
    "REBAR",
    "RELAX",
    "RODEO",
    "UGC",
    "AntitheticPathwise",
    "Average",
    "Baseline",
    "BitFlip",
    "Bound",
    "ControlledPathwise",
    "Copula",
    "CoupledMeasureValued",
    "DecoupledGumbel",
    "DirichletCopula",
    "DisARM",
    "DoubleCV",
    "Enumeration",
    "Estimate",
    "Expectation",
    "ExponentialDecay",
    "GappedStraightThrough",
    "GaussianCopula",
    "GradientEstimator",
    "GumbelRao",
    "GumbelSoftmax",
    "Integrand",
    "Learned",
    "LeaveOneOut",
    "LinearDecay",
    "LocalExpectation",
    "LogMeanExp",
    "MeasureValued",
    "MovingAverage",
    "MuProp",
    "NoBaseline",
    "OptimalConstant",
    "Pathwise",
    "Quadrature",
    "ReinMax",
    "ReinMaxRao",
    "ScoreFunction",
    "StickTheLanding",
    "StraightThrough",
    "StraightThroughGumbel",
    "SumAndSample",
    "TemperatureSchedule",
    "UnorderedSet",
    "VarianceNormalized",
    "carry",
    "only_through",
]
