"""The trials of a study that a command has run."""

import optuna


def trials_of(root, name="small"):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{root}/optuna.db").trials


def trial_runs(ended, name="small"):
    runs = [run for run in ended.every_run(name) if run.data.tags["study.run"] == "trial"]
    return sorted(runs, key=lambda run: int(run.data.tags["trial.number"]))
