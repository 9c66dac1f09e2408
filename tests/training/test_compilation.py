"""A fit whose steps are compiled: the numbers, the records and the checkpoints of any other."""

import logging

import pytest
import torch
from lightning.pytorch import Callback
from tests.training.small import discrete, gaussian, seeded, trainer

from reparam_suite.data import Digits
from reparam_suite.estimators import ControlledPathwise, MuProp, ScoreFunction, StickTheLanding
from reparam_suite.estimators.baselines import VarianceNormalized
from reparam_suite.models import CosineSchedule, OptimizerSettings, StepSchedule
from reparam_suite.objectives import ELBO
from reparam_suite.runtime.errors import UsageError
from reparam_suite.training import (
    Checkpoints,
    CompiledStep,
    GradientRecord,
    Journal,
    PathRecord,
    StepRecord,
    check_compilable,
    compile_options,
    compiled_step,
    shorten_loop,
)

MODELS = {
    "gaussian": gaussian,
    "warm-up": lambda: gaussian(objective=ELBO(warmup_steps=4)),
    "by parts": lambda: gaussian(optimizer={"encoder": OptimizerSettings(name="SGD", options={"momentum": 0.9})}),
    "rates on schedules": lambda: gaussian(
        optimizer={
            "encoder": OptimizerSettings(name="NAdam", schedule=StepSchedule(every=2)),
            "decoder": OptimizerSettings(schedule=CosineSchedule(num_steps=20, warmup_steps=2)),
        }
    ),
    "score within": lambda: gaussian(estimator=StickTheLanding()),
    "moving averages": lambda: discrete(estimator=ScoreFunction(num_samples=2, baseline=VarianceNormalized())),
    "control loss": lambda: gaussian(estimator=ControlledPathwise()),
    "second derivatives": lambda: discrete(estimator=MuProp()),
}


class Traced:
    """Stands for the compiler, and counts what it makes and how often that is called."""

    def __init__(self):
        self.made = self.taken = 0

    def __call__(self, graph, inputs, options):
        self.made += 1

        def function(*tensors):
            self.taken += 1
            return graph(*tensors)

        return function


@pytest.fixture
def traced_alone(monkeypatch):
    """The graph as PyTorch runs it: what inductor makes of it takes half a minute."""
    traced = Traced()
    monkeypatch.setattr(compiled_step, "compiled", traced)
    return traced


def trained(make, *, compiled, max_steps=11, ckpt_path=None, save=None, accelerator="cpu", **options):
    """The model and all that was recorded, the last batch of an epoch smaller than the others."""
    model, journal = make(), Journal()
    record = StepRecord(every=3, journal=journal, checkpoints=Checkpoints())
    recorders = [
        record,
        GradientRecord(every=5, journal=journal, record=record),
        PathRecord(every=5, journal=journal),
        *([CompiledStep(journal=journal, record=record)] if compiled else []),
        Checkpoints(),
    ]
    used = trainer(*recorders, max_steps=max_steps, accelerator=accelerator, **options)
    shorten_loop(used)
    with seeded():
        used.fit(model, datamodule=Digits(batch_size=300), ckpt_path=ckpt_path, weights_only=True)
        if save is not None:
            used.save_checkpoint(save)
        after = torch.rand(1)
    curves = {k: v for k, v in journal.curves.items() if not k.startswith(("time/", "memory/", "cost/"))}
    assert ("time/compile_seconds" in journal.curves) is compiled
    return model, curves, after


def assert_same(found, expected, tolerance):
    (model, curves, noise), (same, other_curves, other_noise) = found, expected
    assert torch.equal(noise, other_noise), "the generator stands where it stood"
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, same.state_dict()[key], rtol=tolerance, atol=tolerance)
    assert curves.keys() == other_curves.keys()
    for key in curves:
        if "work_normalized" not in key:
            got, wanted = torch.tensor(curves[key]), torch.tensor(other_curves[key])
            torch.testing.assert_close(got, wanted, rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_a_traced_step_is_the_step(name, traced_alone, caplog):
    options = {"gradient_clip_val": 0.5} if name == "gaussian" else {}
    with caplog.at_level(logging.WARNING):
        found = trained(MODELS[name], compiled=True, **options)
    assert not caplog.messages, "it was traced"
    # The first two steps are not taken compiled, nor is the last of an epoch; one more was taken on copies.
    assert (traced_alone.made, traced_alone.taken) == (1, 5 if name == "warm-up" else 8)
    # Fused Adam is another order of the same operations.
    assert_same(found, trained(MODELS[name], compiled=False, **options), 2e-6)


@pytest.mark.slow
def test_a_compiled_run_has_the_numbers_of_any_other_and_resumes(tmp_path):
    def scheduled():
        halved = StepSchedule(every=3)
        settings = {"encoder": OptimizerSettings(schedule=halved), "decoder": OptimizerSettings(name="SGD")}
        return gaussian(optimizer=settings)

    found = trained(scheduled, compiled=True)
    assert_same(found, trained(scheduled, compiled=False), 1e-5)
    checkpoint = tmp_path / "stopped.ckpt"
    trained(scheduled, compiled=True, max_steps=5, save=checkpoint)
    # It compiles before its first step instead of its second, and takes that one uncompiled.
    resumed, *_ = trained(scheduled, compiled=True, ckpt_path=checkpoint)
    for key, value in found[0].state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], value, rtol=1e-5, atol=1e-5)


def test_what_cannot_be_traced_is_told_and_trained_uncompiled(traced_alone, caplog):
    class Asks(type(gaussian())):
        def expectation(self, batch):
            if batch.sum() > 0:
                return super().expectation(batch)
            raise AssertionError

    def asking():
        model = gaussian()
        model.__class__ = Asks
        return model

    with caplog.at_level(logging.WARNING):
        found = trained(asking, compiled=True)
    assert caplog.messages[0].startswith("the steps are not compiled: ")
    assert "data-dependent" in caplog.messages[0]
    assert_same(found, trained(gaussian, compiled=False), 0.0)


def test_a_compiled_step_that_is_another_one_is_not_taken(monkeypatch, caplog):
    def spoilt(graph, inputs, options):
        def function(*tensors):
            returned = graph(*tensors)
            tensors[0].mul_(1.001)
            return returned

        return function

    monkeypatch.setattr(compiled_step, "compiled", spoilt)
    with caplog.at_level(logging.WARNING):
        found = trained(gaussian, compiled=True)
    assert caplog.messages == [
        "the steps are not compiled: it would change posterior.network.0.weight otherwise than the step itself"
    ]
    assert_same(found, trained(gaussian, compiled=False), 0.0)


def test_several_layers_are_refused_by_name():
    with pytest.raises(ValueError, match="compile: expected one layer of latents, got num_layers 2"):
        check_compilable(discrete(num_layers=2))


def test_an_objective_that_may_change_with_every_step_is_refused():
    def mine(model, x, step):
        return ELBO(weight=min(1.0, step / 10))(model, x, step)

    with pytest.raises(
        ValueError, match=r"expected an objective with `record_as` or `weight_at\(step\)`, got function"
    ):
        check_compilable(gaussian(objective=mine))


def test_what_acts_within_a_step_is_refused_by_name(traced_alone):
    class Watch(Callback):
        def on_after_backward(self, trainer, pl_module):
            """Sees the gradient before the step."""

    used = trainer(CompiledStep(), Watch())
    shorten_loop(used)
    with seeded(), pytest.raises(UsageError, match=r"acts within a step, got Watch\.on_after_backward"):
        used.fit(gaussian(), datamodule=Digits(batch_size=300))


def test_a_trainer_with_lightnings_loop_is_refused():
    with seeded(), pytest.raises(ValueError, match="expected a trainer that `shorten_loop` was given"):
        trainer(CompiledStep()).fit(gaussian(), datamodule=Digits(batch_size=300))


def test_a_missing_compiler_is_told(monkeypatch):
    from torch._inductor import cpp_builder
    from torch._inductor.exc import InvalidCxxCompiler

    def none():
        raise InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    with pytest.raises(ValueError, match=r"expected a C\+\+ compiler, g\+\+ or what CXX names, got none"):
        compile_options(torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_a_compiled_run_on_a_gpu_has_the_numbers_of_any_other():
    assert_same(
        trained(gaussian, compiled=True, accelerator="gpu"), trained(gaussian, compiled=False, accelerator="gpu"), 1e-3
    )
