"""The result of a comparison of gradients as a frame and a figure."""

import math

import pytest
from matplotlib import pyplot as plt
from tests.comparison.rows import COST, bias, comparison, row
from tests.comparison.small import COLUMNS, RLOO, SIZES

from reparam_suite.comparison import compare_gradients
from reparam_suite.estimators import DisARM, Pathwise
from reparam_suite.models import DiscreteVAE, GaussianVAE


def test_the_frame_is_of_the_first_part():
    frame = comparison(row("A()", 5.0, bias={"encoder": bias(0.1, 0.2)}), row("B()", 2.0, ms=7.0)).frame
    assert list(frame.index) == ["A()", "B()"]
    assert frame.index.name == "estimator"
    assert list(frame["variance"]) == [5.0, 2.0]
    assert list(frame["snr"]) == pytest.approx([1.6, 4.0])  # 8 over the variance
    assert frame["cosine"]["A()"] == pytest.approx(0.9876)
    assert math.isnan(frame["cosine"]["B()"])
    assert list(frame["evaluations"]) == [4, 4]
    assert list(frame["ms"]) == [2.0, 7.0]


def test_training_has_columns_only_where_there_was_some():
    plain = list(comparison(row("A()", 5.0)).frame.columns)
    frame = comparison(
        row("A()", 5.0), row("B()", 2.0), training={"A()": COST}, untrained={"A()": row("A()", 9.0)}
    ).frame
    assert [name for name in frame.columns if name not in plain] == ["untrained", "training_evaluations", "training_ms"]
    assert frame.loc["A()", ["untrained", "training_evaluations", "training_ms"]].tolist() == [9.0, 1200, 4567.8]
    assert frame.loc["B()", ["untrained", "training_evaluations", "training_ms"]].isna().all()


def test_the_figure_has_each_estimator_at_its_cost_and_variance():
    ax, _ = comparison(row("A()", 5.0), row("B()", 2.0, ms=7.0, unbiased=False)).figure("decoder").axes
    drawn = [bar.lines[0] for bar in ax.containers]
    assert {tuple(mark.get_xydata()[0]) for mark in drawn} == {(2.0, 2.5), (7.0, 1.0)}
    assert [mark.get_markerfacecolor() == "white" for mark in drawn].count(True) == 1, "the biased one is hollow"


def test_the_frame_of_estimators_that_do_not_fit_is_empty(x):
    comparison = compare_gradients(GaussianVAE(**SIZES, estimator=Pathwise()), x, [DisARM()])
    assert comparison.frame.empty
    assert list(comparison.frame.columns) == COLUMNS
    with pytest.raises(ValueError, match=r"figure: expected a measured estimator, got none; left out: DisARM\(\)"):
        comparison.figure()


def test_the_figure_is_drawn_without_the_state_of_pyplot(x, tmp_path):
    comparison = compare_gradients(DiscreteVAE(**SIZES), x, [DisARM(), RLOO])
    comparison.figure().savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert plt.get_fignums() == []
    comparison.figure("decoder")
    with pytest.raises(ValueError, match="part: expected encoder, decoder, logits, got loc"):
        comparison.figure("loc")
