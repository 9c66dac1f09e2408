"""Use of the latents, over the validation data at every validation, and over the test data."""

import pytest
import torch
from tests.training.small import discrete, gaussian, seeded, trainer

from reparam_suite.data import Digits
from reparam_suite.diagnostics import latent_use
from reparam_suite.training import Checkpoints, Journal, LatentRecord, StepRecord, Validation
from reparam_suite.training.latents import TEST_FILE

FIGURES = {"active_units", "aggregate_kl", "information"}


def run(model, *, recorded: bool = True):
    """Seven steps with a validation after the third and the sixth, then a test."""
    journal, data = Journal(), Digits(batch_size=300)
    record = StepRecord(every=5, journal=journal, checkpoints=Checkpoints())
    with seeded():
        validation = Validation(journal=journal, record=record, checkpoints=Checkpoints())
        latents = [LatentRecord(journal=journal, record=record)] if recorded else []
        callbacks = [record, validation, *latents]
        used = trainer(*callbacks, max_steps=7, val_check_interval=3, check_val_every_n_epoch=None)
        used.fit(model, datamodule=data)
        noise = torch.rand(())
        used.test(model, datamodule=data, verbose=False)
    return journal, data, noise


@pytest.mark.parametrize(("make", "more"), [(gaussian, set()), (discrete, {"code_perplexity"})])
def test_they_are_recorded_where_the_bounds_are(make, more):
    journal, _, _ = run(make())
    recorded = {name: [step for step, _ in journal.curves[name]] for name in journal.curves if "latent/" in name}
    assert recorded == {f"latent/val/{figure}": [0, 3, 6, 7] for figure in FIGURES | more} | {
        f"latent/test/{figure}": [7] for figure in FIGURES | more
    }
    assert set(journal.arrays) == {TEST_FILE}
    assert set(journal.arrays[TEST_FILE]) == {"kl_per_latent", "aggregate_kl"} | more


@pytest.mark.parametrize("stage", ["val", "test"])
def test_they_are_those_of_the_whole_data_set(stage):
    model = discrete()
    journal, data, _ = run(model)
    model.eval()
    use = latent_use(model.posterior(torch.zeros(1, 64)), model.prior())
    for batch in data.val_dataloader() if stage == "val" else data.test_dataloader():
        use.update(model.posterior(batch), model.prior())
    expected = use.compute()
    assert journal.latest(f"latent/{stage}/active_units") == float(expected["active_units"])
    information = (expected["kl_per_latent"] - expected["aggregate_kl"]).sum()
    assert journal.latest(f"latent/{stage}/information") == pytest.approx(float(information), rel=1e-5)
    perplexity = float(expected["code_perplexity"].mean())
    assert journal.latest(f"latent/{stage}/code_perplexity") == pytest.approx(perplexity, rel=1e-6)


def test_the_top_layer_of_several_is_measured():
    model = discrete(num_layers=2)
    journal, _, _ = run(model)
    assert journal.arrays[TEST_FILE]["kl_per_latent"].shape == (3,)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_looking_leaves_the_run_as_it_is_to_the_last_bit(num_layers: int):
    ends, noises = [], []
    for recorded in (True, False):
        model = discrete(num_layers=num_layers)
        noises.append(run(model, recorded=recorded)[2])
        ends.append(model.state_dict())
    assert torch.equal(*noises)
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name
