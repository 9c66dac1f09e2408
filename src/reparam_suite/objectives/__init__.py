"""Objectives: how a model and a batch become the expectation whose gradient is wanted."""

from reparam_suite.objectives.elbo import (
    KL,
    LatentVariableModel,
    Layers,
    divergence,
    evidence,
    held_out_bounds,
    sampled_log_prior,
)

__all__ = ["KL", "LatentVariableModel", "Layers", "divergence", "evidence", "held_out_bounds", "sampled_log_prior"]
