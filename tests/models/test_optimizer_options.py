"""Options of torch's optimizers: each is refused at once or trains."""

import inspect
import itertools
import math
import re

import pytest
import torch
from torch import nn

from reparam_suite.models import OptimizerSettings
from reparam_suite.models.optimizers import _optimizers

VALUES = [True, False, None, 0, 1, -1, 0.5, 2.5, -0.5, math.inf, math.nan, "x", [0.9, 0.999], [1.5, 0.9], [0.9]]
VALUES += [[0.9, "a"], {"a": 1}, (0.9, 0.9, 0.9), "original"]


@pytest.mark.parametrize("name", sorted(_optimizers()))
def test_options_of_every_optimizer_are_refused_at_once_or_train(name):
    accepted = set(inspect.signature(_optimizers()[name]).parameters) - {"params", "lr", "differentiable"}
    num_made, refused = 0, []
    for option, value in itertools.product(sorted(accepted), VALUES):
        try:
            settings = OptimizerSettings(name=name, options={option: value})
        except ValueError as error:
            refused.append(str(error))
            continue
        if option == "capturable" and value:
            continue
        layer = nn.Linear(3, 2, bias=False)
        optimizer = settings.make(list(layer.parameters()), 1e-3)
        for _ in range(3):
            optimizer.zero_grad()
            layer(torch.ones(2, 3)).sum().backward()
            optimizer.step()
        assert layer.weight.isfinite().all(), (option, value)
        num_made += 1
    assert num_made >= len(accepted)
    assert all(re.fullmatch(f"options of {name}: expected .*, got .*", message) for message in refused)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Adam", {"betas": 0.9}, "options of Adam: expected 2 finite numbers for betas, got 0.9"),
        ("Adam", {"betas": [1.5, 0.9]}, "options of Adam: expected such as it can step with, got Invalid beta"),
        ("Adam", {"weight_decay": -1}, "options of Adam: expected such as it can step with, got Invalid weight_decay"),
        ("Adam", {"amsgrad": "yes"}, "options of Adam: expected true or false for amsgrad, got 'yes'"),
        ("Adam", {"fused": "x"}, "options of Adam: expected true, false or null for fused, got 'x'"),
        ("SGD", {"foreach": 1}, "options of SGD: expected true, false or null for foreach, got 1"),
        ("SGD", {3: 1, "x": 1}, "options of SGD: expected some of dampening, foreach, fused, maximize, "),
        ("SGD", {"nesterov": True}, "options of SGD: expected such as it can step with, got Nesterov momentum"),
        ("SGD", {"momentum": math.inf}, "options of SGD: expected a finite number for momentum, got inf"),
    ],
)
def test_values_of_options_are_refused_by_name(name, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        OptimizerSettings(name=name, options=options)


def test_options_that_are_no_mapping_are_refused():
    with pytest.raises(TypeError, match=r"^options of Adam: expected a mapping of names to values, got \[1\]$"):
        OptimizerSettings(options=[1])
