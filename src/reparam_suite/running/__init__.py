"""Finished and running trainings: Run, Result, resumption, load, runs."""
