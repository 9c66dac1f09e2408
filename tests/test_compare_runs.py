"""`python -m reparam_suite.compare runs`: from runs on record to a table, a page and a record of its own."""

import csv
import io
import math
import random
import re

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from reparam_suite import compare
from reparam_suite.tracking import Store, TrackingSettings

ESTIMATORS = {"Pathwise": -20.0, "ScoreFunction-LeaveOneOut": -23.0}
STEPS = range(0, 500, 50)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A store with three seeds of two estimators, one failed run, and one of other data."""
    root = tmp_path_factory.mktemp("compare") / "mlruns"
    store = Store.open(TrackingSettings(root=root))
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    noise = random.Random(0)

    def record(estimator, level, seed, dataset="Digits", status="FINISHED"):
        tags = {"estimator": estimator, "model": "GaussianVAE", "dataset": dataset, "bound": "Average"}
        run_id = client.create_run(store.experiment_id, tags=tags, run_name=f"{estimator}-{seed}").info.run_id
        end = STEPS[-1]
        metrics = [
            Metric("test/elbo", level + noise.gauss(0, 0.05), 0, end),
            Metric("test/bound_100", level + 1 + noise.gauss(0, 0.05), 0, end),
            Metric("time/ms_per_step", 2 + noise.random(), 0, end),
            Metric("grad/encoder/work_normalized_variance", math.exp(noise.gauss(1, 0.1)), 0, end),
        ]
        for step in STEPS:
            metrics.append(Metric("val/elbo", level - 20 * math.exp(-step / 100), step, step))
            metrics.append(Metric("grad/encoder/variance", math.exp(noise.gauss(-level / 10, 0.1)), step, step))
        client.log_batch(run_id, metrics=metrics, params=[Param("seed", str(seed))])
        client.set_terminated(run_id, status)

    for seed in range(3):
        for estimator, level in ESTIMATORS.items():
            record(estimator, level, seed)
    record("Pathwise", -1.0, 9, status="FAILED")
    record("Pathwise", -90.0, 0, dataset="MNIST")
    return root


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
    assert [float(each) for each in re.findall(r"(-?[\d.]+) ± 0\.0\d+ \* │", best)[:2]] == pytest.approx(
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
    assert {each.path for each in client.list_artifacts(run_id)} >= {"runs.csv", "runs.html", "figures"}


def test_settings_have_tables_of_their_own_and_comparisons_are_no_runs(root, capsys):
    assert compared(root) == 0
    assert compared(root) == 0
    shown = capsys.readouterr().out.split("run  ")[-2]
    assert "GaussianVAE, Digits, Average" in shown
    assert "GaussianVAE, MNIST, Average" in shown
    assert re.findall(r"│ Pathwise +│ +(\d+)", shown) == ["3", "1"]


def test_histories_of_many_runs_at_once_are_those_of_each(root):
    store = Store.open(TrackingSettings(root=root))
    runs = store.finished_runs("tags.dataset = 'Digits' and tags.estimator LIKE '%a%'")
    found = store.histories([run.run_id for run in runs], "val/elbo")
    assert found == {run.run_id: store.history(run.run_id, "val/elbo") for run in runs if "val/elbo" in run.metrics}
    assert len(next(iter(found.values()))) == len(STEPS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--experiment", "nothing"], "--experiment nothing: there is none in sqlite:///"),
        (["--study", "nothing"], "--study nothing: there is none in sqlite:///"),
        (["--filter", "tags.dataset = 'Letters'"], "it has no finished run that tags.dataset = 'Letters' lets pass"),
        (["--filter", "nonsense"], "runs could not be looked for"),
        (["--experiment", "a", "--study", "b"], "expected one of both"),
        (["--nonsense", "1"], "--nonsense"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(root, arguments, message, capsys):
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiments = client.search_experiments()
    runs = len(client.search_runs([each.experiment_id for each in experiments]))
    assert compared(root, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert len(client.search_experiments()) == len(experiments)
    assert len(client.search_runs([each.experiment_id for each in experiments])) == runs


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
