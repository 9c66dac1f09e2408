"""The table at the end of runs: test first, the best validation with its step, the spread over seeds."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from reparam_suite.commands.table import results_table

METRICS = {
    "val/elbo": -27.6,
    "val/elbo_best": -27.5,
    "val/elbo_best_step": 1200.0,
    "test/elbo": -27.25,
    "test/kl": 0.5,
    "test/bits_per_dim": 5.83687,
    "test/bound_100": -27.0,
    "test/bound_5000_from_400": -26.5,
    "test/bound_5000_from_400_standard_error": 0.1,
    "time/ms_per_step": 1.5,
    "time/compile_seconds": 12.34,
    "grad/encoder/variance": 0.25,
    "grad/encoder/data_variance": 0.5,
    "grad/encoder/work_normalized_variance": 0.75,
    "grad/loc/variance": 9.0,
}


def lines(*results: dict, width: int = 80) -> list[list[str]]:
    made = [
        SimpleNamespace(name="Pathwise-0-Digits", seed=seed, num_steps=2_000, metrics=metrics)
        for seed, metrics in enumerate(results)
    ]
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(results_table(made))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in text.splitlines()]


def test_the_test_comes_first_and_the_best_validation_has_its_step():
    title, _, heads, _, *rows, _ = lines(METRICS)
    assert title == ["Results (bounds in nats)"]
    assert heads == ["", "Pathwise-0-Digits"]
    assert rows == [
        ["test ELBO", "-27.25"],
        ["test bound, K = 100", "-27.00"],
        ["test bound, K = 5,000", "-26.50"],
        ["test KL", "0.50"],
        ["test bits per dimension", "5.837"],
        ["best validation ELBO", "-27.50"],
        ["at step", "1,200"],
        ["last validation ELBO", "-27.60"],
        ["ms per step", "1.50"],
        ["seconds of compilation", "12.3"],
        ["gradient variance, encoder", "0.25"],
        ["variance x ms, encoder", "0.75"],
        ["steps", "2,000"],
    ]


@pytest.mark.parametrize(
    ("number", "heads", "first"),
    [
        (3, ["", "seed 0", "seed 1", "seed 2", "mean", "std"], ["-27.00", "-28.00", "-29.00", "-28.00", "1"]),
        (5, ["", "mean", "std", "lowest", "highest"], ["-29.00", "1.6", "-31.00", "-27.00"]),
    ],
)
def test_several_runs_have_mean_and_standard_deviation(number, heads, first):
    results = [METRICS | {"test/elbo": -27.0 - seed} for seed in range(number)]
    table = lines(*results)
    assert table[2] == heads
    assert table[4] == ["test ELBO", *first]


def test_values_that_are_no_bound_are_shown_by_their_names():
    table = lines({"val/loss": 0.5, "val/loss_best": 0.25, "val/loss_best_step": 7.0, "test/loss": 1e9})
    assert table[4:-1] == [
        ["test/loss", "1e+09"],
        ["val/loss", "0.5"],
        ["best val/loss", "0.25"],
        ["at step", "7"],
        ["steps", "2,000"],
    ]
