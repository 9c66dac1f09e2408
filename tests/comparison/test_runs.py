"""`python -m reparam_suite.compare runs`: from runs on record to a table, a page and a record of its own."""

import csv
import errno
import io
import math
import os
import random
import re
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param

from reparam_suite import compare
from reparam_suite.tracking import Store, TrackingSettings

ESTIMATORS = {"Pathwise": -20.0, "ScoreFunction-LeaveOneOut": -23.0}
STEPS = range(0, 500, 50)


class Recorder:
    """Puts runs on record in a new store below `root`."""

    def __init__(self, root):
        self.root = root
        self.experiment_id = Store.open(TrackingSettings(root=root)).experiment_id
        self.client = MlflowClient(f"sqlite:///{root}/mlflow.db")
        self.noise = random.Random(0)

    def record(self, estimator, level, seed, dataset="Digits", status="FINISHED", digest="1a2b", **odd):
        """A run whose metrics are drawn about `level`; those in `odd` have that value throughout."""
        tags = {"estimator": estimator, "model": "GaussianVAE", "dataset": dataset, "objective": "ELBO()"}
        run_id = self.client.create_run(self.experiment_id, tags=tags, run_name=f"{estimator}-{seed}").info.run_id
        noise, end = self.noise, STEPS[-1]
        metrics = [
            Metric("test/elbo", level + noise.gauss(0, 0.05), 0, end),
            Metric("test/bound_100", level + 1 + noise.gauss(0, 0.05), 0, end),
            Metric("time/ms_per_step", 2 + noise.random(), 0, end),
            Metric("grad/encoder/work_normalized_variance", math.exp(noise.gauss(1, 0.1)), 0, end),
        ]
        for step in STEPS:
            metrics.append(Metric("val/elbo", level - 20 * math.exp(-step / 100), step, step))
            metrics.append(Metric("grad/encoder/variance", math.exp(noise.gauss(-level / 10, 0.1)), step, step))
        metrics = [Metric(m.key, odd.get(m.key, m.value), m.timestamp, m.step) for m in metrics]
        self.client.log_batch(run_id, metrics=metrics, params=[Param("seed", str(seed))])
        self.client.log_inputs(run_id, datasets=[DatasetInput(Dataset(dataset, digest, "local", "{}"))])
        self.client.set_terminated(run_id, status)
        return run_id


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A store with three seeds of two estimators, one failed run, and one of other data."""
    recorder = Recorder(tmp_path_factory.mktemp("compare") / "mlruns")
    for seed in range(3):
        for estimator, level in ESTIMATORS.items():
            recorder.record(estimator, level, seed)
    recorder.record("Pathwise", -1.0, 9, status="FAILED")
    recorder.record("Pathwise", -90.0, 0, dataset="MNIST")
    return recorder.root


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A store with its experiment and nothing in it: making one takes seconds, a copy none."""
    return Recorder(tmp_path_factory.mktemp("empty") / "mlruns").root


@pytest.fixture
def recorder(empty_store, tmp_path):
    """Of a store of the test's own."""
    shutil.copytree(empty_store, tmp_path / "mlruns")
    return Recorder(tmp_path / "mlruns")


def compared(root, *arguments):
    return compare.main(["runs", "--tracking.root", str(root), *arguments])


def test_the_table_and_what_is_written(root, tmp_path, capsys):
    output = tmp_path / "out"
    assert compared(root, "--filter", "tags.dataset = 'Digits'", "--output", str(output)) == 0
    shown = capsys.readouterr().out
    best, other = [
        line for line in shown.splitlines() if (line.startswith("│ ") and "ScoreF" in line) or "│ Pathw" in line
    ]
    assert "Pathwise" in best
    assert [float(word) for word in re.findall(r"(-?[\d.]+) ± 0\.0\d+ \* │", best)[:2]] == pytest.approx(
        [-20.0, -19.0], abs=0.2
    )
    assert float(re.findall(r"(-[\d.]+) ± 0\.0\d+ │", other)[0]) == pytest.approx(-23.0, abs=0.2)
    assert "Welch's t-test" in shown

    rows = list(csv.DictReader(io.StringIO((output / "runs.csv").read_text())))
    assert [(row["estimator"], row["runs"], row["test/elbo best"]) for row in rows] == [
        ("Pathwise", "3", "True"),
        ("ScoreFunction-LeaveOneOut", "3", "False"),
    ]
    page = (output / "runs.html").read_text()
    assert "src=" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)  # nothing from elsewhere
    assert page.count("Plotly.newPlot(") >= 4
    for name in ("val_elbo.png", "grad_encoder_variance.png", "variance_against_cost.png"):
        assert (output / name).read_bytes().startswith(b"\x89PNG")

    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    (run_id,) = re.findall(r"^run +(\w+)$", shown, re.MULTILINE)
    recorded = client.get_run(run_id)
    assert (recorded.info.status, recorded.data.tags["comparison"]) == ("FINISHED", "runs")
    assert {artifact.path for artifact in client.list_artifacts(run_id)} >= {"runs.csv", "runs.html", "figures"}


def test_settings_have_tables_of_their_own_and_comparisons_are_no_runs(root, capsys):
    assert compared(root) == 0
    assert compared(root) == 0
    shown = capsys.readouterr().out.split("run  ")[-2]
    assert "GaussianVAE, Digits, ELBO()" in shown
    assert "GaussianVAE, MNIST, ELBO()" in shown
    assert re.findall(r"│ Pathwise +│ +(\d+)", shown) == ["3", "1"]


def test_histories_of_many_runs_at_once_are_those_of_each(root):
    store = Store.open(TrackingSettings(root=root))
    runs = store.runs("tags.dataset = 'Digits' and tags.estimator LIKE '%a%'", finished=True)
    found = store.histories([run.run_id for run in runs], "val/elbo")
    assert found == {run.run_id: store.history(run.run_id, "val/elbo") for run in runs if "val/elbo" in run.metrics}
    assert len(next(iter(found.values()))) == len(STEPS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--experiment", "nothing"], "--experiment nothing: there is none in sqlite:///"),
        (["--study", "nothing"], "--study nothing: there is none in sqlite:///"),
        (["--filter", "tags.dataset = 'Letters'"], "it has no finished run that fulfils tags.dataset = 'Letters'"),
        (["--filter", "nonsense"], "runs could not be searched"),
        (["--experiment", "a", "--study", "b"], "expected one of --experiment and --study"),
        (["--nonsense", "1"], "--nonsense"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(root, arguments, message, capsys):
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiments = client.search_experiments()
    runs = len(client.search_runs([experiment.experiment_id for experiment in experiments]))
    assert compared(root, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert len(client.search_experiments()) == len(experiments)
    assert len(client.search_runs([experiment.experiment_id for experiment in experiments])) == runs


def test_a_store_that_is_not_there_is_not_made(tmp_path, capsys):
    assert compared(tmp_path / "absent") == 2
    assert "does not exist" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_has_every_row_on_one_line(root, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert compared(root) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│ ")]
    assert len(rows) == 3
    assert all(line.count("│") == 8 for line in rows)


def rows_of(shown):
    """The cells of the printed rows, by the first of them."""
    lines = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in shown.splitlines() if line[:2] == "│ "]
    return {cells[0]: cells[1:] for cells in lines}


ODD = {
    "NaN in one of two runs": ({"val/elbo": math.nan, "test/elbo": math.nan}, "(1 of 2 runs; nan)"),
    "an infinite ELBO": ({"val/elbo": -math.inf, "test/elbo": -math.inf}, "(1 of 2 runs; -inf)"),
    "a huge ELBO": ({"val/elbo": -2e200, "test/elbo": -2e200}, "(1 of 2 runs; -2e+200)"),
    "a NaN variance": ({"grad/encoder/variance": math.nan}, "(1 of 2 runs; nan)"),
    "an infinite variance": ({"grad/encoder/variance": math.inf}, "(1 of 2 runs; inf)"),
}


@pytest.mark.parametrize(("metrics", "told"), ODD.values(), ids=list(ODD))
def test_a_run_that_diverged_blocks_nothing_and_its_cell_says_what_it_is(recorder, capsys, metrics, told):
    recorder.record("Pathwise", -20.0, 0)
    recorder.record("Pathwise", -20.0, 1, **metrics)
    for seed in range(2):
        recorder.record("Fine", -22.0, seed)
    assert compared(recorder.root, "--output", str(recorder.root / "out")) == 0
    rows = rows_of(capsys.readouterr().out)
    assert any(cell.endswith(told) for cell in rows["Pathwise"]), rows
    assert not any("of 2 runs" in cell for cell in rows["Fine"])
    assert (recorder.root / "out" / "runs.html").stat().st_size > 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -2e35])
def test_a_lone_run_that_diverged_is_shown(recorder, capsys, value):
    recorder.record("Pathwise", -20.0, 0, **{"test/elbo": value, "val/elbo": value, "grad/encoder/variance": value})
    assert compared(recorder.root) == 0
    (cells,) = rows_of(capsys.readouterr().out).values()
    assert cells[1] == f"{value:.4g}"


def test_a_seed_that_was_run_twice_counts_once_and_is_told(recorder, capsys):
    recorder.record("Pathwise", -90.0, 0)
    for seed in range(2):
        recorder.record("Pathwise", -20.0, seed)
    assert compared(recorder.root) == 0
    shown = capsys.readouterr().out
    assert "Pathwise: seed 0 was run 2 times, the latest run counts" in shown
    cells = rows_of(shown)["Pathwise"]
    assert cells[0] == "2"
    assert float(cells[1].split()[0]) == pytest.approx(-20.0, abs=0.3)


def test_a_single_run_leaves_the_mark_of_the_best(recorder, capsys):
    for seed in range(3):
        for estimator, level in ESTIMATORS.items():
            recorder.record(estimator, level, seed)
    recorder.record("Lone", -21.0, 0)
    assert compared(recorder.root) == 0
    rows = rows_of(capsys.readouterr().out)
    assert [cells[1].endswith("*") for cells in rows.values()] == [True, False, False]


def test_data_replaced_under_one_name_have_a_table_of_their_own(recorder, capsys):
    for seed, digest in enumerate(["1a2b", "1a2b", "ffff"]):
        recorder.record("Pathwise", -20.0, seed, digest=digest)
    assert compared(recorder.root) == 0
    shown = capsys.readouterr().out
    assert "GaussianVAE, Digits, ELBO(), data 1a2b" in shown
    assert "GaussianVAE, Digits, ELBO(), data ffff" in shown
    assert re.findall(r"│ Pathwise +│ +(\d+)", shown) == ["2", "1"]


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_made(root, tmp_path, capsys, monkeypatch):
    def write_text(path, data, **_):
        path.write_bytes(data.encode())
        if path.name == "runs.html":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = len(client.search_runs(ids))
    monkeypatch.setattr(Path, "write_text", write_text)
    assert compared(root, "--output", str(tmp_path / "a" / "b")) == 2
    told = f"reparam_suite.compare: --output: {tmp_path}/a/b cannot be written: No space left on device\n"
    assert capsys.readouterr().err == told
    assert list(tmp_path.iterdir()) == []
    assert len(client.search_runs(ids)) == runs


def test_an_output_that_is_a_file_is_refused_before_anything_is_made(root, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("kept")
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    runs = len(client.search_runs([experiment.experiment_id for experiment in client.search_experiments()]))
    for output in (file, file / "below"):
        assert compared(root, "--output", str(output)) == 2
        assert capsys.readouterr().err.endswith(f"--output: expected a directory, got the file {file}\n")
    assert file.read_text() == "kept"
    assert len(client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])) == runs
