"""The methods that a model offers."""

from lightning.pytorch import LightningModule
from tests.running.like_a_vae import Own
from tests.running.models import gaussian

from reparam_suite.running.offers import has_forward, is_ours, offers


def test_what_a_model_offers():
    model = Own()
    assert offers(model, "encode", "prior")
    assert not offers(model, "encode", "posteriors")
    assert has_forward(model)
    assert not is_ours(model)
    assert is_ours(gaussian())
    assert not has_forward(LightningModule())
