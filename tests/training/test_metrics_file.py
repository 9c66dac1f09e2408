"""Metrics as a CSV file: every number once, in whatever state the disk and the file of before are."""

import logging
import math

from reparam_suite.training import Journal
from reparam_suite.training.metrics_file import MetricsFile


def filed(path) -> Journal:
    journal = Journal()
    journal.file = MetricsFile(path, journal.curves)
    return journal


def test_every_number_is_a_line(tmp_path):
    path = tmp_path / "new" / "metrics.csv"
    journal = filed(path)
    assert path.read_text() == "step,metric,value\n"
    journal.write({"train/elbo": -2.5, "train/kl": 1e-9}, 50)
    journal.write({"train/elbo": math.nan}, 100)
    assert path.read_text() == "step,metric,value\n50,train/elbo,-2.5\n50,train/kl,1e-09\n100,train/elbo,nan\n"


def test_a_run_that_resumes_has_no_step_twice(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,metric,value\n50,a,1.0\n100,a,2.0\n150,a,")  # killed after its checkpoint of step 50
    journal = Journal()
    journal.write({"a": 1.0}, 50)
    journal.file = MetricsFile(path, journal.curves)
    journal.write({"a": 2.0}, 100)
    assert path.read_text() == "step,metric,value\n50,a,1.0\n100,a,2.0\n"


def test_a_disk_that_takes_nothing_is_told_once_and_nothing_is_lost(tmp_path, caplog):
    directory = tmp_path / "there"
    directory.write_text("a file in the way")
    with caplog.at_level(logging.WARNING):
        journal = filed(directory / "metrics.csv")
        journal.write({"a": 1.0}, 1)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{directory}/metrics.csv cannot be written, the run continues without it: ")
    directory.unlink()
    journal.write({"a": 2.0}, 2)
    journal.write({"a": 3.0}, 3)
    assert (directory / "metrics.csv").read_text() == "step,metric,value\n1,a,1.0\n2,a,2.0\n3,a,3.0\n"
