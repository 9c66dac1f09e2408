"""Each program shows what it says, at a fraction of its length."""

import re

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from tests.examples.programs import EXAMPLES, run_program, shortened
from torch.distributions import Distribution, MultivariateNormal

from reparam_suite.distributions import family

pytestmark = pytest.mark.slow

STEPS = 60
"""Training steps, unless a program shows something that takes more."""


@pytest.fixture
def run(working_directory):
    """Runs a program in the shared folder and returns the names that it leaves behind."""
    return lambda name, **constants: run_program(name, working_directory, **{"MAX_STEPS": STEPS} | constants)


def assert_drawn(*files):
    for file in files:
        assert np.std(imread(file)[..., :3]) > 0.05, f"{file} is blank"


def test_a_constant_that_is_not_there_is_no_shortening():
    with pytest.raises(AssertionError, match="got 0"):
        shortened("STEPS = 3\n", {"MAX_STEPS": 2})
    assert shortened("A = 1\nMAX_STEPS = 3\n", {"MAX_STEPS": 2}) == "A = 1\nMAX_STEPS = 2\n"


def test_every_program_is_in_the_table_and_has_a_test():
    programs = {file.stem for file in EXAMPLES.glob("*.py")}
    listed = set(re.findall(r"\]\((\w+)\.py\)", (EXAMPLES / "README.md").read_text()))
    tested = {name.removeprefix("test_program_") for name in globals() if name.startswith("test_program_")}
    assert programs == listed == tested


def test_program_first_run(run):
    left = run("first_run")
    table = left["table"].set_index("name")
    assert {"diagonal", "full"} <= set(table.index)
    assert (table["status"] == "FINISHED").all()
    assert left["curve"]["value"].iloc[-1] > left["curve"]["value"].iloc[0] + 10.0
    assert family(left["q"]) is MultivariateNormal
    for name, tensor in left["model"].state_dict().items():
        torch.testing.assert_close(tensor, left["full"].model.state_dict()[name])
    assert_drawn("reconstructions.png", "curves.png", "latent_traversal.png")


def test_program_conv_network(run):
    left = run("conv_network")
    assert left["result"].metrics["test/elbo"] > -32.0  # untrained: about -45
    assert left["images"].shape[1:] == (1, 8, 8)
    assert left["result"].metrics["grad/decoder/variance"] > 0.0
    assert_drawn("samples.png")


def test_program_own_distribution(run):
    left = run("own_distribution", CHECKED_SAMPLES=4_000)
    variance = left["comparison"].frame["variance"]
    assert 2.0 * variance["AntitheticPathwise()"] < variance["Pathwise(num_samples=2)"]
    assert len(variance) == 3
    assert set(left["comparison"].left_out) == {"ControlledPathwise(num_samples=2)"}


def test_program_flow_posterior(run):
    left = run("flow_posterior")
    metrics = left["flow"].metrics
    assert metrics["test/elbo"] <= metrics["test/bound_100"]
    assert set(left["comparison"].left_out) == {"AntitheticPathwise()"}
    variance = left["comparison"].frame["variance"]
    assert variance["StickTheLanding(num_samples=3)"] < variance.drop("StickTheLanding(num_samples=3)").min()


def test_program_own_objective(run):
    left = run("own_objective", MAX_STEPS=80)
    weight = left["CyclicalELBO"](period=100).weight_at
    assert [weight(step) for step in (0, 25, 50, 99, 100, 125)] == [0.0, 0.5, 1.0, 1.0, 0.0, 0.5]
    kl = left["result"].history("train/kl").set_index("step")["value"]
    # The second cycle begins at step 20: without a weight the KL rises, under the full weight it falls.
    assert kl.loc[20:30].max() > kl.loc[:20].iloc[-1]
    assert kl.loc[40] < kl.loc[20:40].max()
    assert (left["comparison"].frame["cosine"] > 0.9).all()
    assert_drawn("cyclical_kl.png")


def test_program_hard_attention(run):
    left = run("hard_attention", MAX_STEPS=2 * STEPS)
    assert (left["result"].num_steps, left["longer"].num_steps) == (STEPS, 2 * STEPS)
    assert left["longer"].run_id == left["result"].run_id
    assert left["longer"].metrics["val/accuracy_best"] > 0.25  # by guessing: 0.1
    frame = left["comparison"].frame
    assert frame["variance"]["Enumeration()"] < 1e-9
    assert frame["variance"]["ScoreFunction(num_samples=4, baseline=LeaveOneOut())"] > 1e-6
    assert list(frame["evaluations"]) == [9, 4]


def test_program_own_estimator(run, capsys):
    left = run("own_estimator", NUM_REPLICATES=4_000)
    printed = capsys.readouterr().out
    assert "LocationOnly keeps its promises" in printed
    assert re.search(r"refused: .*gradient with respect to phi of Overconfident.*standard errors", printed)
    frame = left["comparison"].frame
    assert frame["variance"]["LocationOnly()"] < frame["variance"]["Pathwise()"]
    assert frame["cosine"]["LocationOnly()"] < 0.99 < frame["cosine"]["Pathwise()"]


def test_program_own_data(run):
    left = run("own_data", MAX_STEPS=200)
    for result in (left["from_arrays"], left["from_module"]):
        scale = result.model.decode(torch.zeros(1, 4)).stddev
        assert 0.1 < scale[0, 0] < 0.4  # from 0.5, on its way to 0.1
        assert scale.std() == 0.0
    assert "test/elbo" in left["from_arrays"].metrics
    assert not [name for name in left["from_module"].metrics if name.startswith("test/")]
    assert_drawn("oscillations.png")


@pytest.mark.filterwarnings("ignore:The number of training batches:UserWarning")
@pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning")
def test_program_own_trainer(run):
    left = run("own_trainer")
    assert [int(row["step"]) for row in left["rows"]] == [1, 15, 30, 45, 60]
    assert all(float(row["grad/encoder/variance"]) > 0.0 for row in left["rows"])
    assert left["metrics"]["val/elbo"] > -40.0  # untrained: about -45
    assert float(left["encoder"].variance) > 0.0
    assert type(left["model"].estimator).__name__ == "ScoreFunction"


def test_program_study(run):
    left = run("study", NUM_TRIALS=2)
    result = left["result"]
    assert list(result.frame["state"]) == ["COMPLETE", "COMPLETE"]
    assert result.trained == 2
    best = result.frame.loc[result.frame["val/elbo_best"].idxmax()]
    assert best["run_id"] == result.best_run_id
    assert best["learning_rate"] == result.best_params["learning_rate"]
    assert left["model"].objective_name.endswith("elbo")
    assert left["study"].run().trained == 0


def test_program_table(run, working_directory):
    left = run("table", LEARNING_RATES=(5e-3,), MAX_STEPS=20)
    assert left["result"].trained == 4
    assert list(left["table"].frame["n"]) == [2, 2]
    latex = (working_directory / "antithetic.tex").read_text()
    assert r"\toprule" in latex
    assert latex.count(r"\pm") == 4
    assert max(map(len, str(left["table"]).splitlines())) <= 80
    assert left["sweep"].run().trained == 0


def test_argument_validation_is_as_before():
    """Zuko, imported by a program, switches it off."""
    assert Distribution._validate_args
