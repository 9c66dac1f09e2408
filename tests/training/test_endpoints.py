"""The closer look after the first step and the last."""

import pytest
import torch
from tests.training.small import discrete, gaussian, seeded, trainer

from reparam_suite.data import Digits
from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.estimators import Pathwise, StraightThrough
from reparam_suite.training import Checkpoints, EndpointRecord, Journal, StepRecord
from reparam_suite.training.endpoints import ELEMENT_VARIANCES


def run(model, *, max_steps: int = 6, batch_size: int = 100) -> Journal:
    journal = Journal()
    record = StepRecord(every=3, journal=journal, checkpoints=Checkpoints())
    with seeded():
        used = trainer(record, EndpointRecord(journal=journal, record=record), max_steps=max_steps)
        used.fit(model, datamodule=Digits(batch_size=batch_size))
    return journal


def endpoints(journal: Journal) -> dict[str, list[int]]:
    return {name: [step for step, _ in points] for name, points in journal.curves.items() if name.startswith("grad/")}


def test_the_variance_over_minibatches_is_recorded_with_its_error_at_both_ends():
    recorded = endpoints(run(gaussian()))
    assert recorded == {
        f"grad/{group}/data_variance{suffix}": [1, 6]
        for group in ("encoder", "decoder")
        for suffix in ("", "_standard_error")
    }


def test_the_variance_of_every_element_is_kept_by_its_name():
    model = discrete(prior="learned")
    journal = run(model)
    assert list(journal.arrays) == [f"{ELEMENT_VARIANCES}{step}" for step in (1, 6)]
    last = journal.arrays[f"{ELEMENT_VARIANCES}6"]
    parts = {"posterior": "encoder", "likelihood": "decoder", "prior": "prior"}
    shapes = {
        f"{parts[module]}/{name}": tensor.shape
        for module, _, name, tensor in (
            (*full.partition("."), parameter) for full, parameter in model.named_parameters()
        )
    }
    assert {name: tensor.shape for name, tensor in last.items()} == shapes | {"logits": (100, 3)}
    data = Digits(batch_size=100)
    data.setup()
    with seeded(4):
        truth = gradient_statistics(model, data.sample_batch("train"), 200)
    for group in ("encoder", "decoder", "logits"):
        total = sum(tensor.sum() for name, tensor in last.items() if name.partition("/")[0] == group)
        assert float(total) == pytest.approx(float(truth[group].variance), rel=0.2), group


def test_a_biased_estimator_is_seen_to_be_biased_where_its_states_can_be_enumerated():
    journal = run(discrete(estimator=StraightThrough(), learning_rate=1e-2), max_steps=30)
    for name in ("relative_bias", "squared_bias", "squared_bias_standard_error", "cosine", "cosine_standard_error"):
        assert [step for step, _ in journal.curves[f"grad/encoder/{name}"]] == [1, 30], name
    bias, error = (journal.latest(f"grad/encoder/{name}") for name in ("squared_bias", "squared_bias_standard_error"))
    assert bias > 5.5 * error
    assert journal.latest("grad/encoder/cosine") < 0.9


def test_quadrature_is_the_reference_of_one_normal_latent():
    journal = run(gaussian(latent_size=1, estimator=Pathwise(num_samples=20)))
    assert journal.latest("grad/encoder/cosine") == pytest.approx(1.0, abs=0.05)
    assert journal.latest("grad/loc/relative_bias") < 0.2


@pytest.mark.parametrize(
    ("model", "batch_size"),
    [
        (lambda: discrete(latent_size=8), 100),  # 256 states of 100 data: too many rows
        (lambda: discrete(latent_size=30), 20),  # not to be enumerated at all
        (lambda: gaussian(latent_size=2), 100),
    ],
)
def test_a_reference_that_is_too_dear_is_not_made(model, batch_size):
    assert not [name for name in run(model(), batch_size=batch_size).curves if "bias" in name or "cosine" in name]


def test_a_run_of_one_step_is_looked_at_once():
    journal = run(gaussian(), max_steps=1)
    assert list(journal.arrays) == [f"{ELEMENT_VARIANCES}1"]
    assert [step for step, _ in journal.curves["grad/encoder/data_variance"]] == [1]


def test_two_data_have_no_standard_error_and_none_is_recorded():
    journal = run(gaussian(), batch_size=2)
    assert not any("data_variance" in name for name in journal.curves)


def test_looking_leaves_the_run_as_it_is_to_the_last_bit():
    ends = []
    for callbacks in (True, False):
        model = discrete(prior="learned")
        if callbacks:
            run(model)
        else:
            with seeded():
                trainer(max_steps=6).fit(model, datamodule=Digits(batch_size=100))
        ends.append(model.state_dict())
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name
