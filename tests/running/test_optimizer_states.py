"""The optimizer of a run that resumes with other options: what it keeps, and where it begins anew."""

from collections.abc import Callable

import pytest
from tests.running.models import gaussian

from reparam_suite.models import GaussianVAE, OptimizerSettings


def model(**options) -> Callable[[], GaussianVAE]:
    return lambda: gaussian(**options)


SGD = OptimizerSettings(name="SGD", learning_rate=0.1)


@pytest.mark.parametrize(
    ("optimizer", "seen", "anew"),
    [
        (OptimizerSettings(options={"betas": (0.5, 0.9)}), [("Adam", 0.001, True), ("Adam", 0.001, True)], None),
        (SGD, [("SGD", 0.1, False)] * 2, "posterior, likelihood"),
        ({"decoder": SGD}, [("Adam", 0.001, True), ("SGD", 0.1, False)], "likelihood"),
        (OptimizerSettings(options={"amsgrad": True}), [("Adam", 0.001, False)] * 2, "posterior, likelihood"),
    ],
    ids=["betas", "another class", "of one part", "another state"],
)
def test_an_optimizer_keeps_of_its_state_what_the_new_one_has_use_for(run, optimizer, seen, anew):
    def look(trainer, own):
        (made,) = trainer.optimizers
        parts = getattr(made, "parts", {"": made}).values()
        of = {p: part for part in parts for group in part.param_groups for p in group["params"]}
        firsts = [own.posterior.network[0].weight, own.likelihood.network[0].weight]
        return [
            (type(of[p]).__name__, of[p].param_groups[0]["lr"], "exp_avg" in of[p].state.get(p, {})) for p in firsts
        ]

    assert run.look(look, model=model(optimizer=optimizer)) == seen
    note = f"the optimizer of {anew} begins without what it had gathered, as another one would"
    assert (note in run.told) == (anew is not None)
