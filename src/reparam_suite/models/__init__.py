"""LightningModules: any model with a gradient estimator, a VAE of parts, and two VAEs made from sizes and options."""

from reparam_suite.models.discrete_vae import DiscreteVAE
from reparam_suite.models.estimator_module import EstimatorModule, measured_groups
from reparam_suite.models.gaussian_vae import GaussianVAE
from reparam_suite.models.held_out_bounds import held_out_bounds
from reparam_suite.models.layers import LayeredDistribution, LayeredPrior
from reparam_suite.models.optimizers import OptimizerSettings, PartedOptimizer
from reparam_suite.models.parts import CONTROL, child_groups
from reparam_suite.models.schedules import CosineSchedule, Schedule, StagedSchedule, StepSchedule
from reparam_suite.models.vae import VAE, datum_of

__all__ = [
    "CONTROL",
    "VAE",
    "CosineSchedule",
    "DiscreteVAE",
    "EstimatorModule",
    "GaussianVAE",
    "LayeredDistribution",
    "LayeredPrior",
    "OptimizerSettings",
    "PartedOptimizer",
    "Schedule",
    "StagedSchedule",
    "StepSchedule",
    "child_groups",
    "datum_of",
    "held_out_bounds",
    "measured_groups",
]
