"""From the contents of a sweep file to its runs."""

from pathlib import Path

import pytest

from reparam_suite.commands.file_runs import Budget
from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.settings import SweepSettings, TableSettings
from reparam_suite.tracking import TrackingSettings


def settings(tmp_path, **changes):
    (tmp_path / "base.yaml").write_text("seed: 3\n")
    return SweepSettings(**{"name": "s", "base": tmp_path / "base.yaml", **changes})


def test_a_class_comes_before_its_own_options_and_lists_are_one_argument(tmp_path):
    made = settings(
        tmp_path,
        options={"model.hidden_sizes": [200, 200]},
        grid={"model.estimator.num_samples": [4]},
        cells=[{"model.estimator": "DisARM"}],
        budget=Budget(steps=6),
    )
    (cell,) = made.combinations.with_seeds([1])
    assert made.runs(TrackingSettings()).arguments(cell.values, cell.seed) == [
        f"--config={tmp_path}/base.yaml",
        "--model.hidden_sizes=[200, 200]",
        "--trainer.max_steps=6",
        "--model.estimator=DisARM",
        "--model.estimator.num_samples=4",
        "--seed=1",
    ]
    assert made.definition() == {
        "base": {"seed": 3},
        "options": {"model.hidden_sizes": [200, 200]},
        "budget": {"steps": 6, "evaluations": None},
    }


def test_a_part_of_the_grid_is_wanted(tmp_path):
    made = settings(tmp_path, grid={"a": [[1], [2]], "b": ["x", "y"]}, where={"a": [2]})
    assert [cell.values for cell in made.combinations.with_seeds([0])] == [
        {"a": "[2]", "b": "x"},
        {"a": "[2]", "b": "y"},
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"grid": {"seed": [1]}}, "seed"),
        (
            {"grid": {"trainer.max_epochs": [1]}, "budget": Budget(seconds=6)},
            "--trainer.max_epochs comes from --budget",
        ),
        ({"grid": {"trainer.max_steps": [1]}, "budget": Budget(steps=6)}, "--trainer.max_steps comes from --budget"),
        ({"grid": {"a": [1]}, "options": {"resume": "r"}}, "options: --resume comes from the sweep itself"),
        ({"grid": {"a": [1]}, "options": {"seeds": [1]}}, "options: --seeds comes from seeds, expected other options"),
    ],
)
def test_what_a_sweep_gives_itself_is_no_option(tmp_path, changes, told):
    with pytest.raises(ValueError, match=told):
        _ = settings(tmp_path, **changes).combinations


def test_a_table_is_written_in_a_form_that_there_is():
    with pytest.raises(ValueError, match=r"output: expected a file that ends in"):
        TableSettings(output=Path("table.doc"))


@pytest.mark.parametrize(
    "options",
    [
        {"grid": {"learning_rate": [0.1], "model.learning_rate": [0.2]}},
        {"grid": {"learning_rate": [0.1]}, "options": {"model.learning_rate": 0.2}},
    ],
)
def test_an_option_has_one_name(tmp_path, options):
    with pytest.raises(ValueError, match=r"grid: expected each option under one name, got .*learning_rate and"):
        _ = settings(tmp_path, **options).combinations


def test_a_table_over_several_values_of_an_option_is_refused_before_the_training():
    table, grid = TableSettings(rows=["a"], columns=["test/elbo"]), Grid({"a": [1, 2], "b": [1, 2]})
    with pytest.raises(
        ValueError, match=r"rows: expected every argument with several values .* got none for b, which has 2"
    ):
        table.check(grid, skip_misfits=False)
    table.check(grid, skip_misfits=True)  # it is not known which values are left
    table.check(Grid({"a": [1, 2], "b": [1]}), skip_misfits=False)


def test_a_base_that_is_no_yaml_is_refused(tmp_path):
    made = settings(tmp_path, grid={"a": [1]})
    made.base.write_text("a: [1")
    with pytest.raises(ValueError, match="base: expected a YAML file, got"):
        made.definition()
