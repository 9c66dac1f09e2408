from types import SimpleNamespace

import pytest

from reparam_suite.training import LearningRateStages


def test_the_learning_rate_of_every_step_is_that_of_its_stage_and_the_last_one_stays():
    group = {"lr": 0.0}
    trainer = SimpleNamespace(optimizers=[SimpleNamespace(param_groups=[group])])
    stages, rates = LearningRateStages([(2, 0.1), (3, 0.01)]), []
    for trainer.global_step in range(6):
        stages.on_train_batch_start(trainer, None)
        rates.append(group["lr"])
    assert rates == [0.1, 0.1, 0.01, 0.01, 0.01, 0.01]


@pytest.mark.parametrize(
    "stages", [[], [(0, 0.1)], [(3, -0.1)], [(3, float("inf"))], [(2.0, 0.1)], [(2, "0.1")], [(2,)], [5], "1", 5]
)
def test_what_is_no_stage_is_refused(stages):
    with pytest.raises((TypeError, ValueError), match=r"stages: expected .*, got "):
        LearningRateStages(stages)
