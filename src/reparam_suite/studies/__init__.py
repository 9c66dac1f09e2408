"""Studies: Optuna searches the options of a run, on one shared study, with many workers.

The only package that imports Optuna and Ray.
"""
