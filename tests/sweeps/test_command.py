"""Command lines of a sweep, parsed; what they refuse is in tests/test_sweep.py."""

import pytest
import yaml
from tests.launching import as_it_was

from reparam_suite.runtime.errors import UsageError
from reparam_suite.sweeps.command import command, table_command

SWEEP = {
    "name": "s",
    "base": "base.yaml",
    "grid": {"model.estimator": [{"class_path": "DisARM", "init_args": {"num_samples": 4}}, "StraightThrough"]},
    "options": {
        "trainer.callbacks": [
            {"class_path": "lightning.pytorch.callbacks.DeviceStatsMonitor", "init_args": {"cpu_stats": True}}
        ]
    },
}


@pytest.fixture
def file(tmp_path):
    (tmp_path / "base.yaml").write_text("seed: 0\n")
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    return str(tmp_path / "sweep.yaml")


def test_values_of_options_stay_plain_data_and_later_options_change_the_file(file):
    with as_it_was():
        asked = command(["--config", file, "--seeds", "[3, 4]", "--shard", "1/2", "--dry_run"])
    settings = asked.settings
    assert settings.options == SWEEP["options"]
    assert settings.grid == SWEEP["grid"]
    assert (settings.seeds, asked.dry_run) == ([3, 4], True)
    plan = asked.sweep.plan()
    assert list(plan["seed"]) == [3, 3]
    assert list(plan["model.estimator"]) == ["{class_path: DisARM, init_args: {num_samples: 4}}", "StraightThrough"]


def test_a_table_has_a_name_and_settings():
    asked = table_command(["s", "--rows", "[a]", "--columns", "[b, c@6]", "--spread", "standard_error"])
    assert asked.name == "s"
    assert (asked.settings.rows, asked.settings.columns) == (["a"], ["b", "c@6"])
    assert asked.settings.spread == "standard_error"


def test_short_options_are_what_all_runs_share(file):
    short = "--max_steps 20 --learning_rate 1e-2 --latent_size=2 --batch_size 7"
    with as_it_was():
        asked = command(["--config", file, *short.split()])
    assert asked.settings.options == {
        **SWEEP["options"],
        "model.learning_rate": 0.01,
        "model.latent_size": 2,
        "data.batch_size": 7,
    }
    assert asked.settings.budget.steps == 20


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--estimator", "DisARM"], "--estimator: expected one that all runs share, got one that is varied"),
        (
            ["--estimator.num_samples", "4"],
            "--estimator.num_samples: expected one that all runs share, got one of a class that is varied",
        ),
        (["--latent_size"], "--latent_size: expected a value, got none"),
        (["--estimator="], "--estimator: expected a value, got an empty one"),
        (["--max_steps="], "--max_steps: expected a value, got an empty one"),
        (["--lr", "1"], "unknown option --lr, did you mean --learning_rate?; --help lists all of them"),
        (["--latent_size", "--dry_run"], "--latent_size: expected a value, got none"),
    ],
)
def test_a_short_option_is_refused(args, message, file):
    with as_it_was(), pytest.raises(UsageError) as refused:
        command(["--config", file, *args])
    assert str(refused.value) == message
