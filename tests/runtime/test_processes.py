"""Two processes compute what one does: the same batches, bounds, gradients and memories; each with noise of its own."""

import os
import re
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from tests.models.small import seeded
from tests.statistics import LIMIT
from tests.warm_python import used
from torch import distributed, multiprocessing

from reparam_suite.data import Digits
from reparam_suite.estimators import (
    REBAR,
    RELAX,
    Enumeration,
    Learned,
    LeaveOneOut,
    MovingAverage,
    ScoreFunction,
    VarianceNormalized,
)
from reparam_suite.models import DiscreteVAE, OptimizerSettings
from reparam_suite.training import Checkpoints, GradientRecord, Journal, NonFiniteLoss, Replicas, StepRecord, Validation

pytestmark = pytest.mark.slow

# Of the 1,285 training rows the third batch has 3: one process has two of them and the other one.
BATCH_SIZE, NUM_STEPS = 641, 6
TIMED = re.compile("^(memory|time|cost)/|/work_normalized")
STANDING_STILL = OptimizerSettings(name="SGD", learning_rate=1e-30)


def model(**options) -> DiscreteVAE:
    with seeded():
        return DiscreteVAE(**({"event_shape": (64,), "latent_size": 3, "hidden_sizes": (7,)} | options))


def exact() -> DiscreteVAE:
    """Its gradient has no noise."""
    return model(estimator=Enumeration(), optimizer=OptimizerSettings(name="SGD", learning_rate=0.05))


def sure(baseline) -> DiscreteVAE:
    """Its bits are as good as certain, and it stays as it is: what a baseline remembers has no noise either."""
    made = model(estimator=ScoreFunction(num_samples=2, baseline=baseline), optimizer=STANDING_STILL)
    with torch.no_grad():
        made.posterior.network[-1].weight.zero_()
        made.posterior.network[-1].bias.copy_(torch.tensor([40.0, -40.0, 40.0]))
    return made


MODELS = {
    "exact": exact,
    "moving average": lambda: sure(MovingAverage(decay=0.5)),
    "normalized": lambda: sure(VarianceNormalized(baseline=MovingAverage(decay=0.5), decay=0.8)),
    "still": lambda: model(estimator=ScoreFunction(num_samples=4, baseline=LeaveOneOut()), optimizer=STANDING_STILL),
    "learned baseline": lambda: model(prior="learned", estimator=ScoreFunction(baseline=Learned(hidden_sizes=(4,)))),
    "REBAR": lambda: model(estimator=REBAR()),
    "RELAX": lambda: model(estimator=RELAX()),
}


class Witness(Callback):
    """Keeps what only this process sees."""

    def __init__(self):
        self.rows, self.noise = [], []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.rows.append(batch)
        self.noise.append(torch.get_rng_state())


class Break(Callback):
    """The objective of the last process becomes infinite in step 2."""

    def on_train_batch_end(self, trainer, module, outputs, *_):
        if trainer.global_step == 2 and trainer.global_rank == trainer.world_size - 1:
            outputs["objective"] = torch.tensor(float("-inf"))


def train(made: DiscreteVAE, *before: Callback, devices: int, seed: int = 0) -> SimpleNamespace:
    journal, checkpoints, witness = Journal(), Checkpoints(), Witness()
    record = StepRecord(every=2, journal=journal, checkpoints=checkpoints)
    strategy = Replicas(seed=seed) if devices > 1 else "auto"
    trainer = Trainer(
        accelerator="cpu",
        devices=devices,
        strategy=strategy,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        max_steps=NUM_STEPS,
    )
    trainer.callbacks.extend(
        [
            *before,
            record,
            Validation(journal=journal, record=record, checkpoints=checkpoints),
            GradientRecord(every=100, journal=journal, record=record),
            witness,
        ]
    )
    data = Digits(batch_size=BATCH_SIZE, seed=2)
    trainer.fit(made, datamodule=data)
    (tested,) = trainer.test(made, datamodule=data, verbose=False)
    return SimpleNamespace(
        state={name: value.clone() for name, value in made.state_dict().items()},
        curves=dict(journal.curves),
        tested=tested,
        rows=witness.rows,
        noise=witness.noise,
    )


def together(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank)}
    found = {name: vars(train(make(), devices=2)) for name, make in MODELS.items()}
    try:
        train(MODELS["exact"](), Break(), devices=2)
    except NonFiniteLoss as error:
        found["broken"] = {"message": str(error)}
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def two(tmp_path_factory, interpreter) -> list[dict[str, SimpleNamespace]]:
    """The results of each of two processes."""
    folder: Path = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with used(interpreter):
        multiprocessing.start_processes(together, (port, str(folder)), nprocs=2, start_method="spawn")
    loaded = [torch.load(folder / f"{rank}.pt") for rank in range(2)]
    return [{name: SimpleNamespace(**journal) for name, journal in found.items()} for found in loaded]


@pytest.fixture(scope="module")
def one() -> dict[str, SimpleNamespace]:
    """The results of a process alone."""
    with seeded():
        return {name: train(MODELS[name](), devices=1) for name in ("exact", "moving average", "normalized", "still")}


def close(found, expected, **tolerance) -> bool:
    return all(torch.allclose(found[name], value, **tolerance) for name, value in expected.items())


def test_each_row_of_a_batch_is_with_one_process(one, two):
    for whole, first, second in zip(one["exact"].rows, two[0]["exact"].rows, two[1]["exact"].rows, strict=True):
        assert torch.equal(whole[0::2], first)
        assert torch.equal(whole[1::2], second)
    assert [len(rows) for rows in two[1]["exact"].rows] == [320, 320, 1, 320, 320, 1]


def test_an_exact_gradient_leads_to_the_same_weights(one, two):
    """Were two rows and one row averaged as equals, it would show."""
    start = MODELS["exact"]().state_dict()
    for process in two:
        assert close(process["exact"].state, one["exact"].state, atol=2e-6)
    moved = (one["exact"].state["likelihood.network.0.weight"] - start["likelihood.network.0.weight"]).abs().max()
    assert moved > 1e-3, "the tolerance means something"


def test_the_objective_on_record_is_that_of_the_whole_batch(one, two):
    for name in ("train/elbo", "train/kl", "train/reconstruction"):
        for process in two:
            steps, values = zip(*process["exact"].curves[name], strict=True)
            expected_steps, expected = zip(*one["exact"].curves[name], strict=True)
            assert steps == expected_steps == (1, 2, 4, 6)
            assert values == pytest.approx(expected, rel=1e-5), name


def test_samples_are_counted_over_all_processes(two):
    milliseconds, rate = (
        dict(two[0]["exact"].curves[f"time/{name}"]) for name in ("ms_per_step", "samples_per_second")
    )
    assert rate[4] * milliseconds[4] / 1e3 == pytest.approx((3 + 641) / 2)


@pytest.mark.parametrize("name", ["moving average", "normalized"])
def test_a_baseline_remembers_what_it_would_have_of_the_whole_batch(name, one, two):
    remembered = {key: value for key, value in one[name].state.items() if ".past." in key}
    assert remembered
    for process in two:
        assert close({key: process[name].state[key] for key in remembered}, remembered, rtol=1e-5)


def test_held_out_bounds_are_means_over_data(one, two):
    """The bits are certain: there is no noise in them, and 256 rows and 256, or 1 more, are weighed as they should."""
    for process in two:
        assert process["moving average"].tested == pytest.approx(one["moving average"].tested, rel=1e-6)
        for name in ("val/elbo", "val/bound_10", "val/kl"):
            curve, expected = process["moving average"].curves[name], one["moving average"].curves[name]
            assert [step for step, _ in curve] == [step for step, _ in expected] == [0, 3, 6]
            assert [v for _, v in curve] == pytest.approx([v for _, v in expected], rel=1e-6), name


def test_no_two_processes_have_the_same_noise(two):
    states = [state.numpy().tobytes() for process in two for state in process["still"].noise]
    assert len(set(states)) == len(states)


@pytest.mark.parametrize("name", MODELS)
def test_all_processes_have_the_same_model_and_tell_the_same(name, two):
    first, second = (process[name] for process in two)
    assert all(torch.equal(second.state[key], value) for key, value in first.state.items())
    assert first.tested == second.tested
    told = [{k: v for k, v in journal.curves.items() if not TIMED.search(k)} for journal in (first, second)]
    assert told[0] == told[1]


@pytest.mark.parametrize("name", ["learned baseline", "REBAR", "RELAX"])
def test_what_an_estimator_learns_is_learned_by_all(name, two):
    start = MODELS[name]().state_dict()
    learned = [key for key in start if key.startswith("estimator.") and two[0][name].state[key].is_floating_point()]
    assert learned
    assert all(not torch.equal(two[0][name].state[key], start[key]) for key in learned)


def test_the_variance_is_that_of_the_averaged_gradient_and_a_process_alone_has_twice_as_much(one, two):
    for group in ("encoder", "decoder", "logits"):
        curves, alone = two[0]["still"].curves, one["still"].curves
        name = f"grad/{group}/variance"
        for (_, mine), (_, error), (_, expected), (_, its) in zip(
            curves[name], curves[f"{name}_standard_error"], alone[name], alone[f"{name}_standard_error"], strict=True
        ):
            assert abs(mine - expected) < LIMIT * (error**2 + its**2) ** 0.5, group
            assert abs(2.0 * mine - expected) > LIMIT * (error**2 + its**2) ** 0.5, "a factor of 2 would show"
        for (_, mine), (_, single) in zip(curves[name], curves[f"{name}_of_one_process"], strict=True):
            assert single == pytest.approx(2.0 * mine, rel=0.02), group
        assert f"{name}_of_one_process" not in alone


def test_an_infinite_objective_in_one_process_stops_them_all(two):
    messages = {process["broken"].message for process in two}
    assert messages == {"the training objective is -inf at step 2; there is no checkpoint before it"}
