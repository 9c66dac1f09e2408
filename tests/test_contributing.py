"""The steps of CONTRIBUTING.md, followed on its own examples: an estimator, a family, an objective, a data set."""

import importlib
import re
import shlex
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from tests import statistics
from tests.estimators import cases
from tests.launching import fit

from reparam_suite import compare_gradients
from reparam_suite.distributions import family
from reparam_suite.estimators import LeaveOneOut, Pathwise, ScoreFunction
from reparam_suite.models import GaussianVAE
from reparam_suite.problems import BernoulliCurved, GaussianModel
from reparam_suite.testing import check_distribution, check_estimator, check_objective

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """The examples of the page as one module, `mine`, in a folder of its own."""
    folder = tmp_path_factory.mktemp("contributing")
    blocks = re.findall(r"^   ```python\n(.*?)^   ```$", PAGE, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    (folder / "mine.py").write_text("\n".join(textwrap.dedent(block) for block in blocks))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("mine")
    sys.modules.pop("mine", None)


@pytest.fixture
def small_model(mine):
    torch.manual_seed(0)
    return GaussianVAE(event_shape=(6,), latent_size=2, hidden_sizes=(8,), posterior=mine.LaplaceFamily())


def test_the_estimator_keeps_its_contract(mine):
    check_estimator(mine.PairedScore(), num_replicates=4_000, problems=[BernoulliCurved(), GaussianModel()])


def test_an_estimator_that_breaks_it_is_found(mine):
    class Half(mine.PairedScore):
        def estimate(self, target):
            z = mine.samples(target.q, 2)
            f = target.values(z)
            credit = 0.25 * torch.stack([f[0] - f[1], f[1] - f[0]]).detach()
            objective = target.bound.value(f) + mine.carry(mine.score_term(target.q, z, credit))
            return mine.Estimate(objective=objective, control_loss=objective.new_zeros(()))

    with pytest.raises(AssertionError, match="Half"):
        check_estimator(Half(), num_replicates=4_000, problems=[BernoulliCurved()])


def test_the_estimator_takes_a_row_of_the_table(mine):
    case = cases.Case(cases.Row(lambda: mine.PairedScore(), cases.BERNOULLI), BernoulliCurved())
    assert str(case) == "PairedScore-K2-BernoulliCurved"
    drawn = statistics.measure(case.estimator, case.problem)
    by_phi = case.problem.exact_gradient()[: len(case.problem.phi)]
    assert drawn.phi.z_scores(by_phi).max() < statistics.LIMIT
    assert drawn.phi.scaled(1.03).z_scores(by_phi).max() > statistics.LIMIT


def test_the_family_keeps_its_contract(mine):
    torch.manual_seed(0)
    check_distribution(lambda raw: mine.LaplaceFamily(2).distribution(raw), torch.randn(2, 4), num_samples=10_000)


def test_the_objective_keeps_its_contract(mine, small_model):
    small_model.objective = mine.Capacity()
    x = torch.rand(3, 6, generator=torch.Generator().manual_seed(0)).round()
    check_objective(small_model.objective, small_model, x)


def test_the_data_set_answers(mine):
    data = mine.Stripes(batch_size=50)
    assert data.summary == "Stripes: binary, event shape (1, 4, 4), rows: train 400, valid 100, test 100"
    x = data.sample_batch("train")
    assert x.shape == (50, 1, 4, 4)
    assert set(x.sum((1, 2, 3)).tolist()) == {4.0}
    assert data.digest == mine.Stripes().digest


def test_all_four_are_named_by_their_dotted_paths(mine, tmp_path):
    (command,) = re.findall(r"^python -m reparam_suite\.fit (.*mine.*)$", PAGE, re.MULTILINE)
    ended = fit(*shlex.split(command), "--record.test_data", "0", root=tmp_path)
    assert ended.code == 0, ended.err
    run = ended.run
    assert run.info.run_name == "PairedScore-0-Stripes"
    assert run.data.metrics["grad/encoder/variance"] > 0.0
    assert dict(ended.curve("train/objective"))  # a plain objective is recorded under no bound's name


def test_all_four_in_python(mine):
    data = mine.Stripes()
    torch.manual_seed(0)
    model = GaussianVAE(
        event_shape=data.event_shape,
        latent_size=2,
        posterior=mine.LaplaceFamily(),
        objective=mine.Capacity(),
        estimator=mine.PairedScore(),
    )
    assert family(model.encode(data.sample_batch())).__name__ == "Laplace"
    others = [mine.PairedScore(), Pathwise(), ScoreFunction(num_samples=2, baseline=LeaveOneOut())]
    frame = compare_gradients(model, data.sample_batch(), others, num_repeats=64).frame
    # Two samples that are baselines of each other are leave-one-out of two samples: at the same noise, the same.
    variance = frame["variance"]
    assert variance["PairedScore()"] == pytest.approx(variance["ScoreFunction(num_samples=2, baseline=LeaveOneOut())"])
