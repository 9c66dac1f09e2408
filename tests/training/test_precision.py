"""Mixed precision on the CPU, gradients accumulated and clipped: what is trained, and what is recorded of it."""

import pytest
import torch
from lightning.pytorch import Callback
from tests.statistics import LIMIT
from tests.training.small import categorical, discrete, gaussian, seeded, trainer

from reparam_suite.data import Digits
from reparam_suite.distributions import FullCovarianceNormal
from reparam_suite.estimators import REBAR, GumbelSoftmax, ScoreFunction, StickTheLanding
from reparam_suite.models import OptimizerSettings
from reparam_suite.objectives import ImportanceWeighted
from reparam_suite.training import Checkpoints, GradientRecord, Journal, StepRecord, Validation

MODELS = {
    "gaussian": lambda **more: gaussian(**more),
    "full covariance": lambda **more: gaussian(posterior=FullCovarianceNormal(), estimator=StickTheLanding(), **more),
    "importance-weighted": lambda **more: gaussian(
        estimator=StickTheLanding(num_samples=3), objective=ImportanceWeighted(), **more
    ),
    "bits": lambda **more: discrete(prior="learned", **more),
    "control variate": lambda **more: discrete(estimator=REBAR(), **more),
    "two layers": lambda **more: discrete(num_layers=2, **more),
    "categorical": lambda **more: categorical(estimator=GumbelSoftmax(), **more),
}
STANDING_STILL = OptimizerSettings(name="SGD", learning_rate=1e-30)


class Types(Callback):
    """The types of what a step leaves."""

    def __init__(self):
        self.seen = set()

    def on_after_backward(self, _, model):
        self.seen |= {parameter.grad.dtype for parameter in model.parameters() if parameter.grad is not None}

    def on_train_batch_end(self, _, model, outputs, *__):
        self.seen |= {outputs["objective"].dtype, *(parameter.dtype for parameter in model.parameters())}


def run(model, *more: Callback, max_steps: int = 6, **options):
    journal, checkpoints = Journal(), Checkpoints()
    record = StepRecord(every=2, journal=journal, checkpoints=checkpoints)
    callbacks = [
        record,
        Validation(journal=journal, record=record, checkpoints=checkpoints),
        GradientRecord(every=2, journal=journal, record=record),
    ]
    data = Digits(batch_size=300)
    with seeded():
        used = trainer(*callbacks, *more, max_steps=max_steps, **options)
        used.fit(model, datamodule=data)
    return used, journal, data


@pytest.mark.parametrize("name", MODELS)
def test_every_model_trains_in_mixed_precision_and_its_numbers_are_float32(name):
    types = Types()
    _, journal, _ = run(MODELS[name](), types, precision="bf16-mixed")
    _, exact, _ = run(MODELS[name]())
    assert types.seen == {torch.float32}
    for metric in ("val/elbo", "val/bound_10"):
        before, *_, after = [value for _, value in journal.curves[metric]]
        assert (before, after) == pytest.approx((exact.curves[metric][0][1], exact.curves[metric][-1][1]), rel=0.01)
        assert before != exact.curves[metric][0][1], "autocast does reach the networks"


def test_the_first_validation_is_as_precise_as_lightnings_own():
    model = MODELS["bits"](optimizer=STANDING_STILL)
    _, journal, _ = run(model, precision="bf16-mixed")
    at_start, of_lightning, at_end = journal.curves["val/elbo"]
    assert (at_start[0], of_lightning[0], at_end[0]) == (0, 5, 6)
    assert at_start[1] == of_lightning[1] == at_end[1]


# ---------------------------------------------------------------------------------------------- accumulated and clipped


def variances(journal: Journal) -> list[tuple[float, float]]:
    name = "grad/encoder/variance"
    values = zip(journal.curves[name], journal.curves[f"{name}_standard_error"], strict=True)
    return [(value, error) for (_, value), (_, error) in values]


def test_clipping_does_not_change_what_is_reported_of_the_gradient():
    """To the last bit: the same noise falls, and the gradient is measured before it is clipped."""
    options = {"estimator": ScoreFunction(num_samples=2), "optimizer": STANDING_STILL}
    _, free, _ = run(MODELS["bits"](**options))
    _, clipped, _ = run(MODELS["bits"](**options), gradient_clip_val=1e-6)
    assert variances(free) == variances(clipped)


def test_accumulation_does_not_change_what_is_reported_of_the_gradient():
    """The variance is that of one batch's gradient: averaged over the two it would be half as much."""
    options = {"estimator": ScoreFunction(num_samples=2), "optimizer": STANDING_STILL}
    _, single, _ = run(MODELS["bits"](**options))
    used, accumulated, _ = run(MODELS["bits"](**options), accumulate_grad_batches=2)
    assert used.global_step == 6
    assert [step for step, _ in accumulated.curves["grad/encoder/variance"]] == [1, 2, 4, 6]
    for (one, error), (two, its) in zip(variances(single), variances(accumulated), strict=True):
        assert abs(one - two) < LIMIT * (error**2 + its**2) ** 0.5
        assert abs(one - two / 2.0) > LIMIT * (error**2 + its**2) ** 0.5


def test_milliseconds_are_those_of_an_optimizer_step():
    _, journal, _ = run(MODELS["bits"](), accumulate_grad_batches=2, max_steps=4)
    milliseconds = dict(journal.curves["time/ms_per_step"])
    rate = dict(journal.curves["time/samples_per_second"])
    assert list(milliseconds) == [1, 2, 4]
    assert milliseconds[1] * rate[1] / 1e3 == pytest.approx(600.0), "the rows of a step, two batches"
