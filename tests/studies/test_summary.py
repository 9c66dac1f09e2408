"""The summary of a study in MLflow; that of one objective is in test_launch.py, beside the study that it is of."""

import re

from tests.launching import study
from tests.studies.launched_trials import trials_of
from tests.studies.small import study_file


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
