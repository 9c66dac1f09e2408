"""Rows of a comparison: what belongs together, means and errors, and when one is called the best."""

import math

import pytest
from scipy.stats import ttest_ind

from reparam_suite.comparison.groups import Group, Quantity, Value, best, grouped, quantities
from reparam_suite.tracking import RecordedRun

ELBO = Quantity("test/elbo", "test ELBO", "higher", positive=False)
VARIANCE = Quantity("grad/encoder/variance", "variance", "lower", positive=True)


def run(estimator, elbo=-20.0, *, seed=0, dataset="Digits", metrics=None, **options):
    parameters = {"seed": str(seed), "data.init_args.seed": str(seed), "tracking.root": f"somewhere{seed}"} | options
    tags = {"estimator": estimator, "model": "GaussianVAE", "dataset": dataset, "bound": "Average"}
    return RecordedRun(f"{estimator}{seed}", "name", tags, parameters, {"test/elbo": elbo} | (metrics or {}))


def group(name, values, metric="test/elbo"):
    return Group("s", name, {}, [run(name, seed=n, metrics={metric: value}) for n, value in enumerate(values)])


def test_runs_that_differ_in_seed_and_place_alone_are_one_row():
    (found,) = grouped([run("Pathwise", seed=0), run("Pathwise", seed=1)])
    assert len(found.runs) == 2
    assert found.label == "Pathwise"
    assert found.setting == "GaussianVAE, Digits, Average"


def test_other_options_make_other_rows_and_are_told():
    rate = "model.init_args.learning_rate"
    baseline = "model.init_args.estimator.init_args.baseline.class_path"
    found = grouped(
        [
            run("Pathwise", seed=0, **{rate: "0.001"}),
            run("Pathwise", seed=1, **{rate: "0.003"}),
            run("Pathwise", seed=2, **{rate: "0.003"}),
            run("ScoreFunction", seed=0, **{baseline: "reparam_suite.estimators.NoBaseline"}),
            run("ScoreFunction", seed=1, **{baseline: "reparam_suite.estimators.Learned"}),
        ]
    )
    assert [(each.label, len(each.runs)) for each in found] == [
        ("Pathwise (learning_rate=0.001)", 1),
        ("Pathwise (learning_rate=0.003)", 2),
        ("ScoreFunction (baseline=NoBaseline)", 1),
        ("ScoreFunction (baseline=Learned)", 1),
    ]


def test_other_data_are_another_setting():
    assert [each.setting for each in grouped([run("A"), run("A", dataset="MNIST")])] == [
        "GaussianVAE, Digits, Average",
        "GaussianVAE, MNIST, Average",
    ]


def test_mean_and_standard_error():
    value = group("A", [1.0, 2.0, 6.0]).value(ELBO)
    assert value.mean == 3.0
    assert value.standard_error == pytest.approx(math.sqrt(7.0 / 3.0))
    assert math.isnan(Value.of([1.0]).standard_error)


def test_what_is_not_finite_is_no_value():
    assert group("A", [1.0, math.nan, 3.0]).value(ELBO).mean == 2.0
    assert group("A", [math.nan]).value(ELBO) is None


def test_columns_are_what_there_is():
    metrics = {"test/bound_100": 0.0, "test/bound_5000": 0.0, "val/elbo": 0.0, "time/ms_per_step": 1.0}
    titles = [each.title for each in quantities(grouped([run("A", metrics=metrics)]))]
    assert titles == ["test ELBO", "bound, K = 100", "bound, K = 5000", "ms a step"]
    untested = RecordedRun("a", "a", {}, {}, {"val/elbo": 0.0})
    assert [each.title for each in quantities(grouped([untested]))] == ["val ELBO"]


def test_the_best_is_marked_only_where_the_difference_exceeds_the_noise():
    clear = [group("A", [-20.0, -20.1, -19.9]), group("B", [-22.0, -22.1, -21.9])]
    assert best(clear, ELBO) is clear[0]
    near = [group("A", [-20.0, -21.0, -19.0]), group("B", [-20.2, -21.2, -19.2])]
    assert best(near, ELBO) is None


def test_the_smallest_variance_is_the_best_one_in_logarithms():
    metric = "grad/encoder/variance"
    groups = [group("A", [1.0, 1.2, 0.9], metric), group("B", [100.0, 30.0, 250.0], metric)]
    logarithms = [[math.log(each) for each in g.value(VARIANCE).values] for g in groups]
    # On the values themselves the spread of the large one hides the difference.
    assert ttest_ind(groups[0].value(VARIANCE).values, groups[1].value(VARIANCE).values, equal_var=False).pvalue > 0.05
    assert ttest_ind(*logarithms, equal_var=False).pvalue < 0.05
    assert best(groups, VARIANCE) is groups[0]


def test_many_rows_ask_for_more():
    # Between the levels of one comparison and of ten.
    one, other = [-20.0, -20.1, -19.9, -20.05], [-20.2, -20.3, -20.12, -20.24]
    p = ttest_ind(one, other, equal_var=False).pvalue
    assert 0.005 < p < 0.05
    assert best([group("A", one), group("B", other)], ELBO) is not None
    assert best([group("A", one), *[group(f"B{n}", other) for n in range(10)]], ELBO) is None


def test_a_single_run_is_no_evidence():
    assert best([group("A", [-20.0, -20.1]), group("B", [-30.0])], ELBO) is None
    assert best([group("A", [-20.0, -20.1])], ELBO) is None


def test_without_any_spread_what_differs_differs():
    assert best([group("A", [-20.0, -20.0]), group("B", [-21.0, -21.0])], ELBO).estimator == "A"
    assert best([group("A", [-20.0, -20.0]), group("B", [-20.0, -20.0])], ELBO) is None
