"""Options, public names, records, layout of the root and checkpoint format are those that users rely on."""

import difflib
from pathlib import Path

import pytest
from tests.golden.surface import PARTS, surface

HERE = Path(__file__).parent
RENEW = "if that is meant, `make golden` renews the file, and CHANGELOG says what users must do"


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, list[str]]:
    return surface(tmp_path_factory.mktemp("surface"))


@pytest.mark.parametrize("part", PARTS)
def test_it_is_that_of_before(found, part):
    kept = (HERE / f"{part}.txt").read_text(encoding="utf-8").splitlines()
    changed = [line for line in difflib.unified_diff(kept, found[part], lineterm="", n=0) if line[0] in "+-"]
    assert not changed, "\n".join([RENEW, *changed])


def test_what_users_rely_on_is_in_it(found):
    """An empty list would agree with an empty file."""
    assert "fit --seed 0" in found["options"]
    assert "reparam_suite.estimators.DisARM(*, num_samples=2)" in found["names"]
    assert "gaussian metric val/elbo_best" in found["records"]
    assert "gaussian checkpoints/RUN/best.ckpt" in found["layout"]
    assert "discrete state_dict.prior.likelihood.network.0.weight: Tensor 2" in found["checkpoint"]
