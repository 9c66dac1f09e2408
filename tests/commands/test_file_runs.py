"""Runs of a budget of evaluations."""

from functools import partial

import torch
from tests.running.models import gaussian

from reparam_suite import Run
from reparam_suite.commands.file_runs import num_steps
from reparam_suite.data import Loaders

X = torch.rand(20, 64).round()


def test_the_number_of_steps_needs_no_validation_split():
    run = Run(gaussian, partial(Loaders, train=[X], valid=[]))
    assert num_steps(run, 7) == 7 // gaussian().estimator.num_samples
