"""How the peak of a training step grows: the line, what is too fast, and a small measurement."""

import json

import pytest
import torch
from benchmarks.memory import CASES, Case, Growth, Sizes, f_peak, main, measure, needs, step_peak

from reparam_suite.distributions import FullCovarianceNormal
from reparam_suite.estimators import Average, Estimate, GradientEstimator, Pathwise
from reparam_suite.models import DiscreteVAE, GaussianVAE

CPU = torch.device("cpu")


def test_the_line_through_peaks_on_a_line():
    growth = Growth.of([4, 8, 16], [140, 180, 260])
    assert (growth.slope, growth.intercept) == pytest.approx((10.0, 100.0))
    assert growth.bend == pytest.approx(1.0)
    assert growth.at_twice == pytest.approx(260 / 180)
    assert all(growth.keeps(size) for size in ("num_samples", "batch_size", "latent_size"))


def test_a_parabola_bends_by_two_and_is_too_fast():
    """The least-squares line through 1, 4, 16 at 1, 2, 4 is -5 + 36/7 x."""
    growth = Growth.of([1, 2, 4], [1, 4, 16])
    assert (growth.slope, growth.intercept) == pytest.approx((36 / 7, -5.0))
    assert (growth.bend, growth.at_twice) == pytest.approx((2.0, 4.0))
    assert not any(growth.keeps(size) for size in ("num_samples", "batch_size", "latent_size"))


def test_a_square_beside_a_line_is_seen_before_it_is_the_larger_part():
    """100 x + x^2 at 16 is a seventh square."""
    assert Growth.of([4, 8, 16], [416, 864, 1856]).bend == pytest.approx(124 / 112)
    assert not Growth.of([4, 8, 16], [416, 864, 1856]).keeps("batch_size")


def test_where_another_phase_takes_over_the_peak_it_may_bend_but_not_double():
    """The larger of 100 + n and 8 n."""
    bent = Growth.of([8, 16, 32], [108, 128, 256])
    assert bent.keeps("latent_size")
    assert not bent.keeps("num_samples")


def test_a_step_of_a_linear_model_holds_what_can_be_counted_by_hand():
    """Pathwise, K = 1, one latent, no hidden layer, B data: the batch's own rows are `[B, 784]` or `[B, 1 or 2]`."""
    case = Case(Pathwise, lambda **options: GaussianVAE(hidden_sizes=(), **options), Sizes(1, 400, 1))
    sizes = [400, 800, 1600]
    growth = Growth.of(sizes, [step_peak(case, Sizes(1, batch, 1), CPU) for batch in sizes])
    wide, rest = divmod(growth.slope, 784 * 4)
    assert 2 <= wide <= 5, "logits, their gradient and what the likelihood makes of them"
    assert rest < 100 * 4, "some numbers a latent"


def test_f_alone_holds_no_more_than_the_step():
    case = CASES["ScoreFunction, LeaveOneOut, bits"]
    assert 0.8 * step_peak(case, case.usual, CPU) < f_peak(case, case.usual, CPU) < step_peak(case, case.usual, CPU)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Pathwise, normals", (1, 1.3)),
        ("REBAR, bits", (2, 2.0)),
        ("LocalExpectation, bits", (201, 1.3)),
        ("LocalExpectation, classes", (20 * 9 + 1, 1.3)),
        ("MeasureValued, normals", (3 * 50 + 1, 1.3)),
    ],
)
def test_what_one_more_sample_needs(name, expected):
    assert needs(CASES[name]) == expected


def test_numbers_of_a_full_covariance_are_seen_to_grow_with_the_square():
    def model(**options):
        return GaussianVAE(posterior=FullCovarianceNormal(), hidden_sizes=(5,), **options)

    found = measure(Case(Pathwise, model, Sizes(2, 10, 100)), 3, CPU)
    assert found["growth"]["latent_size"]["at_twice"] > 3.0
    assert "latent_size" in found["too_fast"]
    expected = measure(Case(Pathwise, model, Sizes(2, 10, 100), factorized=False), 3, CPU)
    assert "latent_size" not in expected["too_fast"]
    assert expected["growth"] == found["growth"], "nothing in it depends on the clock"


class TwiceAsMany(GradientEstimator):
    """Takes two samples for each that it declares."""

    bounds, differentiates_f, unbiased = (Average,), False, False

    def __init__(self, *, num_samples: int = 1) -> None:
        super().__init__(num_samples=num_samples)

    def estimate(self, target):
        objective = target.bound.value(target.values(target.q.sample((2 * self.num_samples,))))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


def test_evaluations_that_are_not_declared_are_seen():
    found = measure(Case(TwiceAsMany, DiscreteVAE, Sizes(4, 40, 20)), 3, CPU)
    assert found["over_f"] == pytest.approx(2.0, rel=0.1)
    assert found["over_f"] > found["most_over_f"] == 1.3


def test_it_prints_a_table_and_writes_numbers_and_figure(tmp_path, capsys):
    written, figure = tmp_path / "memory.json", tmp_path / "figures" / "memory.png"
    main(["--points=3", "--only=DisARM", f"--output={written}", f"--figure={figure}", "--device=cpu"])
    (name,) = json.loads(written.read_text())["estimators"]
    assert name == "DisARM, bits"
    assert "DisARM, bits" in capsys.readouterr().out
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--points=2"], "argument --points: expected an integer of at least 3, got 2"),
        (["--only", "DisARM", "Nobody"], "argument --only: expected some of Pathwise, MeasureValued, "),
    ],
)
def test_a_bad_option_ends_with_exit_code_2_and_one_message(given, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
