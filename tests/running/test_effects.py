"""Every option of a run that resumes takes effect, or is refused with the reason and the run stays as it was."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import EarlyStopping
from tests.running.models import gaussian
from tests.running.resuming import Brief, Stopped, fit

from reparam_suite import Run
from reparam_suite.data import Digits, Loaders
from reparam_suite.distributions import FullCovarianceNormal, NormalLikelihood
from reparam_suite.estimators import REBAR, GumbelSoftmax, Pathwise, ScoreFunction, StickTheLanding
from reparam_suite.models import DiscreteVAE, GaussianVAE, OptimizerSettings, StepSchedule
from reparam_suite.networks import MLP
from reparam_suite.objectives import ELBO
from reparam_suite.running.effects import check_effects
from reparam_suite.runtime.errors import SuiteError
from reparam_suite.tracking import TensorBoard
from reparam_suite.training import CheckpointSettings, RecordSettings


def model(**options) -> Callable[[], GaussianVAE]:
    return lambda: gaussian(**options)


def rates(trainer, _) -> list[float]:
    return [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]


# Of each argument of the model: another value, and what is seen of it before the next step, or why it is refused.
ANOTHER = "is of another architecture: "
OF_THE_MODEL: dict[str, tuple[Any, Callable[[Any, Any], Any] | str, Any]] = {
    "event_shape": (
        (8, 8),
        "data: expected rows of shape (8, 8), the event_shape of GaussianVAE, got (64,) from Digits",
        None,
    ),
    "latent_size": (4, f"{ANOTHER}posterior.network.2.weight is [6, 8] there, [8, 8] here", None),
    "posterior": (FullCovarianceNormal(), f"{ANOTHER}posterior.network.2.weight is [6, 8] there, [9, 8] here", None),
    "likelihood": (NormalLikelihood(), f"{ANOTHER}likelihood.family.log_scale is absent there, [] here", None),
    "encoder": (MLP(hidden_sizes=(8,), activation="tanh"), lambda _, own: "Tanh" in str(own.posterior), True),
    "decoder": (MLP(hidden_sizes=(9,)), f"{ANOTHER}likelihood.network.0.weight is [8, 3] there, [9, 3] here", None),
    "prior": ("learned", f"{ANOTHER}prior.loc is absent there, [3] here", None),
    "objective": (ELBO(weight=0.5), lambda _, own: own.objective.weight, 0.5),
    "estimator": (StickTheLanding(), lambda _, own: type(own.estimator), StickTheLanding),
    "hidden_sizes": ((9,), f"{ANOTHER}posterior.network.0.weight is [8, 64] there, [9, 64] here", None),
    "activation": ("tanh", lambda _, own: "Tanh" in str(own.likelihood), True),
    "centre_input": (True, f"{ANOTHER}posterior.network.0.weight is [8, 64] there, absent here", None),
    "initialize_bias": (True, f"{ANOTHER}likelihood.network.0.weight is [8, 3] there, absent here", None),
    "learning_rate": (0.5, rates, [0.5]),
    "optimizer": (OptimizerSettings(learning_rate=0.25), rates, [0.25]),
}


@pytest.mark.parametrize("name", OF_THE_MODEL)
def test_an_argument_of_the_model_takes_effect_or_is_refused(run, name):
    value, look, expected = OF_THE_MODEL[name]
    if isinstance(look, str):
        refused(run, look, model=model(**{name: value}))
    else:
        assert run.look(look, model=model(**{name: value})) == expected
        assert any(line.startswith(f"--model.init_args.{name}") for line in run.told)


def refused(run: Stopped, message: str, **changes) -> None:
    before = run.state()
    with pytest.raises(SuiteError) as error:
        run.look(**changes)
    assert message in str(error.value)
    assert run.state() == before
    assert run.look(lambda trainer, _: trainer.global_step) == 6, "it resumes as if nothing had been asked for"


def test_every_argument_of_the_model_is_in_the_table():
    assert set(OF_THE_MODEL) == set(inspect.signature(GaussianVAE).parameters)


def test_a_schedule_that_is_new_is_at_the_step_of_the_run(run):
    scheduled = model(optimizer=OptimizerSettings(schedule=StepSchedule(every=4, factor=0.25)))
    assert run.look(rates, model=scheduled) == [1e-3 * 0.25]


OF_THE_RUN: dict[str, tuple[Any, Callable[[Any, Any], Any] | str, Any]] = {
    "seed": (1, "--seed was 0, is 1: the random streams are on record and continue as they were", None),
    "name": ("other", lambda trainer, _: trainer.global_step, 6),
    "tags": ({"a": "b"}, lambda trainer, _: trainer.global_step, 6),
    "monitor": ("-val/kl", lambda trainer, _: trainer.checkpoint_callbacks[0].monitor, "-val/kl"),
    "compile": (
        True,
        lambda trainer, _: "CompiledStep" in [type(callback).__name__ for callback in trainer.callbacks],
        True,
    ),
    "progress": (True, lambda trainer, _: trainer.global_step, 6),
    "trainer": ({"gradient_clip_val": 0.5}, lambda trainer, _: trainer.gradient_clip_val, 0.5),
    "record": (RecordSettings(every=3), lambda trainer, _: of_type(trainer, "StepRecord")._every, 3),
    "loggers": ([TensorBoard()], lambda trainer, _: type(trainer.loggers[1].experiment).__name__, "SummaryWriter"),
    "checkpoint": (
        CheckpointSettings(every_steps=3),
        lambda trainer, _: of_type(trainer, "BetweenSteps")._settings.every_steps,
        3,
    ),
    "data": (
        Digits(batch_size=50),
        "data: expected batch_size 100 to the end of the epoch of which 6 batches are done, got batch_size 50, "
        "with which other rows would remain; with batch_size 100, max_epochs 1 trains to its end",
        None,
    ),
}
ELSEWHERE = {
    "model",
    "max_steps",
    "max_epochs",
    "tracking",
    "resumption",
}  # above, and in every resumption of this file


def of_type(trainer, name: str):
    return next(callback for callback in trainer.callbacks if type(callback).__name__ == name)


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", OF_THE_RUN)
def test_an_argument_of_the_run_takes_effect_or_is_refused(run, name):
    value, look, expected = OF_THE_RUN[name]
    if isinstance(look, str):
        refused(run, look, **{name: value})
    else:
        assert run.look(look, **{name: value}) == expected


def test_every_argument_of_the_run_is_in_the_table():
    assert set(OF_THE_RUN) | ELSEWHERE == {field.name for field in dataclasses.fields(Run)}


def test_another_order_of_the_rows_is_refused_within_an_epoch(run):
    refused(
        run,
        "data: expected seed 0 to the end of the epoch of which 6 batches are done, got seed 3, ",
        data=Digits(seed=3),
    )


def test_at_the_end_of_an_epoch_the_size_of_a_batch_takes_effect(run):
    fit(Run.resume(run.run_id, tracking=run.tracking, max_epochs=1), Brief())
    assert run.look(lambda trainer, _: len(trainer.train_dataloader), data=Digits(batch_size=50)) == 26


def test_loaders_cannot_take_the_place_of_data_whose_position_is_on_record(run):
    batches = list(Digits().sample_batch("train").split(50))
    told = (
        "expected data that keep their position, as Digits, on which it was trained, got mine, which do not; a new run"
    )
    refused(run, told, data=Loaders(train=batches, valid=batches, name="mine"))


def test_a_callback_begins_with_its_own_state(run):
    stop = EarlyStopping(monitor="val/elbo", mode="max", patience=7)
    assert run.look(lambda trainer, _: of_type(trainer, "EarlyStopping").patience, trainer={"callbacks": [stop]}) == 7


class OwnOptimizer(GaussianVAE):
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.learning_rate)


@pytest.mark.parametrize(
    ("estimators", "refused"),
    [
        ((REBAR(), REBAR(temperature=0.7)), "estimator.log_temperature"),
        ((REBAR(), REBAR(strength=0.7)), "estimator.learned_strength"),
        ((REBAR(), REBAR(num_samples=2)), None),
        ((GumbelSoftmax(), GumbelSoftmax(temperature=0.3)), None),
        ((ScoreFunction(num_samples=2), ScoreFunction(num_samples=3)), None),
    ],
    ids=["learned temperature", "learned strength", "samples", "fixed temperature", "samples of another"],
)
def test_what_training_begins_with_cannot_be_changed_when_it_has_begun(estimators, refused):
    """The checkpoint has the learned value, which would win without a word."""
    before, after = (DiscreteVAE(event_shape=(64,), latent_size=4, estimator=estimator) for estimator in estimators)
    parts: Any = dataclasses.make_dataclass("Parts", ["model"])(after)
    changes = {"model.init_args.estimator.init_args.option": "was 0.2, is 0.7"}
    if refused is None:
        check_effects(parts, before, changes)
        return
    with pytest.raises(ValueError, match=f"option was 0.2, is 0.7: it sets what training begins with .*{refused}.*"):
        check_effects(parts, before, changes)


def test_the_scale_of_a_likelihood_that_is_learned_cannot_be_begun_again():
    before, after = (
        GaussianVAE(event_shape=(4,), likelihood=NormalLikelihood(initial_scale=scale)) for scale in (1.0, 2.0)
    )
    parts: Any = dataclasses.make_dataclass("Parts", ["model"])(after)
    changes = {"model.init_args.likelihood.init_args.initial_scale": "was 1.0, is 2.0"}
    with pytest.raises(ValueError, match=r"initial_scale was 1\.0, is 2\.0: it sets what training begins with"):
        check_effects(parts, before, changes)


def test_the_rate_of_a_model_that_makes_its_own_optimizer_is_refused():
    after = OwnOptimizer(event_shape=(4,), learning_rate=0.5, estimator=Pathwise())
    parts: Any = dataclasses.make_dataclass("Parts", ["model"])(after)
    with pytest.raises(ValueError, match=r"learning_rate was 0\.1, is 0\.5: OwnOptimizer makes its optimizers itself"):
        check_effects(parts, None, {"model.init_args.learning_rate": "was 0.1, is 0.5"})


def test_a_changed_rate_is_used_and_recorded(run):
    """At a rate of 1e-12 weights do not move; Adam at the rate before would move them by 1e-3 a step."""
    before = torch.load(run.root / "checkpoints" / run.run_id / "last.ckpt", weights_only=True)["state_dict"]
    changed = Run.resume(run.run_id, tracking=run.tracking, max_steps=8, model=model(learning_rate=1e-12))
    result = fit(changed, Brief(), run.told)
    after = torch.load(run.root / "checkpoints" / run.run_id / "last.ckpt", weights_only=True)
    assert after["global_step"] == 8
    weights = {name: value for name, value in before.items() if value.is_floating_point()}
    assert len(weights) == 8
    assert max((after["state_dict"][name] - value).abs().max() for name, value in weights.items()) < 1e-8
    assert result.num_steps == 8
    kept = yaml.safe_load((run.root / "checkpoints" / run.run_id / "config.yaml").read_text())
    assert kept["model"]["init_args"]["learning_rate"] == 1e-12
