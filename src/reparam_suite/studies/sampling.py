"""Samplers that draw the same values for a trial, whichever process draws them and however often a study is resumed."""

import hashlib
import random
from collections.abc import Iterator
from typing import Any, final

import numpy as np
import torch
from optuna.samplers import BaseSampler

_Generator = np.random.RandomState | np.random.Generator | random.Random | torch.Generator


@final
class TrialSeeds:
    """Seeds the random streams of a sampler for one trial after the other.

    A sampler with a seed of its own draws in a second process, and when its study is resumed, what it has drawn before:
    half of the trials are spent on points that are known. Here its streams depend on the trial's number.

    Args:
        sampler: in the state in which it was made: with another seed of its own it draws other values.
        seed: of the study; None: the sampler draws from the system's entropy.
    """

    def __init__(self, sampler: BaseSampler, seed: int | None) -> None:
        self._sampler = sampler
        self._seed = seed
        if seed is None:
            sampler.reseed_rng()
        self._first_states = [_digest(stream) for stream in _streams(sampler)] if seed is not None else []

    def set_for(self, trial: int) -> None:
        """Seeds the sampler for the trial of this number."""
        if self._seed is None:
            return
        for position, (stream, first_state) in enumerate(zip(_streams(self._sampler), self._first_states, strict=True)):
            _seed(stream, np.random.SeedSequence((self._seed, trial, position, first_state)))


def _streams(owner: Any, seen: set[int] | None = None) -> Iterator[_Generator]:
    # Optuna's samplers keep them, and other samplers that have some, as attributes; so do those of users.
    seen = set() if seen is None else seen
    if id(owner) in seen:
        return
    seen.add(id(owner))
    if isinstance(owner, _Generator):
        yield owner
        return
    if type(owner).__name__ == "LazyRandomState":
        yield owner.rng  # made when it is first asked for
        return
    if not (isinstance(owner, BaseSampler) or type(owner).__module__.startswith("optuna.samplers")):
        return
    for value in getattr(owner, "__dict__", {}).values():
        yield from _streams(value, seen)


def _digest(stream: _Generator) -> int:
    if isinstance(stream, np.random.Generator):
        state: Any = stream.bit_generator.state
    elif isinstance(stream, np.random.RandomState):
        state = [np.asarray(part).tolist() for part in stream.get_state(legacy=True)]
    elif isinstance(stream, random.Random):
        state = stream.getstate()
    else:
        state = stream.get_state().tolist()
    return int.from_bytes(hashlib.sha256(repr(state).encode()).digest()[:8], "big")


def _seed(stream: _Generator, sequence: np.random.SeedSequence) -> None:
    words = sequence.generate_state(8)
    if isinstance(stream, np.random.RandomState):
        stream.seed(words)
    elif isinstance(stream, np.random.Generator):
        stream.bit_generator.state = type(stream.bit_generator)(sequence).state
    elif isinstance(stream, random.Random):
        stream.seed(words.tobytes())
    else:
        stream.manual_seed(int(words[0]))
