"""The runs under conf/ train as they did: a change of numerics is seen the day it comes."""

import json
from pathlib import Path

import pytest
from tests.golden.curves import CONF, NUM_STEPS, curve, embedded

KEPT: dict[str, list[float]] = json.loads((Path(__file__).parent / "curves.json").read_text(encoding="utf-8"))
RENEW = "if that is meant, `make golden` renews the numbers, and CHANGELOG says what changed"


@pytest.mark.parametrize("file", embedded(), ids=lambda file: file.stem)
def test_the_objective_is_that_of_before(file):
    assert file.stem in KEPT, f"{file.name} is new: `make golden` writes its numbers"
    assert curve(file) == pytest.approx(KEPT[file.stem], rel=1e-6), RENEW


def test_only_files_that_exist_have_numbers():
    assert sorted(KEPT) == [file.stem for file in embedded()]
    assert all(len(values) == NUM_STEPS for values in KEPT.values())


def test_a_small_change_is_seen():
    changed = curve(CONF / "gaussian_vae.yaml", "--model.learning_rate=0.001001")
    assert changed != pytest.approx(KEPT["gaussian_vae"], rel=1e-6)
