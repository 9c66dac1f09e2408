"""What of two runs is compared, and how a difference is told."""

import copy

import pytest
import torch

from reparam_suite.running.verification import compared_states, nondeterministic_operations

STATE = {
    "state_dict": {"a": torch.ones(2)},
    "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(2)}}}],
    "callbacks": {"Checkpoints": {"random": [{"torch": torch.arange(3)}]}, "Mine": {"n": 1, "seconds": 3.0}},
    "Digits": {"epoch": 1, "batch": 2},
    "reparam_suite": {"run_id": "x"},
}


def changed(*path, to):
    state = copy.deepcopy(STATE)
    inner = state
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return state


def differences(state):
    return {found.what: found.difference for found in compared_states(STATE, state) if found.difference is not None}


def test_the_same_state_is_identical():
    assert differences(copy.deepcopy(STATE)) == {}
    assert [found.what for found in compared_states(STATE, STATE)] == [
        *("parameters", "optimizer", "random streams", "batches", "callbacks")
    ]


@pytest.mark.parametrize(
    ("path", "to", "told"),
    [
        (("state_dict", "a"), torch.tensor([1.0, 1.25]), {"parameters": "state_dict a by 0.25 at most"}),
        (("optimizer_states", 0, "state", 0, "exp_avg"), torch.zeros(3), {"optimizer": "shapes [2] and [3]"}),
        (("callbacks", "Checkpoints", "random", 0, "torch"), torch.zeros(3).long(), {"random streams": "by 2 at most"}),
        (("Digits", "batch"), 3, {"batches": "Digits batch by 2 and 3"}),
        (("callbacks", "Mine", "n"), 2, {"callbacks": "by 1 and 2"}),
    ],
)
def test_a_difference_is_told_by_kind_name_and_size(path, to, told):
    found = differences(changed(*path, to=to))
    assert found.keys() == told.keys()
    assert all(text in found[what] for what, text in told.items())


def test_clocks_may_differ():
    assert differences(changed("callbacks", "Mine", "seconds", to=4.0)) == {}


def test_what_is_missing_is_told():
    state = copy.deepcopy(STATE)
    del state["state_dict"]["a"]
    assert differences(state) == {"parameters": "state_dict a is only in the run that was not stopped"}


def test_operations_are_named_once():
    warned = ["scatter_add does not have a deterministic implementation, but you set ...", "another warning"] * 2
    assert nondeterministic_operations(warned) == ["scatter_add"]
