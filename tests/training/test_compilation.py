"""Compiled training steps. In processes of their own: the shape checks of the other tests cannot be traced."""

import subprocess
import sys

import pytest
import torch
from lightning.pytorch import Callback
from tests.training.small import discrete, gaussian, seeded, trainer

from reparam_suite.data import Digits
from reparam_suite.estimators import StickTheLanding
from reparam_suite.objectives import ELBO
from reparam_suite.training import (
    Checkpoints,
    CompiledStep,
    GradientRecord,
    Journal,
    PathRecord,
    StepRecord,
    check_compilable,
    compile_options,
    shorten_loop,
)

MODELS = {
    "gaussian": lambda: gaussian(),
    "warm-up": lambda: gaussian(objective=ELBO(warmup_steps=4)),
    "in parts": lambda: gaussian(estimator=StickTheLanding()),
    "discrete": lambda: discrete(),
}


def trained(make, *, options=None, max_steps=11, ckpt_path=None, save=None, accelerator="cpu"):
    """The model and all that was recorded, the last batch of an epoch smaller than the others."""
    model, journal = make(), Journal()
    compiled = [] if options is None else [CompiledStep(**options)]
    record = StepRecord(every=3, journal=journal, checkpoints=Checkpoints())
    recorders = [
        record,
        GradientRecord(every=5, journal=journal, record=record),
        PathRecord(every=5, journal=journal),
        Checkpoints(),
    ]
    used = trainer(*compiled, *recorders, max_steps=max_steps, accelerator=accelerator)
    shorten_loop(used)
    with seeded():
        used.fit(model, datamodule=Digits(batch_size=300), ckpt_path=ckpt_path, weights_only=True)
        if save is not None:
            used.save_checkpoint(save)
    assert "training_step" not in vars(model), "the model has its own step again"
    assert type(model) is type(make())
    return model, {k: v for k, v in journal.curves.items() if not k.startswith(("time/", "memory/", "cost/"))}


def compare(options, names, tolerance, directory=None, accelerator="cpu"):
    for name in names:
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        (model, curves), (expected, same) = (
            trained(MODELS[name], options=each, accelerator=accelerator) for each in (options, None)
        )
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0, "it was compiled"
        assert model.state_dict().keys() == expected.state_dict().keys()
        for key, value in model.state_dict().items():
            torch.testing.assert_close(value, expected.state_dict()[key], rtol=tolerance, atol=tolerance)
        assert curves.keys() == same.keys()
        for key in curves:
            if "work_normalized" not in key:
                got, wanted = torch.tensor(curves[key]), torch.tensor(same[key])
                torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance)
        print(name)
    if directory:
        checkpoint = f"{directory}/stopped.ckpt"
        trained(MODELS["gaussian"], options=options, max_steps=5, save=checkpoint)
        resumed, _ = trained(MODELS["gaussian"], options=options, ckpt_path=checkpoint)
        whole, _ = trained(MODELS["gaussian"], options=options)
        assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))
        print("resumed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("road", "told"),
    [("aot_eager", [*MODELS, "resumed"]), ("inductor", ["gaussian"])],
)
def test_a_compiled_run_has_the_numbers_of_any_other(road, told, tmp_path):
    command = [sys.executable, "-m", __name__, road, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == told


def test_several_layers_are_refused_by_name():
    with pytest.raises(ValueError, match="compile: expected one layer of latents, got num_layers 2"):
        check_compilable(discrete(num_layers=2))


def test_an_objective_that_may_change_with_every_step_is_refused():
    def mine(model, x, step):
        return ELBO(weight=min(1.0, step / 10))(model, x, step)

    with pytest.raises(ValueError, match=r"expected an objective with `record_as` or `weight_at\(step\)`, got function"):
        check_compilable(gaussian(objective=mine))


def test_a_fit_that_fails_gives_the_model_its_own_step_back():
    class Fail(Callback):
        def on_train_start(self, *_):
            raise ZeroDivisionError

    model = gaussian()
    with seeded(), pytest.raises(ZeroDivisionError):
        trainer(CompiledStep(backend="eager"), Fail()).fit(model, datamodule=Digits(batch_size=300))
    assert "training_step" not in vars(model)
    assert type(model) is type(gaussian())


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
def test_a_run_with_cuda_graphs_has_the_numbers_of_any_other():
    done = subprocess.run([sys.executable, "-m", __name__, "cuda", ""], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    if sys.argv[1] == "aot_eager":
        compare({"backend": "aot_eager"}, MODELS, 0.0, sys.argv[2])
    elif sys.argv[1] == "inductor":
        compare(compile_options(torch.device("cpu")), ["gaussian"], 1e-4)
    else:
        compare(compile_options(torch.device("cuda")), ["gaussian"], 1e-3, accelerator="gpu")
