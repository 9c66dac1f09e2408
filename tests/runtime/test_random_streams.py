"""Random streams: fixed inside, and at the end as they were."""

import random

import numpy as np
import pytest
import torch

from reparam_suite.runtime.random_streams import (
    forked_everywhere,
    forked_generator,
    random_state,
    seed_everything,
    set_random_state,
    unchanged_streams,
)

CPU = torch.device("cpu")


def draws() -> list[float]:
    return [torch.rand(()).item(), float(np.random.rand()), random.random()]  # noqa: NPY002


@pytest.fixture(autouse=True)
def _restored():
    state = random_state()
    yield
    set_random_state(state)


def test_a_state_is_restored():
    state = random_state()
    first = draws()
    assert draws() != first
    set_random_state(state)
    assert draws() == first


def test_a_state_is_what_checkpoints_may_hold(tmp_path):
    state = random_state()
    first = draws()
    torch.save(state, tmp_path / "state.pt")
    set_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert draws() == first


@pytest.mark.parametrize("seed", [None, 3])
def test_streams_are_unchanged_even_where_an_error_is_raised(seed):
    state = random_state()
    expected = draws()
    set_random_state(state)
    inside = []

    def fail() -> None:
        with unchanged_streams(seed):
            inside.extend(draws())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (inside == expected) == (seed is None)
    assert draws() == expected


def test_streams_with_a_seed_are_the_same_each_time():
    found = []
    for _ in range(2):
        with unchanged_streams(3):
            found.append(draws())
    assert found[0] == found[1]
    seed_everything(3)
    assert draws() == found[0]


def test_a_forked_generator_is_restored_and_starts_from_its_seed():
    seed_everything(5)
    expected = torch.rand(3)
    seed_everything(5)
    with forked_generator(CPU, 7):
        first = torch.rand(3)
    with forked_everywhere():
        torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with forked_generator(CPU, 7):
        assert torch.equal(torch.rand(3), first)


def test_on_the_cpu_no_gpu_is_seeded(monkeypatch):
    def refuse(*args):
        raise AssertionError("a GPU was seeded")

    for name in ("manual_seed", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, refuse)
    with forked_generator(CPU, 7):
        first = torch.rand(3)
    assert torch.equal(first, torch.rand(3, generator=torch.Generator().manual_seed(7)))
