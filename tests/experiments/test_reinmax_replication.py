"""The sweep's file has the published settings, and its results stand beside the published ones."""

import csv

import pytest
from experiments.reinmax_replication import FILE, OUTPUT, PUBLISHED, cells_of, epoch_of, main, rows, write
from tests.launching import as_it_was

from reparam_suite.sweeps.command import command
from reparam_suite.sweeps.ledger import Ledger


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    seeds = tmp_path_factory.mktemp("seeds") / "seeds.csv"
    with as_it_was():
        return command(["--config", str(FILE), "--results.file", str(seeds)])


def first(asked, method, seeds=3):
    return [cell for cell in cells_of(asked) if cell.values["model.estimator"] == method][:seeds]


def test_every_published_cell_is_in_the_file_with_three_seeds(asked):
    cells = cells_of(asked)
    keys = [
        tuple(cell.values[name] for name in ("model.posterior.num_classes", "model.latent_size", "model.estimator"))
        for cell in cells
    ]
    assert len(cells) == 108
    assert set(PUBLISHED) <= set(keys)
    assert {keys.count(key) for key in keys} == {3}
    assert [epoch_of(name) for name in asked.settings.results.metrics] == [10, 40, 160]


def test_ours_stands_beside_theirs_with_the_verdict(asked, tmp_path):
    at_10, at_40 = "train/elbo@6000", "train/elbo@24000"
    known = {cell.key: {at_10: -139.0 - seed} for seed, cell in enumerate(first(asked, "ReinMax"))}
    known |= {cell.key: {at_10: -142.0, at_40: -120.0 - seed} for seed, cell in enumerate(first(asked, "GumbelRao", 2))}
    known |= {cell.key: {at_10: -140.6, at_40: -134.2} for cell in first(asked, "GappedStraightThrough", 1)}
    values = zip(first(asked, "StraightThrough"), [-137.0, -138.0, -214.0], strict=True)
    known |= {cell.key: {at_40: value} for cell, value in values}
    found = list(rows(cells_of(asked), known))
    write(found, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        lines = [list(row.values()) for row in csv.DictReader(file)]
    assert lines == [
        ["8", "4", "GumbelRao", "10", "142.0", "0.0", "2", "142.0", "138.08", "0.47", "differs"],
        ["8", "4", "GumbelRao", "40", "120.5", "0.71", "2", "120.5", "130.13", "0.45", "differs"],
        ["8", "4", "ReinMax", "10", "140.0", "1.0", "3", "140.0", "139.83", "0.59", "agrees"],
        # A single run at 2.4 and at more than 2.83 of their deviations; then one that collapsed.
        ["8", "4", "GappedStraightThrough", "10", "140.6", "", "1", "140.6", "139.24", "0.57", "agrees"],
        ["8", "4", "GappedStraightThrough", "40", "134.2", "", "1", "134.2", "132.11", "0.67", "differs"],
        ["8", "4", "StraightThrough", "40", "163.0", "44.17", "3", "138.0", "137.72", "1.33", "median agrees"],
    ]


def test_without_a_record_the_file_of_results_is_summarised(asked, tmp_path, capsys):
    seeds, output = tmp_path / "seeds.csv", tmp_path / "table.csv"
    (cell,) = first(asked, "ReinMax", 1)
    Ledger(seeds, asked.settings.results.metrics).add([(cell, {"train/elbo@6000": -139.5})])
    with as_it_was():
        assert main(["--root", str(tmp_path / "mlruns"), "--seeds", str(seeds), "--output", str(output)]) == 0
    assert output.read_text().splitlines()[1] == "8,4,ReinMax,10,139.5,,1,139.5,139.83,0.59,agrees"
    assert "139.50" in capsys.readouterr().out
    assert not (tmp_path / "mlruns").exists()


def test_without_an_option_the_means_go_to_the_build_folder():
    assert OUTPUT.parts[0] == "build"
