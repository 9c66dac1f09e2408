"""The result of a run: its metrics, curves, model and figures."""

import pytest
import torch

from reparam_suite.tracking import Store


def test_a_result_has_the_metrics_that_are_on_record(result, tracking):
    recorded = Store.open(tracking).run(result.run_id)
    assert recorded.info.status == "FINISHED"
    assert recorded.data.metrics == pytest.approx(dict(result.metrics))
    assert (result.name, result.seed, result.num_steps) == ("Pathwise-3-Digits", 3, 8)
    assert {"test/elbo", "grad/encoder/variance", "val/elbo_best", "val/elbo_best_step"} <= set(result.metrics)


def test_the_history_of_a_metric_is_a_frame(result):
    frame = result.history("train/elbo")
    assert list(frame.columns) == ["step", "value"]
    assert list(frame["step"]) == [1, 4, 8]
    assert frame["value"].iloc[-1] == result.metrics["train/elbo"]
    with pytest.raises(KeyError, match=r"history: expected one of .*train/elbo.*, got train/nothing"):
        result.history("train/nothing")


def test_the_model_of_a_result_has_the_best_weights_and_no_trainer(result, tracking):
    best = tracking.root / "checkpoints" / result.run_id / "best.ckpt"
    saved = torch.load(best, weights_only=True)["state_dict"]
    assert all(torch.equal(value, saved[name]) for name, value in result.model.state_dict().items())
    assert not result.model.training
    assert result.model._trainer is None


def test_figures_are_drawn_by_name(result, regression):
    assert {"reconstructions", "samples", "latent_traversal", "curves", "gradient_variance"} <= set(result.figures())
    assert {"curves", "gradient_variance"} <= set(regression.figures())
    assert "reconstructions" not in regression.figures()
