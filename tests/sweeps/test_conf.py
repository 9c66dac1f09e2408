"""Each sweep under conf/sweeps is complete: its command line is accepted. The longest is made run by run elsewhere."""

from pathlib import Path

import pytest
from tests.launching import as_it_was

from reparam_suite.commands.options import Options
from reparam_suite.sweeps.command import command
from reparam_suite.tracking import TrackingSettings

SWEEPS = sorted((Path(__file__).parents[2] / "conf" / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("file", SWEEPS, ids=lambda path: path.stem)
def test_it_is_accepted_and_its_first_and_last_runs_have_options_that_exist(file):
    with as_it_was():
        settings = command(["--config", str(file)]).settings
        cells = settings.combinations.with_seeds(settings.seeds)
        for cell in (cells[0], cells[-1]):
            Options.of(settings.runs(TrackingSettings()).arguments(cell.values, cell.seed))


def test_there_are_sweeps():
    assert {"digits", "reinmax_replication", "iwae_table"} <= {file.stem for file in SWEEPS}
