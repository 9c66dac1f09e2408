"""Surroundings of a computation: random streams, processes, errors."""
