import pytest
import torch
from tests.comparison.small import NAMES, QUICK, SMALL
from tests.launching import Ended, compare, fit, undrawn


@pytest.fixture
def x() -> torch.Tensor:
    """Twenty rows of six bits; what a test draws after it comes from the same state of the generator each time."""
    torch.manual_seed(0)
    return (torch.rand(20, 6) < 0.4).float()


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Ended:
    """A run of DiscreteVAE on the digits, 20 steps."""
    with undrawn():
        ended = fit("--model", "DiscreteVAE", *SMALL, root=tmp_path_factory.mktemp("runs"))
    assert ended.code == 0, ended.err
    return ended


@pytest.fixture(scope="session")
def compared(trained) -> Ended:
    """A comparison of three estimators on it."""
    run_id = trained.run_ids[0]
    ended = compare("gradients", "--checkpoint", run_id, *QUICK, "--estimators", *NAMES, root=trained.root)
    assert ended.code == 0, ended.err
    return ended
