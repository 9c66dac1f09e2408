"""Models and estimators of the tests of comparisons, and options that make a comparison quick."""

import json
from pathlib import Path

from tests.launching import Ended

from reparam_suite.estimators import LeaveOneOut, ScoreFunction

SIZES = {"event_shape": (6,), "latent_size": 3, "hidden_sizes": (5,)}
RLOO = ScoreFunction(num_samples=4, baseline=LeaveOneOut())
RLOO_NAME = "ScoreFunction(num_samples=4, baseline=LeaveOneOut())"
COLUMNS = ["variance", "standard_error", "squared_norm", "snr", "cosine", "evaluations", "ms"]

SMALL = ("--model.latent_size", "6", "--model.hidden_sizes", "[10]", "--trainer.max_steps", "20")
QUICK = ("--repeats", "32", "--batches", "2", "--train_steps", "0")
NAMES = ["DisARM()", RLOO_NAME, "StraightThrough()"]


def written(ended: Ended) -> dict:
    """The numbers that a comparison has recorded."""
    return json.loads((ended.artifacts() / "gradients.json").read_text())


def best(ended: Ended) -> Path:
    """The checkpoint of a run."""
    return ended.artifacts() / "checkpoints" / "best.ckpt"
