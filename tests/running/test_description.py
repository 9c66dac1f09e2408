"""Descriptions of runs: what they are, the command, the results."""

from types import SimpleNamespace

from reparam_suite.estimators import DisARM
from reparam_suite.objectives import ELBO
from reparam_suite.running.description import begun, finished


class DiscreteVAE:
    estimator = DisARM(num_samples=4)
    objective = ELBO(weight=2.0)


def test_a_description_says_what_is_trained_and_the_command():
    parts = SimpleNamespace(
        model=DiscreteVAE(), data=SimpleNamespace(summary="Digits: binary"), run=SimpleNamespace(seed=3)
    )
    text = begun(parts, ["/opt/bin/python3", "-m", "reparam_suite.fit", "--name", "a b"])
    assert text == (
        "**DiscreteVAE** trained with **`DisARM(num_samples=4)`**, which climbs `ELBO(weight=2.0)`, seed 3.\n\n"
        "Digits: binary\n\n```\npython3 -m reparam_suite.fit --name 'a b'\n```"
    )
    assert "```" not in begun(parts, None)


def test_at_the_end_it_has_the_results():
    text = finished("what it is", "abc", {"test/elbo": -27.25, "val/elbo_best": -26.5, "train/kl": 1.0})
    assert text.startswith(
        "what it is\n\n| metric | value |\n|---|---|\n| test/elbo | -27.25 |\n| val/elbo_best | -26.5 |"
    )
    assert 'reparam_suite.load("abc")' in text
    assert "train/kl" not in text
    assert "| metric |" not in finished("what it is", "abc", {})
