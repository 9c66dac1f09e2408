"""Objectives: how a model and a batch become the expectation whose gradient is wanted."""

from reparam_suite.objectives.elbo import ELBO, KL
from reparam_suite.objectives.importance_weighted import ImportanceWeighted
from reparam_suite.objectives.objective import LatentVariableModel, Objective, context_of

__all__ = ["ELBO", "KL", "ImportanceWeighted", "LatentVariableModel", "Objective", "context_of"]
