"""Graphs of a model: what they compute, and what is recorded where torch.export refuses them."""

import logging
from types import SimpleNamespace

import pytest
import torch
from tests.running.models import gaussian

from reparam_suite.data import Digits
from reparam_suite.running.export import decoder_of, export, sampler_of


class Logger:
    """Notes the models that it is given; the first `refusals` of them cannot be exported."""

    run_id = "its id"

    def __init__(self, refusals: int) -> None:
        self.models: list[dict] = []
        self.tags: dict[str, str] = {}
        self._left = refusals

    def log_model(self, model, example, **options):
        if self._left:
            self._left -= 1
            raise RuntimeError("no graph of this\nand more")
        self.models.append({"example": tuple(example.shape), **options})

    def set_tags(self, tags):
        self.tags |= tags


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return gaussian().eval()


def test_the_decoder_gives_the_mean_and_the_sampler_that_of_draws_from_the_prior(model):
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    logits = model.likelihood.network(z)
    torch.testing.assert_close(decoder_of(model)(z), logits.sigmoid())
    with torch.random.fork_rng():
        torch.manual_seed(2)
        drawn = sampler_of(model)(torch.zeros(5))
        torch.manual_seed(2)
        torch.testing.assert_close(drawn, model.likelihood.network(torch.randn(5, 3)).sigmoid())


def test_the_model_is_recorded_with_decoder_samples_and_what_integers_stand_for(model):
    logger, before = Logger(0), torch.get_rng_state()
    export(model, Digits(), logger)
    (recorded,) = logger.models
    assert (recorded["divisor"], recorded["binarized"]) == (16, True)
    assert recorded["example"] == (100, 64)
    assert (recorded["decode"][1].shape, recorded["sample"][1].shape) == ((2, 3), (2,))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_decoder_that_has_no_graph_leaves_that_of_the_model(model, caplog):
    logger = Logger(1)
    with caplog.at_level(logging.INFO):
        export(model, Digits(), logger)
    (recorded,) = logger.models
    assert set(recorded) == {"example", "divisor", "binarized"}
    assert "run its id: no graphs of decoder and samples: no graph of this" in caplog.text
    assert logger.tags == {}


def test_a_model_without_any_graph_is_said_and_tagged(model, caplog):
    logger = Logger(2)
    with caplog.at_level(logging.WARNING):
        export(model, Digits(), logger)
    assert logger.models == []
    assert caplog.messages == ["run its id: the model is not exported, torch.export refuses it: no graph of this"]
    assert logger.tags == {"exported_model": "none: no graph of this"}


def test_a_prior_that_cannot_be_sampled_is_no_obstacle_to_the_model():
    def prior():
        raise ValueError("not finite")

    logger = Logger(0)
    export(SimpleNamespace(prior=prior), Digits(), logger)
    assert [set(recorded) for recorded in logger.models] == [{"example", "divisor", "binarized"}]
