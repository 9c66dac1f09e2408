"""The table of finished runs: its lines, and how values are shown."""

from types import SimpleNamespace

import pytest
from rich.console import Console

from reparam_suite.commands.table import results_table


def result(seed: int, **metrics: float) -> SimpleNamespace:
    return SimpleNamespace(metrics=metrics, seed=seed, num_steps=1_200, name="a run")


def lines(*results: SimpleNamespace) -> dict[str, list[str]]:
    console = Console(width=120, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(results_table(results))
    rows = [[cell.strip() for cell in line.strip("│┃ ").split("│")] for line in captured.get().splitlines()]
    return {name: values for name, *values in rows if values}


def test_quantities_of_a_vae_and_of_its_parts():
    metrics = {"test/elbo": -90.126, "test/bound_5000": -88.0, "test/bound_200_from_50": -89.0}
    metrics |= {"grad/encoder/data_variance": 1.0, "grad/encoder/variance": 0.12345, "grad/logits/variance": 9.0}
    shown = lines(result(0, **metrics))
    assert shown["steps"] == ["1,200"]
    assert shown["test ELBO"] == ["-90.13"]
    assert shown["test bound, K = 5,000"] == ["-88.00"]
    assert shown["test bound, K = 200"] == ["-89.00"]
    assert shown["gradient variance, encoder"] == ["0.123"]
    assert not [name for name in shown if "logits" in name]


def test_a_seed_a_column_and_a_dash_for_what_a_run_does_not_have():
    shown = lines(result(0, **{"test/elbo": -1.0, "val/elbo": -2.0}), result(1, **{"val/elbo": -3.0}))
    assert shown["test ELBO"] == ["-1.00", "-"]
    assert shown["validation ELBO"] == ["-2.00", "-3.00"]


@pytest.mark.parametrize(("value", "text"), [(1.5, "1.50"), (2e30, "2e+30"), (-3.21e7, "-3.21e+07")])
def test_large_values_are_short(value, text):
    assert lines(result(0, **{"test/elbo": value}))["test ELBO"] == [text]


def test_a_model_without_an_elbo_has_its_own_metrics():
    assert lines(result(0, **{"val/loss": 0.123456, "train/loss": 1.0})) == {"steps": ["1,200"], "val/loss": ["0.1235"]}
