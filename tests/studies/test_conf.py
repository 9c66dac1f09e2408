"""Each study under conf/studies is complete: its command line is accepted, with every end of its space."""

from pathlib import Path

import pytest
from tests.launching import as_it_was

from reparam_suite.studies.command import command

STUDIES = sorted((Path(__file__).parents[2] / "conf" / "studies").glob("*.yaml"))


@pytest.mark.parametrize("file", STUDIES, ids=lambda path: path.stem)
def test_it_is_accepted(file):
    with as_it_was():
        assert command(["--config", str(file)]).settings.name == file.stem


def test_there_are_studies():
    assert {"digits", "discrete", "pareto"} <= {file.stem for file in STUDIES}
