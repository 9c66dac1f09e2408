import copy
import math

import pytest
import torch
from jsonargparse import ArgumentParser

from reparam_suite.estimators import ExponentialDecay, GradientEstimator, GumbelSoftmax, LinearDecay
from reparam_suite.problems import BernoulliCurved


def path(schedule, num_steps):
    return [schedule().item() for _ in range(num_steps)]


def test_exponential_decay_multiplies_by_the_same_factor_and_stops():
    assert path(ExponentialDecay(start=2.0, end=0.5, num_steps=4), 7) == pytest.approx(
        [2.0, math.sqrt(2.0), 1.0, math.sqrt(0.5), 0.5, 0.5, 0.5]
    )


def test_linear_decay_subtracts_the_same_amount_and_stops():
    assert path(LinearDecay(start=2.0, end=0.5, num_steps=3), 6) == pytest.approx([2.0, 1.5, 1.0, 0.5, 0.5, 0.5])


@pytest.mark.parametrize("schedule", [ExponentialDecay, LinearDecay])
def test_one_step_a_training_forward_and_none_in_eval_mode(schedule):
    problem = BernoulliCurved()
    target = problem.expectation(problem.phi.expand(3, -1), problem.theta.expand(3, -1))
    estimator = GumbelSoftmax(num_samples=2, temperature=schedule(num_steps=10))
    estimator(target)
    estimator(target)
    assert estimator.temperature.step == 2
    estimator.eval()
    before = estimator.temperature()
    estimator(target)
    assert estimator.temperature.step == 2
    assert estimator.temperature() == before


def test_a_schedule_continues_from_its_checkpoint():
    schedule = ExponentialDecay(num_steps=10)
    path(schedule, 3)
    resumed = ExponentialDecay(num_steps=10)
    resumed.load_state_dict(copy.deepcopy(schedule.state_dict()))
    assert path(resumed, 4) == path(schedule, 4)


def test_the_estimator_uses_the_temperature_of_the_step():
    problem = BernoulliCurved()
    phi, theta = problem.phi.expand(4, -1).clone().requires_grad_(), problem.theta.expand(4, -1)
    noise = torch.randn(1, 4, 3, dtype=torch.float64)

    def gradient(estimator):
        estimator.draw = lambda q: noise
        return torch.autograd.grad(estimator(problem.expectation(phi, theta)).objective.sum(), phi)[0]

    scheduled = GumbelSoftmax(temperature=LinearDecay(start=2.0, end=1.0, num_steps=2))
    for temperature in (2.0, 1.5, 1.0):
        torch.testing.assert_close(gradient(scheduled), gradient(GumbelSoftmax(temperature=temperature)))


@pytest.mark.parametrize("schedule", [ExponentialDecay, LinearDecay])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 0.0}, "start of {}: expected a finite number above 0, got 0.0"),
        ({"end": -0.5}, "end of {}: expected a finite number above 0 and of at most 1, got -0.5"),
        ({"start": math.inf}, "start of {}: expected a finite number above 0, got inf"),
        ({"start": 0.5, "end": 1.0}, "end of {}: expected a finite number above 0 and of at most 0.5, got 1.0"),
        ({"num_steps": 0}, "num_steps of {}: expected an integer of at least 1, got 0"),
    ],
)
def test_refusals(schedule, options, message):
    with pytest.raises(ValueError, match=message.format(schedule.__name__)):
        schedule(**options)


@pytest.mark.parametrize("name", ["ExponentialDecay", "LinearDecay"])
def test_a_schedule_is_a_class_argument_of_the_command_line(name):
    parser = ArgumentParser()
    parser.add_subclass_arguments(GradientEstimator, "estimator")
    arguments = ["--estimator", "GumbelSoftmax", "--estimator.temperature", name]
    options = ["--estimator.temperature.start", "3.0", "--estimator.temperature.num_steps", "7"]
    estimator = parser.instantiate(parser.parse_args(arguments + options)).estimator
    assert type(estimator.temperature).__name__ == name
    assert (estimator.temperature.start, estimator.temperature.num_steps) == (3.0, 7)
    number = parser.parse_args(["--estimator", "GumbelSoftmax", "--estimator.temperature", "0.7"])
    assert parser.instantiate(number).estimator.temperature == 0.7
