"""Trials on the terminal: a table, and lines for a file, with the reasons of what went wrong."""

import io
from types import SimpleNamespace

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from rich.console import Console

from reparam_suite.studies.queue import ERROR, Place
from reparam_suite.studies.trial_table import TrialLines, trial_table

SPACE = {"model.learning_rate": FloatDistribution(0.0, 1.0)}


def place(number: int, state: TrialState, value: float | None = None, **more) -> Place:
    trial = optuna.create_trial(
        state=state, value=value, params={"model.learning_rate": 0.25}, distributions=SPACE, **more
    )
    trial.number = number
    return Place((trial,))


PLACES = [
    place(0, TrialState.COMPLETE, -25.5),
    place(1, TrialState.FAIL, user_attrs={ERROR: "NonFiniteLoss: at step 7"}),
    place(2, TrialState.PRUNED, intermediate_values={40: -31.0, 80: -30.0}),
    place(3, TrialState.RUNNING),
    Place((optuna.create_trial(state=TrialState.WAITING),)),
]


def shown(most: int) -> list[str]:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(trial_table(PLACES, ["val/elbo"], most))
    return console.file.getvalue().splitlines()


def test_a_table_has_state_value_parameters_and_reasons():
    rows: list[list[str]] = []
    for line in shown(8):
        cells = [cell.strip() for cell in line.split("│")[1:-1]]
        if cells and cells[0]:
            rows.append(cells)
        elif cells:
            rows[-1] = [" ".join([told, more]).strip() for told, more in zip(rows[-1], cells, strict=True)]
    assert rows == [
        ["0", "complete", "-25.5", "learning_rate 0.25"],
        ["1", "failed", "-", "learning_rate 0.25, NonFiniteLoss: at step 7"],
        ["2", "pruned", "-", "learning_rate 0.25, at step 80, where it was -30"],
        ["3", "running", "-", "learning_rate 0.25"],
    ]


def test_of_many_the_newest_are_shown():
    lines = shown(2)
    assert lines[0].strip() == "the last 2 of 4 trials"
    assert [first for line in lines if line.startswith("│") if (first := line.split("│")[1].strip())] == ["2", "3"]
    assert max(map(len, lines)) <= 80


def test_a_file_gets_a_line_for_each_trial_once():
    console = Console(file=io.StringIO(), width=80, color_system=None)
    places = PLACES[:1]
    lines = TrialLines(SimpleNamespace(places=lambda: places), ["val/elbo"], console)
    lines.print_new()
    assert console.file.getvalue() == "", "what had ended before is no news"
    places = PLACES
    lines.print_new()
    lines.print_new()
    assert console.file.getvalue().splitlines() == [
        "trial 1 of 5  failed: learning_rate 0.25, NonFiniteLoss: at step 7",
        "trial 2 of 5  pruned: learning_rate 0.25, at step 80, where it was -30",
    ]


def test_a_terminal_gets_no_lines():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    places: list[Place] = []
    lines = TrialLines(SimpleNamespace(places=lambda: places), ["val/elbo"], console)
    places.extend(PLACES)
    lines.print_new()
    assert console.file.getvalue() == ""
