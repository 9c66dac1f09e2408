"""A run that resumes, compared with its record before anything has changed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reparam_suite.running import resumed as module
from reparam_suite.running.resumed import Resumed, check_resumption, refusal
from reparam_suite.running.resumption import Resumption
from reparam_suite.runtime.errors import UsageError
from reparam_suite.training import CheckpointError, ProcessLost

RECORDED = {"seed": 0, "name": "a", "model": {"rate": 0.1, "size": 3}, "trainer": {"max_steps": 5, "clip": None}}


def resumption(**given: Any) -> Resumption:
    parts = {
        "recorded": RECORDED,
        "checkpoint": None,
        "content": {},
        "finished": False,
        "allow_changes": False,
        "notes": (),
    }
    return Resumption(run_id="its id", **(parts | given))


def checked(monkeypatch, present: dict[str, Any], asked: Resumption, digest: str | None = "1a2b") -> list[str]:
    """The lines that the user is told about a run without a checkpoint."""
    monkeypatch.setattr(module, "configuration", lambda parts: present)
    data = SimpleNamespace(name="rows", digest=digest, resumes="epoch")
    told: list[str] = []
    parts: Any = SimpleNamespace(run=SimpleNamespace(resumption=asked), data=data)
    assert check_resumption(parts, asked, told.append) == Resumed()
    return told


def test_options_that_differ_are_told_with_both_values(monkeypatch):
    present = {"seed": 0, "name": "b", "model": {"rate": 0.2, "kind": "x"}, "trainer": {"max_steps": 9, "clip": None}}
    told = ["--model.rate was 0.1, is 0.2", "--model.size was 3, is not given", "--model.kind was not given, is x"]
    assert checked(monkeypatch, present, resumption(allow_changes=True, notes=("first",))) == ["first", *told]
    with pytest.raises(UsageError) as refused:
        checked(monkeypatch, present, resumption())
    assert str(refused.value) == (
        f"run its id had other options: {'; '.join(told)}. Leave them out, or resume all the same with "
        "--allow_changes true"
    )


def test_how_far_a_run_goes_and_what_it_is_called_are_no_changes(monkeypatch):
    present = RECORDED | {"name": "b", "tags": {"a": "b"}, "trainer": {"max_steps": 9, "max_epochs": 2, "clip": None}}
    assert checked(monkeypatch, present, resumption()) == []


def test_data_without_a_digest_are_said_to_be_unknown(monkeypatch):
    assert checked(monkeypatch, RECORDED, resumption(), digest=None) == [
        "rows has no digest: whether the data are the same as before is not known"
    ]


def test_an_error_of_loading_a_state_is_a_refusal_and_others_are_their_own():
    asked = resumption(checkpoint=Path("a/last.ckpt"))
    found = refusal(asked, KeyError("wait\ncount"))
    assert isinstance(found, UsageError)
    assert str(found) == (
        r"resume: a/last.ckpt cannot be resumed under these options: 'wait\ncount'; the run is as it was"
    )
    own = [UsageError("x"), CheckpointError("x"), ProcessLost("x"), KeyboardInterrupt(), SystemExit()]
    assert [refusal(asked, error) for error in own] == [None] * len(own)
    assert refusal(None, KeyError("x")) is None
