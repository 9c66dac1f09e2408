"""The summary of a study in MLflow: fronts, and the test, figures and model of the best trial.

That of one objective is in test_launch.py, beside the study that it is of.
"""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
import yaml
from rich.console import Console
from tests.launching import as_it_was, study, undrawn
from tests.studies.launched_trials import trials_of
from tests.studies.small import BASE, several, study_file

from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.studies.command import command
from reparam_suite.studies.summary import Summary
from reparam_suite.studies.workers import joined
from reparam_suite.tracking import Store
from reparam_suite.training import StopSignals

BITS = np.random.default_rng(0).integers(0, 2, size=(60, 9), dtype=np.uint8)
NONE = "the summary of the study has no test, figures and model of the best trial: "


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> SimpleNamespace:
    """A study whose summary has not come to the best trial, and where things are."""
    folder = tmp_path_factory.mktemp("study")
    rows, root = folder / "bits.npz", folder / "mlruns"
    np.savez(rows, x_train=BITS)
    file = study_file(folder, **several("model.learning_rate", [1e-2, 1e-3]) | {"budget": {"steps": 2}, "trials": 1})
    data = {"class_path": "Arrays", "init_args": {"path": str(rows)}}
    (folder / "base.yaml").write_text(yaml.safe_dump(BASE | {"data": data}))
    with pytest.MonkeyPatch.context() as patch, undrawn():
        patch.setattr(Summary, "finish_best", lambda _: None)
        ended = study("--config", file, root=root)
    assert ended.code == 0, ended.err
    (trial,) = optuna.load_study(study_name="small", storage=f"sqlite:///{root}/optuna.db").trials
    (run_id,) = trial.user_attrs["runs"]
    return SimpleNamespace(
        command=command(["--config", file, "--tracking.root", str(root)]),
        rows=rows,
        summary=ended.run.info.run_id,
        client=ended.client,
        checkpoints=root / "checkpoints" / run_id,
        copies=ended.artifacts(run_id) / "checkpoints",
    )


def finished(searched: SimpleNamespace) -> Any:
    """Tags and metrics of the summary, after it has come to the best trial once more."""
    with as_it_was(), unchanged_globals(), undrawn():
        asked = searched.command
        queue = joined(asked.search, asked.database)
        store = Store.begin(asked.tracking, Console(quiet=True).print)
        summary = Summary(asked.settings, store, queue, StopSignals())
        summary.open()
        try:
            summary.finish_best()
        finally:
            summary.close("FINISHED")
            queue.close()
    return searched.client.get_run(searched.summary).data


def without(folder: Path, taken: list[Path]) -> None:
    """Files and directories as in the folder's copies, put aside."""
    for number, path in enumerate(taken):
        shutil.move(path, folder / str(number))


def back(folder: Path, taken: list[Path]) -> None:
    for number, path in enumerate(taken):
        shutil.move(folder / str(number), path)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["checkpoints/best.ckpt", "copies/best.ckpt"], "the best weights of trial 0 are gone"),
        (["checkpoints"], "the checkpoints of trial 0 are not on this machine: CHECKPOINTS"),
    ],
    ids=["weights", "checkpoints"],
)
def test_files_of_the_best_trial_that_are_gone_are_said_and_nothing_passes_for_them(searched, tmp_path, files, told):
    taken = [Path(getattr(searched, name.split("/")[0]), *name.split("/")[1:]) for name in files]
    expected = NONE + told.replace("CHECKPOINTS", str(searched.checkpoints))
    without(tmp_path, taken)
    try:
        with pytest.warns(UserWarning, match=NONE) as warned:
            data = finished(searched)
    finally:
        back(tmp_path, taken)
    assert data.tags["best.left_out"] == expected
    assert [str(each.message) for each in warned] == [expected]
    assert "test/elbo" not in data.metrics


def test_a_best_trial_on_data_that_were_replaced_is_not_tested_until_they_are_back(searched):
    np.savez(searched.rows, x_train=BITS[::-1])
    try:
        with pytest.warns(UserWarning, match="they were replaced in between"):
            data = finished(searched)
    finally:
        np.savez(searched.rows, x_train=BITS)
    run = searched.client.get_run(searched.checkpoints.name)
    (digest,) = [found.dataset.digest for found in run.inputs.dataset_inputs]
    assert data.tags["best.left_out"].startswith(
        f"{NONE}data: expected those of trial 0, of digest {digest}, got Arrays-bits of digest "
    )
    assert "test/elbo" not in data.metrics
    data = finished(searched)
    assert data.metrics["test/elbo"] < 0.0
    assert (data.tags["best.tested"], data.tags["best.left_out"]) == ("0", "nothing")
    searched.client.set_tag(searched.summary, "best.tested", "7")
    shutil.move(searched.checkpoints, searched.checkpoints.with_name("away"))
    try:
        with pytest.warns(UserWarning, match="; those that it has are of trial 7$"):
            finished(searched)
        searched.client.set_tag(searched.summary, "best.tested", "0")
        assert finished(searched).metrics["test/elbo"] == data.metrics["test/elbo"]
    finally:
        shutil.move(searched.checkpoints.with_name("away"), searched.checkpoints)


def test_several_objectives_end_in_a_front(tmp_path):
    objectives = {"val/elbo": "maximize", "train/kl": "minimize"}
    file = study_file(tmp_path, space={"model.learning_rate": {"log_float": [1e-3, 1e-1]}}, objectives=objectives)
    ended = study("--config", file, root=tmp_path / "mlruns")
    assert ended.code == 0, ended.err
    trials = trials_of(tmp_path / "mlruns")
    front = [
        trial.number
        for trial in trials
        if not any(other.values[0] > trial.values[0] and other.values[1] < trial.values[1] for other in trials)
    ]
    assert sorted(map(int, re.findall(r"best  trial (\d+): val/elbo \S+, train/kl", ended.out))) == front
    artifacts = ended.artifacts(ended.run.info.run_id)
    assert (artifacts / "study" / "pareto_front.png").exists()
    assert len(list(artifacts.glob("best*.yaml"))) == len(front)
