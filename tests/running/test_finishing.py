"""The end of a run of a model that is no VAE of the suite: what its methods make possible is drawn and recorded."""

import pytest
import torch
from tests.running.like_a_vae import Own, images

from reparam_suite import Run
from reparam_suite.data import datum_of
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.training import RecordSettings


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    tracking = TrackingSettings(root=tmp_path_factory.mktemp("own") / "mlruns")
    record = RecordSettings(every=2, test_samples=200)
    return Run(Own, images(), record=record, max_steps=3, tracking=tracking).fit(), tracking


def test_its_figures_are_drawn(result):
    finished, tracking = result
    figures = tracking.root / "artifacts" / finished.run_id / "artifacts" / "figures"
    assert {"reconstructions.png", "samples.png", "code_use.png"} <= {path.name for path in figures.iterdir()}


def test_its_use_of_latents_is_recorded(result):
    metrics = result[0].metrics
    assert 1.0 < metrics["latent/test/code_perplexity"] <= 2.0
    assert metrics["latent/val/information"] > 0.0


def test_the_bound_of_many_samples_is_that_of_its_own_densities(result):
    finished = result[0]
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    x = torch.cat([datum_of(batch) for batch in images().undivided("test")])
    with torch.no_grad():
        likelihood = finished.model.decode(states).log_prob(x.unsqueeze(1))  # [B, states]
        log_evidence = (likelihood + finished.model.prior().log_prob(states)).logsumexp(-1).mean()
    assert finished.metrics["test/bound_200"] == pytest.approx(float(log_evidence), abs=0.1)


def test_it_is_exported_with_its_decoder(result):
    finished, tracking = result
    graphs = {path.name for path in (tracking.root / "artifacts" / "models").rglob("*.pt2")}
    assert graphs == {"model.pt2", "decode.pt2", "sample.pt2"}
    assert Store.open(tracking).run(finished.run_id).info.status == "FINISHED"
