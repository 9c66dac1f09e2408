"""Gradient estimators for latent-variable models: train, measure, compare."""
