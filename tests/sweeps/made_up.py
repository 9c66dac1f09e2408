"""The frame of a sweep that was never trained."""

import math

import pandas as pd

from reparam_suite.sweeps.result import SweepResult

# The rate that is best in validation is not the one that is best in the test.
VALID = {
    ("A_1", 0.1): [1.0, 2.0, 3.0],
    ("A_1", 0.2): [2.0, 3.0, 4.0],
    ("B", 0.1): [5.0, 5.0, 5.0],
    ("B", 0.2): [0.0, 0.0, 9.0],
}


TEST = {
    ("A_1", 0.1): [9.0, 9.0, 9.0],
    ("A_1", 0.2): [-1.0, 0.0, 1.0],
    ("B", 0.1): [2.0, 4.0, 6.0],
    ("B", 0.2): [7.0, 7.0, 7.0],
}


def result(failed=()):
    rows = []
    for (estimator, rate), values in VALID.items():
        for seed, valid in enumerate(values):
            bad = (estimator, rate, seed) in failed
            rows.append(
                {
                    "estimator": estimator,
                    "rate": rate,
                    "seed": seed,
                    "run_id": f"{estimator}{rate}{seed}",
                    "status": "FAILED" if bad else "FINISHED",
                    "reason": "it broke" if bad else None,
                    "val/elbo_best": math.nan if bad else valid,
                    "test/elbo": math.nan if bad else TEST[estimator, rate][seed],
                    "grad/encoder/variance": math.nan if bad else 10.0 * (1 + seed) * rate,
                }
            )
    return SweepResult(frame=pd.DataFrame(rows), trained=0, _arguments=("estimator", "rate"))


def chosen(**changes):
    given = {
        "rows": "estimator",
        "select": "val/elbo_best",
        "over": "rate",
        "columns": ["test/elbo", "grad/encoder/variance"],
    }
    return result(changes.pop("failed", ())).table(**given | changes)
