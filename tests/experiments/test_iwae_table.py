"""The sweeps of the importance-weighted autoencoder have the published schedule and stand beside its figures."""

import pytest
import yaml
from experiments.iwae_table import PUBLISHED, SHORTENING, STEPS, TABLE, main, results_of, shortening, table
from tests.launching import as_it_was

from reparam_suite.sweeps.command import command
from reparam_suite.sweeps.ledger import Ledger

BOUND, ELBO = "test/bound_5000_from_2000", "test/elbo"


@pytest.fixture(scope="module", params=[TABLE, SHORTENING], ids=lambda path: path.stem)
def cells(request):
    with as_it_was():
        settings = command(["--config", str(request.param), "--results.file", "results.csv"]).settings
        return settings, settings.combinations.with_seeds(settings.seeds)


def test_stages_are_the_published_ones_divided_by_one_number(cells):
    settings, own = cells
    for cell in own:
        options = {**settings.options, **cell.values}
        optimizer = options["model.optimizer"]
        optimizer = yaml.safe_load(optimizer) if isinstance(optimizer, str) else optimizer
        stages = optimizer["schedule"]["init_args"]["stages"]
        divisor = STEPS // options["trainer.max_steps"]
        assert [steps for steps, _ in stages] == [3_000 * 3**stage // divisor for stage in range(8)]
        rates = [round(10 ** (1 - stage / 7), 1) / 10 for stage in range(8)]
        assert [rate for _, rate in stages] == pytest.approx(rates)
        assert sum(steps for steps, _ in stages) == options["trainer.max_steps"]


def test_every_published_figure_has_its_cell():
    with as_it_was():
        settings = command(["--config", str(TABLE), "--results.file", "results.csv"]).settings
    names = ("model.objective", "model.estimator.num_samples", "model.estimator")
    found = {tuple(cell.values[name] for name in names) for cell in settings.combinations.with_seeds([0])}
    assert {(*key, "Pathwise") for key in PUBLISHED} <= found


def test_results_stand_beside_the_published_figures(tmp_path):
    write_results(TABLE, tmp_path / "iwae_table_seeds.csv", [(0, -100.0), (1, -101.0), (7, -99.0)])
    write_results(SHORTENING, tmp_path / "iwae_shortening_seeds.csv", [(1, -90.0)])
    with as_it_was():
        assert main(["--measured", str(tmp_path), "--output", str(tmp_path / "table.md")]) == 0
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[2] == "| VAE | 1 | -100.50 ± 0.71 | -86.76 | -105.50 ± 0.71 | 2 |"
    assert lines[3] == "| IWAE | 5 | -99.00 | -85.54 | -104.00 | 1 |"
    assert lines[-2:] == ["| 300 | 32,800 | -90.00 | -95.00 |", "| 1, published | 9,840,000 | -86.76 |  |"]


def write_results(file, seeds, values):
    """Results of the cells at these positions, in a file of results."""
    with as_it_was():
        settings = command(["--config", str(file), "--results.file", str(seeds)]).settings
    cells = settings.combinations.with_seeds(settings.seeds)
    ledger = Ledger(seeds, settings.results.metrics)
    ledger.add([(cells[position], {BOUND: value, ELBO: value - 5.0}) for position, value in values])


def test_without_results_there_is_no_row(tmp_path):
    with as_it_was():
        assert results_of(TABLE, tmp_path / "none.csv") == []
    assert table([]).count("\n") == 2
    assert shortening([]).count("\n") == 3
