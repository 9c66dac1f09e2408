"""The end of a run of a model that is no VAE of the suite: what its methods make possible is drawn and recorded."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.distributions.foreign import Switches
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from reparam_suite import Run
from reparam_suite.data import Arrays, datum_of
from reparam_suite.distributions import bernoulli, normal
from reparam_suite.estimators import Expectation, LeaveOneOut, Pathwise, ScoreFunction
from reparam_suite.models import EstimatorModule
from reparam_suite.running.artifacts import figures_of
from reparam_suite.running.offers import has_forward, is_ours, offers
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.training import RecordSettings

NO_TRAINING = SimpleNamespace(curves={}, arrays={})


class Own(EstimatorModule):
    """A model of the bits of small images, through three switches, that knows nothing of `VAE`."""

    def __init__(self) -> None:
        super().__init__(estimator=ScoreFunction(num_samples=2, baseline=LeaveOneOut()))
        self.inwards, self.outwards = nn.Linear(16, 3), nn.Linear(3, 16)

    def encode(self, x: Tensor) -> Switches:
        return Switches(self.inwards(x).sigmoid().clamp(0.01, 0.99))

    posterior = encode

    def prior(self) -> Switches:
        return Switches(torch.full((3,), 0.5))

    def decode(self, z: Tensor):
        return bernoulli(self.outwards(z))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return self.decode(z).log_prob(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x).mean).mean

    def sample(self, n: int) -> Tensor:
        return self.decode(self.prior().sample((n,))).mean

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x).mean

    def expectation(self, batch) -> Expectation:
        x, prior = datum_of(batch), self.prior()
        return Expectation(
            q=self.encode(x), f=lambda z, q: self.log_likelihood(x, z) + prior.log_prob(z) - q.log_prob(z)
        )

    def validation_step(self, batch, batch_idx: int) -> None:
        self.log("val/objective", self.estimator(self.expectation(batch)).objective.mean())

    def test_step(self, batch, batch_idx: int) -> None:
        self.log("test/objective", self.estimator(self.expectation(batch)).objective.mean())


class Real(Own):
    """The same through three real latents, with a prior about 10."""

    def __init__(self) -> None:
        super().__init__()
        self.estimator = Pathwise()

    def encode(self, x: Tensor):
        return normal(self.inwards(x), F.softplus(self.inwards(x)))

    def prior(self):
        return Independent(Normal(torch.full((3,), 10.0), 2.0), 1)


class Otherwise(Real):
    """Methods of the names, and of another meaning."""

    def sample(self, like: Tensor, temperature: float) -> Tensor:
        raise AssertionError

    def reconstruct(self, x: Tensor, *, noise: Tensor) -> Tensor:
        raise AssertionError


def images() -> Arrays:
    x = (np.random.default_rng(0).random((60, 1, 4, 4)) < 0.4).astype(np.float32).reshape(60, 16)
    return Arrays.of(train=x[:40], valid=x[40:50], test=x[50:], name="images")


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


def test_real_latents_are_moved_about_their_prior():
    model, seen = Real(), []
    model.decode = lambda z: seen.append(z) or bernoulli(z.repeat_interleave(6, -1)[..., :16])
    names = {name for name, _ in figures_of(model, images(), NO_TRAINING)}
    assert "latent_traversal" in names
    assert "code_use" not in names
    moved = seen[-1].detach()  # [latents, values, D]
    assert moved.amin() == pytest.approx(10.0 - 2.5 * 2.0)
    assert moved.amax() == pytest.approx(10.0 + 2.5 * 2.0)


def test_a_method_of_another_meaning_draws_nothing_and_ends_nothing():
    names = {name for name, _ in figures_of(Otherwise(), images(), NO_TRAINING)}
    assert names == {"latent_traversal"}


def test_what_a_model_offers():
    model = Own()
    assert offers(model, "encode", "prior")
    assert not offers(model, "encode", "posteriors")
    assert has_forward(model)
    assert not is_ours(model)
