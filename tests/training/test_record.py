"""What is recorded of the steps and of validation: which values, at which steps, by which clock."""

import pytest
import torch
from lightning.pytorch import Callback
from tests.models.small import categorical, discrete, fit, gaussian

from reparam_suite.data import Digits
from reparam_suite.estimators import GumbelSoftmax, LogMeanExp, StickTheLanding
from reparam_suite.training import Checkpoints, GradientRecord, Journal, NonFiniteLoss, StepRecord, Validation
from reparam_suite.training import gradients as gradients_module
from reparam_suite.training import record as record_module
from reparam_suite.training.record import due
from reparam_suite.distributions import kl_divergence


class Witness(Callback):
    """Keeps what each step left."""

    def __init__(self):
        self.objectives, self.kls, self.weights = [], [], []

    def on_train_batch_end(self, trainer, model, *_):
        self.objectives.append(model.reached.objective.item())
        self.kls.append(None if model.reached.kl is None else model.reached.kl.item())
        self.weights.append(model.reached.kl_weight)


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
    journal, _ = trained(gaussian(num_features=64), every=every, max_steps=max_steps)
    for name in ("train/elbo", "train/kl", "train/reconstruction", "time/ms_per_step", "memory/peak_mib"):
        assert [step for step, _ in journal.curves[name]] == steps, name
    assert {journal.curves["val/elbo"][0][0], journal.curves["val/elbo"][-1][0]} == {0, max_steps}


def test_values_are_means_over_the_steps_since_the_last_record():
    journal, witness = trained(gaussian(num_features=64))
    for (start, stop), (_, value), (_, kl) in zip(
        [(0, 1), (1, 4), (4, 8), (8, 11)], journal.curves["train/elbo"], journal.curves["train/kl"], strict=True
    ):
        assert value == pytest.approx(mean(witness.objectives[start:stop]), rel=1e-5)
        assert kl == pytest.approx(mean(witness.kls[start:stop]), rel=1e-5)
    for (_, elbo), (_, reconstruction), (_, kl) in zip(
        *(journal.curves[f"train/{name}"] for name in ("elbo", "reconstruction", "kl")), strict=True
    ):
        assert elbo == pytest.approx(reconstruction - kl, rel=1e-6)


@pytest.mark.parametrize("options", [{"kl_weight": 0.25}, {"kl_warmup_steps": 6}, {"kl_weight": 0.0}])
def test_the_weight_of_the_kl_is_taken_off_the_bound(options):
    """A weighted objective is no bound: what is recorded under that name has weight 1, step by step."""
    journal, witness = trained(gaussian(num_features=64, **options))
    for (start, stop), (_, elbo) in zip([(0, 1), (1, 4), (4, 8), (8, 11)], journal.curves["train/elbo"], strict=True):
        steps = range(start, stop)
        bounds = [witness.objectives[i] - (1.0 - witness.weights[i]) * witness.kls[i] for i in steps]
        assert elbo == pytest.approx(mean(bounds), rel=1e-5)
    warm_up = journal.curves.get("train/kl_weight")
    if "kl_warmup_steps" in options:
        assert [value for _, value in warm_up] == [0.0, 0.5, 1.0, 1.0]
    else:
        assert warm_up is None


def test_a_sampled_kl_has_parts_as_well():
    model = gaussian(num_features=64, estimator=StickTheLanding())
    journal, _ = trained(model, max_steps=1)
    fresh, data = gaussian(num_features=64, estimator=StickTheLanding()), Digits(batch_size=300)
    data.setup()
    x = next(iter(data.train_dataloader()))
    exact = kl_divergence(fresh.posterior_of(x), fresh.prior_distribution()).mean().item()
    assert journal.curves["train/kl"] == [(1, pytest.approx(exact, rel=1e-5))]
    parts = journal.latest("train/reconstruction") - journal.latest("train/kl")
    assert journal.latest("train/elbo") == pytest.approx(parts, rel=1e-6)


def test_a_relaxed_number_never_passes_for_the_bound():
    journal, _ = trained(categorical(num_features=64, estimator=GumbelSoftmax()), max_steps=1)
    assert {name for name in journal.curves if name.startswith("train/")} == {
        "train/relaxed_elbo",
        "train/relaxed_reconstruction",
        "train/kl",
    }
    assert "val/elbo" in journal.curves


def test_an_importance_weighted_bound_has_its_own_name_and_no_parts():
    model = gaussian(num_features=64, estimator=StickTheLanding(num_samples=3), bound=LogMeanExp())
    journal, witness = trained(model, max_steps=1)
    assert {name for name in journal.curves if name.startswith("train/")} == {"train/bound_3"}
    assert journal.latest("train/bound_3") == pytest.approx(witness.objectives[0])


def test_gradients_accumulated_over_batches_make_one_record_a_step():
    journal, witness = trained(gaussian(num_features=64), every=1, max_steps=4, accumulate_grad_batches=2)
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
    model, journal, data = gaussian(num_features=64), Journal(), Digits(batch_size=300)
    monkeypatch.setattr(model, "training_step", taking(1.0, model.training_step))
    monkeypatch.setattr(model, "validation_step", taking(100.0, model.validation_step))
    fit(model, data, *callbacks(journal, every=4, gradients_every=3), max_steps=11, val_check_interval=2)
    assert now[0] > 5e4, "all of that did happen"
    assert journal.curves["time/ms_per_step"] == [(step, pytest.approx(1000.0)) for step in (1, 4, 8, 11)]
    rates = dict(journal.curves["time/samples_per_second"])
    assert rates[1] == pytest.approx(300.0)
    assert rates[8] == pytest.approx((300 + 85 + 300 + 300) / 4), "of 1,285 rows the fifth batch has 85"


# ----------------------------------------------------------------------------------------------------------- validation


def test_validation_is_recorded_before_the_first_step_after_each_epoch_and_at_the_end():
    journal, _ = trained(gaussian(num_features=64), max_steps=12)
    assert [step for step, _ in journal.curves["val/elbo"]] == [0, 5, 10, 12]
    assert set(journal.curves) >= {"val/bound_10", "val/kl", "val/reconstruction"}
    journal, _ = trained(gaussian(num_features=64), max_steps=10)
    assert [step for step, _ in journal.curves["val/elbo"]] == [0, 5, 10], "not twice at the end"


def test_the_first_validation_is_of_the_untrained_model_and_the_last_of_the_trained_one():
    model, data = discrete(num_features=64), Digits(batch_size=300)
    data.setup()
    before = model.validate_on(data.val_dataloader())["val/elbo"]
    journal, _ = trained(model, max_steps=7)
    assert journal.curves["val/elbo"][0] == (0, pytest.approx(before, rel=1e-6))
    assert journal.latest("val/elbo") == pytest.approx(model.validate_on(data.val_dataloader())["val/elbo"], rel=1e-6)
    assert journal.latest("val/elbo") > before


# ----------------------------------------------------------------------------------------------------------- divergence


class BreakAt(Callback):
    """Makes the objective, or a parameter, infinite after a step."""

    def __init__(self, step, what):
        self.step, self.what = step, what

    def on_train_batch_end(self, trainer, model, *_):
        if trainer.global_step == self.step and self.what == "objective":
            model.reached = model.reached._replace(objective=torch.tensor(float("-inf")))
        if trainer.global_step == self.step and self.what == "parameter":
            model.decoder[0].bias.data[0] = float("nan")


def test_the_step_and_the_last_checkpoint_before_it_are_named(tmp_path):
    journal, checkpoints = Journal(), Checkpoints()
    checkpoints.directory = tmp_path
    used = [BreakAt(8, "objective"), *callbacks(journal, every=100, checkpoints=checkpoints), checkpoints]
    with pytest.raises(NonFiniteLoss) as stopped:
        fit(gaussian(num_features=64), Digits(batch_size=300), *used, max_steps=50)
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
    with pytest.raises(NonFiniteLoss, match=r"decoder.0.bias has become NaN or infinite at step 10; the last finite"):
        fit(gaussian(num_features=64), Digits(batch_size=300), *used, max_steps=50)
    for path in tmp_path.iterdir():
        state = torch.load(path, weights_only=True)
        assert state["global_step"] == 5
        assert all(each.isfinite().all() for each in state["state_dict"].values())


def test_what_was_reached_before_an_error_is_recorded():
    """Steps 4 to 6 lie after the last record."""

    class Fail(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 6:
                raise ZeroDivisionError

    journal, witness = Journal(), Witness()
    with pytest.raises(ZeroDivisionError):
        fit(
            gaussian(num_features=64),
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
        fit(gaussian(num_features=64), Digits(batch_size=300), *used, max_steps=50)
    assert [step for step, _ in journal.curves["train/elbo"]] == [1, 3]
    assert journal.latest("train/elbo") == pytest.approx(mean(witness.objectives[1:3]), rel=1e-5)


def test_without_a_checkpoint_it_says_so():
    used = [BreakAt(1, "objective"), *callbacks(Journal(), every=100)]
    with pytest.raises(NonFiniteLoss, match="is -inf at step 1; there is no checkpoint before it"):
        fit(gaussian(num_features=64), Digits(batch_size=300), *used, max_steps=50)
