"""Samplers whose draws depend on the number of the trial and not on the process that draws."""

import random

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

from reparam_suite.studies.sampling import TrialSeeds


class OwnSampler(BaseSampler):
    """A user's sampler, with streams of every kind."""

    def __init__(self, seed=None):
        self.streams = np.random.default_rng(seed)
        self.further = random.Random(seed)
        self.inner = RandomSampler(seed=seed)

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, name, distribution):
        inner = self.inner.sample_independent(study, trial, name, distribution)
        return (self.streams.uniform() + self.further.uniform(0, 1) + inner) / 3


def drawn(sampler, seed, trial):
    """The value of a trial in a process that has drawn for no other."""
    seeds = TrialSeeds(sampler, seed)
    study = optuna.create_study(sampler=sampler)
    seeds.set_for(trial)
    return study.ask().suggest_float("a", 0.0, 1.0)


@pytest.mark.parametrize("make", [RandomSampler, TPESampler, NSGAIISampler, OwnSampler])
def test_a_trial_has_the_same_draws_in_every_process_and_no_two_trials_have(make):
    values = [drawn(make(seed=5), 3, trial) for trial in range(8)]
    assert values == [drawn(make(seed=5), 3, trial) for trial in range(8)]
    assert len(set(values)) == 8


def test_the_seeds_of_the_study_and_of_the_sampler_both_count():
    assert len({drawn(RandomSampler(seed=own), seed, 0) for own in range(3) for seed in range(3)}) == 9


def test_without_a_seed_no_two_processes_draw_the_same():
    assert len({drawn(RandomSampler(seed=5), None, 0) for _ in range(4)}) == 4


def test_earlier_draws_change_nothing():
    sampler = RandomSampler(seed=1)
    seeds, study = TrialSeeds(sampler, 0), optuna.create_study(sampler=sampler)
    for trial in range(3):
        seeds.set_for(trial)
        last = study.ask().suggest_float("a", 0.0, 1.0)
    assert last == drawn(RandomSampler(seed=1), 0, 2)
