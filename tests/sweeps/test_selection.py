"""From the runs of a sweep to the rows of a table: chosen on one metric, reported of others."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind
from tests.sweeps.made_up import chosen, result

from reparam_suite.sweeps.result import SweepResult


def test_values_are_chosen_on_one_metric_and_reported_of_another():
    frame = chosen().frame
    assert list(frame["estimator"]) == ["A_1", "B"]
    assert list(frame["rate"]) == [0.2, 0.1]
    assert list(frame["test/elbo"]) == [0.0, 4.0]
    assert list(frame["test/elbo std"]) == [1.0, 2.0]
    assert list(frame["n"]) == [3, 3]


def test_a_sign_chooses_the_smallest():
    assert list(chosen(select="-val/elbo_best").frame["rate"]) == [0.1, 0.2]


def test_the_standard_error_is_the_deviation_over_the_root_of_n():
    frame = chosen(spread="standard_error").frame
    assert list(frame["test/elbo standard_error"]) == pytest.approx([1 / 3**0.5, 2 / 3**0.5])


def test_failed_runs_are_in_no_mean_and_n_says_so():
    frame = chosen(failed={("B", 0.1, 0), ("B", 0.2, 0)}).frame
    assert frame["n"][1] == 2
    assert frame["test/elbo"][1] == 5.0


def test_values_of_which_a_run_failed_are_chosen_where_there_are_no_others():
    frame = chosen(failed={("B", 0.1, 0)}).frame
    assert list(frame["rate"]) == [0.2, 0.2]
    assert list(frame["n"]) == [3, 3]
    none_left = chosen(failed={("B", rate, seed) for rate in (0.1, 0.2) for seed in range(3)}).frame
    assert list(none_left["estimator"]) == ["A_1"]


@pytest.mark.parametrize(
    ("metric", "best"),
    [("time/samples_per_second", 1), ("time/ms_per_step", 0), ("grad/encoder/variance", 0), ("test/elbo", 1)],
)
def test_the_best_is_the_smallest_of_times_and_variances_and_the_largest_of_rates(metric, best):
    rows = [{"a": value, "seed": 0, "status": "FINISHED", metric: float(value)} for value in (1, 2)]
    table = SweepResult(frame=pd.DataFrame(rows), trained=0, _arguments=("a",)).table(rows="a", columns=metric)
    assert table.columns[0].best([1.0, 2.0]) == best


def test_without_a_choice_the_rows_are_all_arguments():
    frame = result().table(rows=["estimator", "rate"], columns="test/elbo").frame
    assert len(frame) == 4
    assert list(frame["test/elbo"]) == [9.0, 0.0, 4.0, 7.0]


def test_variances_are_tested_in_logarithms():
    samples = {"a": [1.0, 1.2, 0.9], "b": [100.0, 30.0, 250.0]}
    rows = [
        {"a": name, "seed": seed, "status": "FINISHED", "grad/encoder/variance": value}
        for name, values in samples.items()
        for seed, value in enumerate(values)
    ]
    frame = (
        SweepResult(frame=pd.DataFrame(rows), trained=0, _arguments=("a",))
        .table(rows="a", columns="grad/encoder/variance")
        .frame
    )
    expected = ttest_ind(*(np.log(values) for values in samples.values()), equal_var=False).pvalue
    assert frame["grad/encoder/variance p"][1] == pytest.approx(expected)


def test_an_option_that_goes_with_the_rows_need_not_be_one_of_them():
    """As the learning rate of each estimator, where combinations are given one by one."""
    given = result()
    given = SweepResult(
        frame=given.frame[(given.frame["estimator"] == "A_1") == (given.frame["rate"] == 0.1)],
        trained=0,
        _arguments=given._arguments,
    )
    assert list(given.table(rows="estimator", columns="test/elbo").frame["test/elbo"]) == [9.0, 7.0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rows": "estimater"}, "rows: expected arguments of the grid (estimator, rate), got estimater"),
        ({"columns": ["test/elbow"]}, "columns: expected metrics of the runs, the nearest test/elbo, "),
        ({"select": None}, "select: expected a metric together with over="),
        (
            {"select": None, "over": None},
            "rows: expected every argument with several values in rows or over, got none for rate",
        ),
        ({"over": "estimator"}, "over: expected arguments that are not in rows, got estimator"),
        ({"spread": "range"}, "spread: expected std or standard_error, got range"),
        ({"columns": []}, "columns: expected at least one, got none"),
        ({"columns": ["test/elbo", "-test/elbo"]}, "columns: expected each once, got test/elbo twice"),
        ({"rows": ["estimator", "estimator"]}, "rows: expected each once, got estimator twice"),
        ({"select": "val/elbo@x"}, "select: expected METRIC or METRIC@STEP, got val/elbo@x"),
        ({"columns": ["test/elbo@end"]}, "columns: expected METRIC or METRIC@STEP, got test/elbo@end"),
    ],
)
def test_names_that_there_are_not_are_refused(changes, told):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        chosen(**changes)
    assert told in str(error.value)
