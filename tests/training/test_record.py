"""The record of steps and of validation: which values, at which steps, by which clock."""

import math

import pytest
import torch
from lightning.pytorch import Callback
from tests.training.small import categorical, discrete, fit, gaussian, validated

from reparam_suite.data import Digits
from reparam_suite.distributions import kl_divergence
from reparam_suite.estimators import GumbelSoftmax, StickTheLanding
from reparam_suite.models import OptimizerSettings, StepSchedule
from reparam_suite.objectives import ELBO, ImportanceWeighted
from reparam_suite.training import Checkpoints, GradientRecord, Journal, NonFiniteLoss, StepRecord, Validation
from reparam_suite.training import gradients as gradients_module
from reparam_suite.training import record as record_module
from reparam_suite.training.budget import MeasuringBudget
from reparam_suite.training.record import due


class Witness(Callback):
    """Keeps what each step returned."""

    def __init__(self):
        self.objectives, self.kls = [], []

    def on_train_batch_end(self, trainer, model, outputs, *_):
        self.objectives.append(outputs["objective"].item())
        self.kls.append(outputs["kl"].item())


def callbacks(journal, *, every, gradients_every=None, checkpoints=None) -> list[Callback]:
    checkpoints = checkpoints or Checkpoints()
    record = StepRecord(every=every, journal=journal, checkpoints=checkpoints)
    made = [record, Validation(journal=journal, record=record, checkpoints=checkpoints)]
    if gradients_every is not None:
        made.append(GradientRecord(every=gradients_every, journal=journal, record=record))
    return made


def trained(model, *, every=4, max_steps=11, **options):
    journal, witness = Journal(), Witness()
    fit(model, Digits(batch_size=300), *callbacks(journal, every=every), witness, max_steps=max_steps, **options)
    return journal, witness


INTERVALS = [(0, 1), (1, 4), (4, 8), (8, 11)]
"""Of the steps, by index, between the records of eleven steps, one every four."""


def mean(values) -> float:
    return sum(values) / len(values)


def test_due_after_the_first_step_and_every_so_many():
    assert [step for step in range(21) if due(step, 5)] == [1, 5, 10, 15, 20]
    assert [step for step in range(4) if due(step, 1)] == [1, 2, 3]


# ---------------------------------------------------------------------------------------------------------------- steps


@pytest.mark.parametrize(
    ("every", "max_steps", "steps"),
    [(4, 11, [1, 4, 8, 11]), (4, 8, [1, 4, 8]), (100, 1, [1]), (100, 2, [1, 2]), (1, 3, [1, 2, 3])],
)
def test_the_first_and_the_last_step_are_recorded_in_any_case(every, max_steps, steps):
    journal, _ = trained(gaussian(), every=every, max_steps=max_steps)
    for name in ("train/elbo", "train/kl", "train/reconstruction", "time/ms_per_step", "memory/peak_mib"):
        assert [step for step, _ in journal.curves[name]] == steps, name
    assert {journal.curves["val/elbo"][0][0], journal.curves["val/elbo"][-1][0]} == {0, max_steps}


def test_values_are_means_over_the_steps_since_the_last_record():
    journal, witness = trained(gaussian())
    for (start, stop), (_, value), (_, kl) in zip(
        INTERVALS, journal.curves["train/elbo"], journal.curves["train/kl"], strict=True
    ):
        assert value == pytest.approx(mean(witness.objectives[start:stop]), rel=1e-5)
        assert kl == pytest.approx(mean(witness.kls[start:stop]), rel=1e-5)
    for (_, elbo), (_, reconstruction), (_, kl) in zip(
        *(journal.curves[f"train/{name}"] for name in ("elbo", "reconstruction", "kl")), strict=True
    ):
        assert elbo == pytest.approx(reconstruction - kl, rel=1e-6)


@pytest.mark.parametrize("weight", [0.25, 0.0])
def test_a_weighted_objective_is_no_bound_and_has_another_name(weight):
    journal, witness = trained(gaussian(objective=ELBO(weight=weight)))
    assert {name for name in journal.curves if name.startswith("train/")} == {
        "train/objective",
        "train/kl",
        "train/kl_weight",
    }
    for (start, stop), (_, value), (_, kl) in zip(
        INTERVALS, journal.curves["train/objective"], journal.curves["train/kl"], strict=True
    ):
        assert value == pytest.approx(mean(witness.objectives[start:stop]), rel=1e-5)
        assert kl == pytest.approx(mean(witness.kls[start:stop]), rel=1e-5)
        assert kl > 0.0, "it is the KL itself, not what is left of it in the objective"
    assert [value for _, value in journal.curves["train/kl_weight"]] == [weight] * 4


def test_steps_of_a_warm_up_are_recorded_apart_from_those_of_the_bound():
    """After six steps the weight is 1: of the interval from step 5 to 8 half is the objective's and half the ELBO's."""
    journal, witness = trained(gaussian(objective=ELBO(warmup_steps=6)))
    expected = {"train/objective": {1: (0, 1), 4: (1, 4), 8: (4, 6)}, "train/elbo": {8: (6, 8), 11: (8, 11)}}
    for name, intervals in expected.items():
        assert journal.curves[name] == [
            (step, pytest.approx(mean(witness.objectives[slice(*interval)]), rel=1e-5))
            for step, interval in intervals.items()
        ]
    assert journal.curves["train/kl_weight"] == [(1, 0.0), (4, 0.5), (8, 1.0), (11, 1.0)]
    assert [step for step, _ in journal.curves["train/reconstruction"]] == [8, 11]
    assert [step for step, _ in journal.curves["train/kl"]] == [1, 4, 8, 11]


def test_a_learning_rate_on_a_schedule_is_recorded_as_it_was_in_the_last_step():
    halved = OptimizerSettings(learning_rate=0.5, schedule=StepSchedule(every=2))
    journal, _ = trained(gaussian(optimizer=halved), max_steps=6)
    assert journal.curves["train/learning_rate"] == [(1, 0.5), (4, 0.25), (6, 0.125)]
    journal, _ = trained(gaussian(optimizer={"decoder": halved}), max_steps=4)
    assert journal.curves["train/learning_rate/encoder"] == [(1, 1e-3), (4, 1e-3)]
    assert journal.curves["train/learning_rate/decoder"] == [(1, 0.5), (4, 0.25)]


def test_a_weight_of_one_and_a_rate_that_stays_are_not_worth_a_curve():
    journal, _ = trained(gaussian(), max_steps=2)
    assert not {"train/kl_weight", "train/learning_rate"} & set(journal.curves)


def test_a_sampled_kl_has_parts_as_well():
    model = gaussian(estimator=StickTheLanding())
    journal, _ = trained(model, max_steps=1)
    fresh, data = gaussian(estimator=StickTheLanding()), Digits(batch_size=300)
    data.setup()
    x = next(iter(data.train_dataloader()))
    exact = kl_divergence(fresh.posterior(x), fresh.prior()).mean().item()
    assert journal.curves["train/kl"] == [(1, pytest.approx(exact, rel=1e-5))]
    parts = journal.latest("train/reconstruction") - journal.latest("train/kl")
    assert journal.latest("train/elbo") == pytest.approx(parts, rel=1e-6)


def test_a_relaxed_number_never_passes_for_the_bound():
    journal, _ = trained(categorical(estimator=GumbelSoftmax()), max_steps=1)
    assert {name for name in journal.curves if name.startswith("train/")} == {
        "train/relaxed_elbo",
        "train/relaxed_reconstruction",
        "train/kl",
    }
    assert "val/elbo" in journal.curves


def test_an_importance_weighted_bound_has_its_own_name_and_no_reconstruction():
    model = gaussian(estimator=StickTheLanding(num_samples=3), objective=ImportanceWeighted())
    journal, witness = trained(model, max_steps=1)
    assert {name for name in journal.curves if name.startswith("train/")} == {"train/bound_3", "train/kl"}
    assert journal.latest("train/bound_3") == pytest.approx(witness.objectives[0])


def test_gradients_accumulated_over_batches_make_one_record_a_step():
    journal, witness = trained(gaussian(), every=1, max_steps=4, accumulate_grad_batches=2)
    assert len(witness.objectives) == 7, "of an epoch's five batches the last makes a step alone"
    batches = [slice(0, 2), slice(2, 4), slice(4, 5), slice(5, 7)]
    expected = [(step, pytest.approx(mean(witness.objectives[at]), rel=1e-5)) for step, at in enumerate(batches, 1)]
    assert journal.curves["train/elbo"] == expected


# ---------------------------------------------------------------------------------------------------------------- clock


def test_the_clock_counts_training_steps_alone(monkeypatch):
    """A step takes 1 s on this clock, a validated batch 100 s, a measured gradient 10,000 s."""
    now = [0.0]
    monkeypatch.setattr(record_module.time, "perf_counter", lambda: now[0])

    def taking(seconds, function):
        def slow(*args, **kwargs):
            now[0] += seconds
            return function(*args, **kwargs)

        return slow

    measure = gradients_module.statistics_over_processes
    monkeypatch.setattr(gradients_module, "statistics_over_processes", taking(1e4, measure))
    model, journal, data = gaussian(), Journal(), Digits(batch_size=300)
    monkeypatch.setattr(model, "training_step", taking(1.0, model.training_step))
    monkeypatch.setattr(model, "validation_step", taking(100.0, model.validation_step))
    used = callbacks(journal, every=4, gradients_every=3)
    used[-1]._budget = MeasuringBudget("", free_seconds=math.inf)
    fit(model, data, *used, max_steps=11, val_check_interval=2)
    assert now[0] > 5e4, "all of that did happen"
    assert journal.curves["time/ms_per_step"] == [(step, pytest.approx(1000.0)) for step in (1, 4, 8, 11)]
    rates = dict(journal.curves["time/samples_per_second"])
    assert rates[1] == pytest.approx(300.0)
    assert rates[8] == pytest.approx((300 + 85 + 300 + 300) / 4), "of 1,285 rows the fifth batch has 85"


# ----------------------------------------------------------------------------------------------------------- validation


def test_validation_is_recorded_before_the_first_step_after_each_epoch_and_at_the_end():
    journal, _ = trained(gaussian(), max_steps=12)
    assert [step for step, _ in journal.curves["val/elbo"]] == [0, 5, 10, 12]
    assert set(journal.curves) >= {"val/bound_10", "val/kl", "val/reconstruction"}
    journal, _ = trained(gaussian(), max_steps=10)
    assert [step for step, _ in journal.curves["val/elbo"]] == [0, 5, 10], "not twice at the end"


def test_the_first_validation_is_of_the_untrained_model_and_the_last_of_the_trained_one():
    model = discrete()
    before = validated(model)["val/elbo"]
    journal, _ = trained(model, max_steps=7)
    assert journal.curves["val/elbo"][0] == (0, pytest.approx(before, rel=1e-6))
    assert journal.latest("val/elbo") == pytest.approx(validated(model)["val/elbo"], rel=1e-6)
    assert journal.latest("val/elbo") > before


# ----------------------------------------------------------------------------------------------------------- divergence


class BreakAt(Callback):
    """Makes the objective, or a parameter, infinite after a step."""

    def __init__(self, step, what):
        self.step, self.what = step, what

    def on_train_batch_end(self, trainer, model, outputs, *_):
        if trainer.global_step == self.step and self.what == "objective":
            outputs["objective"] = torch.tensor(float("-inf"))
        if trainer.global_step == self.step and self.what == "parameter":
            next(model.likelihood.parameters()).data[0] = float("nan")


def test_the_step_and_the_last_checkpoint_before_it_are_named(tmp_path):
    journal, checkpoints = Journal(), Checkpoints()
    checkpoints.directory = tmp_path
    used = [BreakAt(8, "objective"), *callbacks(journal, every=100, checkpoints=checkpoints), checkpoints]
    with pytest.raises(NonFiniteLoss) as stopped:
        fit(gaussian(), Digits(batch_size=300), *used, max_steps=50)
    assert str(stopped.value) == (
        f"the training objective is -inf at step 8; the last finite checkpoint is {tmp_path / 'last.ckpt'}"
    )
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 5
    assert stopped.value.step == 8


def test_a_parameter_that_broke_in_the_last_step_of_an_epoch_is_not_saved(tmp_path):
    """Every objective was finite: only the parameters tell."""
    journal, checkpoints = Journal(), Checkpoints()
    checkpoints.directory = tmp_path
    used = [BreakAt(10, "parameter"), *callbacks(journal, every=100, checkpoints=checkpoints), checkpoints]
    with pytest.raises(NonFiniteLoss, match=r"likelihood\.\S+ has become NaN or infinite at step 10; the last finite"):
        fit(gaussian(), Digits(batch_size=300), *used, max_steps=50)
    for path in tmp_path.iterdir():
        state = torch.load(path, weights_only=True)
        assert state["global_step"] == 5
        assert all(tensor.isfinite().all() for tensor in state["state_dict"].values())


def test_what_was_reached_before_an_error_is_recorded():
    """Steps 4 to 6 lie after the last record."""

    class Fail(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 6:
                raise ZeroDivisionError

    journal, witness = Journal(), Witness()
    with pytest.raises(ZeroDivisionError):
        fit(
            gaussian(),
            Digits(batch_size=300),
            *callbacks(journal, every=3),
            witness,
            Fail(),
            max_steps=9,
        )
    assert [step for step, _ in journal.curves["train/elbo"]] == [1, 3, 6]
    assert journal.latest("train/elbo") == pytest.approx(mean(witness.objectives[3:6]), rel=1e-5)
    assert journal.step_of("time/ms_per_step") == 6


def test_what_was_reached_before_a_divergence_is_recorded():
    journal, witness = Journal(), Witness()
    used = [witness, BreakAt(4, "objective"), *callbacks(journal, every=100)]
    with pytest.raises(NonFiniteLoss, match="at step 4"):
        fit(gaussian(), Digits(batch_size=300), *used, max_steps=50)
    assert [step for step, _ in journal.curves["train/elbo"]] == [1, 3]
    assert journal.latest("train/elbo") == pytest.approx(mean(witness.objectives[1:3]), rel=1e-5)


def test_without_a_checkpoint_it_says_so():
    used = [BreakAt(1, "objective"), *callbacks(Journal(), every=100)]
    with pytest.raises(NonFiniteLoss, match="is -inf at step 1; there is no checkpoint before it"):
        fit(gaussian(), Digits(batch_size=300), *used, max_steps=50)
