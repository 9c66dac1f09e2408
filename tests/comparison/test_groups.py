"""Rows of a table of runs: which runs belong together, and which of them count."""

from reparam_suite.comparison.groups import grouped
from reparam_suite.tracking import RecordedRun


def run(estimator, elbo=-20.0, *, seed=0, dataset="Digits", digest="1a2b", run_id=None, **options):
    parameters = {"seed": str(seed), "data.init_args.seed": str(seed), "tracking.root": f"somewhere{seed}"} | options
    tags = {"estimator": estimator, "model": "GaussianVAE", "dataset": dataset, "objective": "ELBO()"}
    name = run_id or f"{estimator}{seed}{dataset}"
    return RecordedRun(name, "name", tags, parameters, {"test/elbo": elbo}, digest=digest)


def test_runs_that_differ_in_seed_and_place_alone_are_one_row():
    (found,) = grouped([run("Pathwise", seed=0), run("Pathwise", seed=1, name="another", **{"tags.lesson": "1"})])
    assert len(found.runs) == 2
    assert found.label == "Pathwise"
    assert found.setting == "GaussianVAE, Digits, ELBO()"
    assert found.repeated == {}


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
    assert [(group.label, len(group.runs)) for group in found] == [
        ("Pathwise (learning_rate=0.001)", 1),
        ("Pathwise (learning_rate=0.003)", 2),
        ("ScoreFunction (baseline=NoBaseline)", 1),
        ("ScoreFunction (baseline=Learned)", 1),
    ]


def test_other_data_are_another_setting():
    assert [group.setting for group in grouped([run("A"), run("A", dataset="MNIST")])] == [
        "GaussianVAE, Digits, ELBO()",
        "GaussianVAE, MNIST, ELBO()",
    ]


def test_data_of_another_digest_under_one_name_are_never_grouped():
    found = grouped([run("A", seed=0), run("A", seed=1, digest="ffff"), run("A", seed=2)])
    assert [(group.setting, len(group.runs)) for group in found] == [
        ("GaussianVAE, Digits, ELBO(), data 1a2b", 2),
        ("GaussianVAE, Digits, ELBO(), data ffff", 1),
    ]


def test_runs_on_data_without_a_digest_are_rows_of_their_own():
    runs = [run("A", seed=seed, digest=None, run_id=f"{seed}" * 32) for seed in (1, 2)]
    assert [group.label for group in grouped(runs)] == ["A (run=11111111)", "A (run=22222222)"]


def test_of_runs_with_one_seed_and_one_configuration_the_latest_counts():
    rate = "model.init_args.learning_rate"
    first, again, other = (run("A", elbo, run_id=f"{elbo}") for elbo in (-20.0, -21.0, -22.0))
    another_rate = run("A", run_id="rate", **{rate: "0.1"})
    found = grouped([first, again, run("A", seed=1), other, another_rate])
    assert [sorted(own.run_id for own in group.runs) for group in found] == [["-22.0", "A1Digits"], ["rate"]]
    assert [group.repeated for group in found] == [{"0": 2}, {}]


def test_another_seed_of_the_data_is_another_run():
    (group,) = grouped([run("A"), run("A", run_id="b", **{"data.init_args.seed": "5"})])
    assert len(group.runs) == 2


def test_runs_without_a_seed_on_record_are_not_taken_for_repetitions():
    runs = [RecordedRun(f"{n}", "n", {"estimator": "A"}, {}, {}, digest="d") for n in range(2)]
    (group,) = grouped(runs)
    assert len(group.runs) == 2


def test_comparisons_summaries_and_foreign_runs_are_no_rows():
    of_comparison = RecordedRun("c", "c", {"comparison": "gradients", "model": "GaussianVAE"}, {}, {})
    assert [of_any.is_training for of_any in (run("A"), of_comparison, RecordedRun("f", "f", {}, {}, {}))] == [
        True,
        False,
        False,
    ]
