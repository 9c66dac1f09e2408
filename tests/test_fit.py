"""Whole runs, from the command line to what MLflow holds of them."""

import os
import re
import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tests.launching import Ended, fit, mlflow_at

from reparam_suite import fit as command
from reparam_suite.estimators import Pathwise
from reparam_suite.models import DiscreteVAE, GaussianVAE
from reparam_suite.tracking import RunLogger
from reparam_suite.tracking.options import options_of
from reparam_suite.training import GradientRecord

SHORT = [
    "--trainer.max_steps",
    "15",
    "--record.every",
    "4",
    "--record.gradients_every",
    "6",
    "--record.test_samples",
    "200",
    "--model.hidden_sizes",
    "[16]",
    "--record.export",
    "true",
]

GROUPS = ("encoder", "decoder")
EVERY_RUN_HAS = {
    *(f"val/{name}" for name in ("elbo", "bound_10", "reconstruction", "kl")),
    *(f"test/{name}" for name in ("elbo", "bound_100", "reconstruction", "kl")),
    *(
        f"latent/{stage}/{name}"
        for stage in ("val", "test")
        for name in ("active_units", "aggregate_kl", "information")
    ),
    *(f"grad/{group}/{what}" for group in GROUPS for what in ("variance", "variance_standard_error", "snr")),
    *(f"grad/{group}/{what}" for group in GROUPS for what in ("work_normalized_variance", "data_variance")),
    "time/ms_per_step",
    "time/samples_per_second",
    "memory/peak_mib",
}
VALIDATED, TESTED = ("val/", "latent/val/"), ("test/", "latent/test/")
ONCE = {"cost/evaluations", "cost/ms_per_gradient", "cost/peak_mib"}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """One store for the runs of this module: making one takes two seconds."""
    return tmp_path_factory.mktemp("runs") / "mlruns"


def finished(ended: Ended) -> Ended:
    assert ended.code == 0, ended.err
    assert ended.err == ""
    return ended


@pytest.fixture(scope="module")
def gaussian(root) -> Ended:
    return finished(fit(*SHORT, "--seed", "3", root=root))


@pytest.fixture(scope="module")
def discrete(root) -> Ended:
    return finished(
        fit("--model", "DiscreteVAE", "--model.latent_size", "8", "--model.prior", "learned", *SHORT, root=root)
    )


@pytest.fixture(scope="module")
def relaxed(root) -> Ended:
    model = ["--model", "DiscreteVAE", "--model.latent_size", "4", "--model.posterior", "FactorizedCategorical"]
    return finished(fit(*model, "--model.estimator", "GumbelSoftmax", *SHORT, root=root))


@pytest.fixture(scope="module")
def importance_weighted(root) -> Ended:
    model = [
        "--model.objective",
        "ImportanceWeighted",
        "--model.posterior",
        "FullCovarianceNormal",
        "--model.estimator",
        "StickTheLanding",
    ]
    return finished(fit(*model, "--model.estimator.num_samples", "3", *SHORT, root=root))


@pytest.fixture(scope="module")
def one_step(root, real_file) -> Ended:
    data = ["--data", "Arrays", "--data.path", str(real_file)]
    return finished(fit(*data, "--trainer.max_steps", "1", "--model.latent_size", "2", root=root))


# -------------------------------------------------------------------------------------------------------------- metrics

RUNS = {
    "gaussian": {"train/elbo", "train/reconstruction", "train/kl"},
    "discrete": {"train/elbo", "train/reconstruction", "train/kl"},
    "relaxed": {"train/relaxed_elbo", "train/relaxed_reconstruction", "train/kl"},
    "importance_weighted": {"train/bound_3", "train/kl"},
    "one_step": {"train/elbo", "train/reconstruction", "train/kl"},
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_has_all_of_its_metrics_at_the_first_and_the_last_step(name, request):
    ended = request.getfixturevalue(name)
    last = 1 if name == "one_step" else 15
    recorded = set(ended.run.data.metrics)
    assert recorded >= EVERY_RUN_HAS | ONCE
    assert {metric for metric in recorded if metric.startswith("train/")} == RUNS[name]
    for metric in recorded:
        if metric.startswith("val/elbo_best"):
            continue  # at the steps where it rose
        steps = {step for step, _ in ended.curve(metric)}
        first = 0 if metric.startswith(VALIDATED) else last if metric.startswith(TESTED) else 1
        if not metric.startswith("grad_path/"):  # of two gradients at least, of which every eighth is taken
            assert {first, first if metric in ONCE else last} <= steps, metric
        assert all(np.isfinite(value) for _, value in ended.curve(metric)), metric


def test_metrics_are_recorded_at_the_intervals_asked_for(gaussian):
    assert [step for step, _ in gaussian.curve("train/elbo")] == [1, 4, 8, 12, 15]
    assert [step for step, _ in gaussian.curve("grad/encoder/variance")] == [1, 6, 12, 15]
    assert [step for step, _ in gaussian.curve("val/elbo")] == [0, 13, 15]
    assert [step for step, _ in gaussian.curve("test/elbo")] == [15]


def test_the_parts_add_up_and_the_bounds_are_ordered(gaussian):
    values = gaussian.run.data.metrics
    for stage in ("train", "val", "test"):
        parts = values[f"{stage}/reconstruction"] - values[f"{stage}/kl"]
        assert values[f"{stage}/elbo"] == pytest.approx(parts, rel=1e-5)
    assert values["val/bound_10"] > values["val/elbo"]
    assert values["test/bound_200"] > values["test/bound_100"] > values["test/elbo"]
    assert gaussian.curve("val/elbo")[-1][1] > gaussian.curve("val/elbo")[0][1], "it has learned something"


def test_a_learned_prior_has_a_gradient_of_its_own(discrete, gaussian):
    assert "grad/prior/variance" in discrete.run.data.metrics
    assert "grad/prior/variance" not in gaussian.run.data.metrics


# ----------------------------------------------------------------------------------------------- parameters, tags, data


def test_a_run_has_ended_well_under_its_name(gaussian, discrete, importance_weighted):
    for ended, name in [
        (gaussian, "Pathwise-3-Digits"),
        (discrete, "ScoreFunction-LeaveOneOut-0-Digits"),
        (importance_weighted, "StickTheLanding-0-Digits"),
    ]:
        assert (ended.run.info.status, ended.run.info.run_name) == ("FINISHED", name)


def test_the_whole_resolved_configuration_is_among_the_options(discrete):
    options = options_of(discrete.run.data.tags)
    config = yaml.safe_load((discrete.artifacts() / "config.yaml").read_text())
    told = {key: str(value) for key, value in flat(config).items()}
    assert options == told
    assert options["model.class_path"] == "reparam_suite.models.DiscreteVAE"
    assert options["model.init_args.estimator.init_args.baseline.class_path"] == "reparam_suite.estimators.LeaveOneOut"
    assert options["model.init_args.objective.init_args.weight"] == "1.0"
    assert options["trainer.max_steps"] == "15"
    assert options["seed"] == "0"
    assert discrete.run.data.params["estimator"] == "ScoreFunction-LeaveOneOut"
    assert len(discrete.run.data.params) < 20


def test_a_run_has_a_description_with_its_results(discrete):
    text = discrete.run.data.tags["mlflow.note.content"]
    assert text.startswith("**DiscreteVAE** trained with **`ScoreFunction(")
    assert f"| test/elbo | {discrete.run.data.metrics['test/elbo']:.6g} |" in text


def flat(values: dict, prefix: str = "") -> dict:
    found = {}
    for key, value in values.items():
        nested = isinstance(value, dict) and value
        found |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def test_tags_tell_what_was_trained_and_with_what(discrete, relaxed):
    tags = discrete.run.data.tags
    expected = {
        "model": "DiscreteVAE",
        "posterior": "FactorizedBernoulli",
        "estimator": "ScoreFunction-LeaveOneOut",
        "estimator.unbiased": "true",
        "objective": "ELBO()",
        "estimator.expression": "ScoreFunction(num_samples=4, baseline=LeaveOneOut())",
        "dataset": "Digits",
        "dataset.kind": "binary",
        "dataset.resumes": "bitwise",
        "gradients.road": "layer by layer",
        "gradients.off": "none",
        "seed": "0",
        "device": "cpu",
        "version.torch": version("torch"),
        "version.mlflow": mlflow.__version__,
    }
    assert {key: tags.get(key) for key in expected} == expected
    assert int(tags["num_threads"]) == torch.get_num_threads()
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    if head.returncode == 0:
        assert re.fullmatch("[0-9a-f]{40}", tags["git.commit"])
    assert relaxed.run.data.tags["estimator.unbiased"] == "false"


def test_the_dataset_is_recorded_with_its_digest(gaussian, one_step):
    (digits,) = gaussian.run.inputs.dataset_inputs
    assert digits.dataset.name == "Digits"
    assert re.fullmatch("[0-9a-f]{16}", digits.dataset.digest)
    assert [tag.value for tag in digits.tags] == ["training"]
    (arrays,) = one_step.run.inputs.dataset_inputs
    assert arrays.dataset.name == "Arrays-line"
    assert arrays.dataset.digest != digits.dataset.digest


# ------------------------------------------------------------------------------------------------------------ artifacts

GRADIENTS = ("gradient_variance", "element_variances", "latent_use")
IMAGES = ("reconstructions", "samples", "samples_along_training")
FIGURES = {
    "gaussian": {*IMAGES, "latent_traversal", "latent_map", "interpolations", "curves", *GRADIENTS},
    "discrete": {*IMAGES, "code_use", "latent_map", "curves", *GRADIENTS},
    "relaxed": {*IMAGES, "code_use", "latent_map", "curves", *GRADIENTS},
    "one_step": {"reconstructions", "curves", *GRADIENTS},
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_pictures_with_something_on_them(name, request):
    ended = request.getfixturevalue(name)
    files = {path.stem: path for path in (ended.artifacts() / "figures").glob("*")}
    assert set(files) == FIGURES[name]
    for path in files.values():
        with Image.open(path) as image:
            assert image.format == "PNG"
            pixels = np.asarray(image.convert("L"))
        assert min(pixels.shape) >= 100
        assert len(np.unique(pixels)) > 10, path.name


def test_samples_and_reconstructions_are_images_by_step(gaussian):
    names = [path.name.split("+") for path in (gaussian.artifacts() / "images").glob("*.png")]
    kept = sorted(path.stem for path in (gaussian.artifacts() / "samples").glob("*.npz"))
    steps = {int(name.removeprefix("step_")) for name in kept}
    assert {0, max(step for step, _ in gaussian.curve("val/elbo"))} <= steps
    assert {(name[0], int(name[2])) for name in names} == {
        (key, step) for key in ("samples", "reconstructions") for step in steps
    }
    assert len(names) == 2 * len(steps)
    assert gaussian.run.data.tags["mlflow.loggedImages"] == "True"


def test_the_figures_of_every_latent_add_up_to_the_metrics(gaussian, discrete):
    for ended, num_latents in ((gaussian, 10), (discrete, 8)):
        values = ended.run.data.metrics
        with np.load(ended.artifacts() / "latents" / "test.npz") as arrays:
            assert ("code_perplexity" in arrays) == (ended is discrete)
            kl, aggregate = arrays["kl_per_latent"], arrays["aggregate_kl"]
        assert kl.shape == aggregate.shape == (num_latents,)
        assert kl.sum() == pytest.approx(values["test/kl"], rel=1e-4)
        assert aggregate.sum() == pytest.approx(values["latent/test/aggregate_kl"])
        parts = values["latent/test/aggregate_kl"] + values["latent/test/information"]
        assert parts == pytest.approx(values["test/kl"], rel=1e-4)


@pytest.mark.usefixtures("undrawn")
def test_the_bound_of_many_samples_says_how_many_data_it_was_paid_for(root):
    ended = finished(fit(*SHORT, "--record.test_data", "50", root=root))
    values = ended.run.data.metrics
    assert values["test/bound_200_from_50"] > values["test/bound_100"]
    assert 0.0 < values["test/bound_200_from_50_standard_error"] < 0.5
    assert "test/bound_200" not in values
    assert "test bound, K = 200" in ended.out
    without = finished(fit(*SHORT, "--record.test_data", "0", root=root))
    assert not [name for name in without.run.data.metrics if name.startswith("test/bound_2")]


def test_the_variance_of_every_element_is_kept_at_both_ends(gaussian, one_step):
    for ended, steps in ((gaussian, (1, 15)), (one_step, (1,))):
        folder = ended.artifacts() / "gradients" / "element_variances"
        assert {path.name for path in folder.iterdir()} == {f"step_{step}.npz" for step in steps}
        for path in folder.iterdir():
            with np.load(path) as arrays:
                assert {name.partition("/")[0] for name in arrays} == {"encoder", "decoder", "loc", "scale"}
                assert all((arrays[name] >= 0.0).all() for name in arrays)


@pytest.mark.parametrize("name", ["gaussian", "discrete", "relaxed", "importance_weighted"])
def test_the_exported_model_is_the_checkpointed_one(name, request):
    ended = request.getfixturevalue(name)
    cls = DiscreteVAE if name in ("discrete", "relaxed") else GaussianVAE
    best = ended.artifacts() / "checkpoints" / "best.ckpt"
    trained = cls.load_from_checkpoint(best, weights_only=True).eval()
    with mlflow_at(ended.client.tracking_uri):
        loaded = mlflow.pytorch.load_model(f"runs:/{ended.run.info.run_id}/model")
    x = torch.rand(7, *trained.event_shape, generator=torch.Generator().manual_seed(0)).round()
    with torch.no_grad():
        expected, found = trained(x), loaded(x)
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert torch.allclose(found[key], value, atol=1e-5), key
    with torch.no_grad():
        assert all(torch.equal(loaded(x)[key], value) for key, value in found.items()), "it has no noise"


def test_no_model_is_exported_unless_that_is_asked_for(one_step):
    assert {path.name for path in one_step.artifacts().iterdir()} >= {"checkpoints", "figures"}
    exported = Path(one_step.root) / "artifacts" / "models"
    assert not any(one_step.run.info.run_id in path.read_text() for path in exported.rglob("MLmodel"))


def test_the_exported_model_has_a_signature_and_an_example(gaussian):
    with mlflow_at(gaussian.client.tracking_uri):
        described = mlflow.models.get_model_info(f"runs:/{gaussian.run.info.run_id}/model")
    described_input = "x of numbers of any type, [B, 64] or [64]; integers from 0 to 16 are divided by 16"
    assert described.metadata == {"input": described_input}
    assert described.signature.params.to_dict()[0]["default"] == "encode"
    assert described.signature.outputs.input_names() == ["loc", "scale", "reconstruction"]
    assert described.saved_input_example_info is not None


def test_both_checkpoints_are_there_and_complete(gaussian):
    folder = gaussian.artifacts() / "checkpoints"
    assert {path.name for path in folder.iterdir()} == {"best.ckpt", "last.ckpt"}
    saved = {path.stem: torch.load(path, weights_only=True) for path in folder.iterdir()}
    assert saved["last"]["global_step"] == 15
    curve = dict(gaussian.curve("val/elbo"))
    best = saved["best"]["global_step"]
    assert curve[best] == max(value for step, value in curve.items() if step > 0)
    assert "optimizer_states" in saved["last"]


def test_the_weights_that_validated_best_are_tested_and_exported(root, monkeypatch):
    """The last two steps are spoilt: the end is worse than what stood after the first epoch, at step 13."""

    def spoil(self, trainer, model, *_):
        if trainer.global_step == 14:
            model.likelihood.network[-1].weight.data.mul_(-20.0)

    monkeypatch.setattr(GradientRecord, "on_train_batch_end", spoil)
    ended = finished(fit(*SHORT, root=root))
    validated = dict(ended.curve("val/elbo"))
    assert validated[15] < validated[13] - 50.0
    assert ended.run.data.metrics["test/elbo"] == pytest.approx(validated[13], abs=3.0)
    best = torch.load(ended.artifacts() / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["global_step"] == 13
    with mlflow_at(ended.client.tracking_uri):
        loaded = mlflow.pytorch.load_model(f"runs:/{ended.run.info.run_id}/model")
    exported = {
        name: value for name, value in loaded.state_dict().items() if name.endswith("likelihood.network.2.weight")
    }
    assert [torch.equal(weight, best["state_dict"]["likelihood.network.2.weight"]) for weight in exported.values()] == [
        True
    ]


def test_nothing_else_is_left_behind(gaussian):
    """The spool is empty; the best and the last checkpoint are once on the disk, under a name for each use."""
    assert list((gaussian.root / "spool").iterdir()) == []
    run_id = gaussian.run.info.run_id
    kept = gaussian.root / "checkpoints" / run_id
    assert {path.name for path in kept.iterdir()} == {"best.ckpt", "last.ckpt", "config.yaml", "metrics.csv"}
    recorded = gaussian.artifacts() / "checkpoints"
    assert {path.name: path.samefile(kept / path.name) for path in recorded.iterdir()} == {
        "best.ckpt": True,
        "last.ckpt": True,
    }


def test_every_number_is_in_a_file_beside_the_checkpoints(gaussian):
    text = (gaussian.root / "checkpoints" / gaussian.run.info.run_id / "metrics.csv").read_text()
    rows = [line.split(",") for line in text.splitlines()[1:]]
    assert {name for _, name, _ in rows} == set(gaussian.run.data.metrics)
    elbos = [(int(step), float(value)) for step, name, value in rows if name == "val/elbo"]
    assert elbos == gaussian.curve("val/elbo")


# ------------------------------------------------------------------------------------------------ printed lines


def test_the_lines_tell_what_is_done_the_results_and_where_they_are(gaussian):
    lines = gaussian.out
    for label in (
        "Results (bounds in nats)",
        "test ELBO",
        "best validation ELBO",
        "test KL",
        "gradient variance, encoder",
    ):
        assert label in lines
    assert f"{gaussian.run.data.metrics['test/elbo']:.2f}" in lines
    assert lines.count(gaussian.run.data.tags["dataset.summary"]) == 1
    assert f"run        {gaussian.run.info.run_id}" in lines
    assert f"artifacts  {gaussian.run.info.artifact_uri}" in lines
    told = re.search(r"^MLflow UI +(.*)$", lines, re.MULTILINE)[1]
    assert told == f"python -m reparam_suite.ui --tracking.root {gaussian.root}"
    first, second = lines.splitlines()[:2]
    assert first == "Pathwise-3-Digits  GaussianVAE on Digits with Pathwise, 15 steps, seed 3"
    assert second == f"recorded as run {gaussian.run.info.run_id} in {gaussian.root}"
    assert re.search(r"^step 15 of 15  train -\S+  val -\S+  best -\S+  in 0:", lines, re.MULTILINE)
    steps = re.findall(r"^(.+?) {2,}\d+\.\d s$", lines, re.MULTILINE)
    assert steps == ["test", "bound of many samples", "figures", "exported model"]


# ----------------------------------------------------------------------------------------------------------- repetition


@pytest.mark.usefixtures("undrawn")
def test_its_configuration_file_makes_the_same_run_again_to_the_last_bit(gaussian):
    again = finished(fit("--config", str(gaussian.artifacts() / "config.yaml"), root=gaussian.root))
    assert again.run.info.run_id != gaussian.run.info.run_id
    assert again.run.info.run_name == gaussian.run.info.run_name
    assert again.run.data.params == gaussian.run.data.params
    for metric in ("train/elbo", "val/elbo", "val/bound_10", "test/elbo", "test/bound_100", "grad/encoder/variance"):
        assert again.curve(metric) == gaussian.curve(metric), metric


@pytest.mark.usefixtures("undrawn")
def test_what_is_measured_beside_does_not_change_the_run(gaussian):
    """Gradients at every step, records at every step: the same weights, the same bounds."""
    often = ["--record.every", "1", "--record.gradients_every", "1"]
    again = finished(fit(*SHORT, "--seed", "3", *often, root=gaussian.root))
    assert len(again.curve("grad/encoder/variance")) == 15
    for metric in ("val/elbo", "test/elbo", "test/bound_100"):
        assert again.curve(metric) == gaussian.curve(metric), metric


@pytest.mark.usefixtures("undrawn")
def test_several_seeds_are_several_runs_and_each_is_that_of_its_seed(gaussian):
    ended = finished(fit(*SHORT, "--seeds", "5", "3", root=gaussian.root))
    assert len(ended.run_ids) == 2
    runs = [ended.client.get_run(run_id) for run_id in ended.run_ids]
    assert [run.info.run_name for run in runs] == ["Pathwise-5-Digits", "Pathwise-3-Digits"]
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    assert [run.data.params["seed"] for run in runs] == ["5", "3"]
    five, three = (ended.curve("test/elbo", run_id) for run_id in ended.run_ids)
    assert three == gaussian.curve("test/elbo"), "as if it had been run alone"
    assert five != three
    (line,) = re.findall(r"test ELBO +│ +(\S+) │ +(\S+) │", ended.out)
    assert line == (f"{five[0][1]:.2f}", f"{three[0][1]:.2f}")
    assert re.search(r"seed 5 ┃ +seed 3 ┃", ended.out)


@pytest.mark.usefixtures("undrawn")
def test_a_users_own_estimator_is_trained_by_its_dotted_path(gaussian, root, tmp_path, monkeypatch):
    """It is Pathwise under another name: the run is that of the suite's own, bit for bit."""
    (tmp_path / "my_estimators.py").write_text(
        "from reparam_suite.estimators import *\n"
        "class Mine(GradientEstimator):\n"
        "    bounds, differentiates_f, unbiased = (Average,), True, True\n"
        "    def __init__(self, *, num_samples: int = 1, note: str = '') -> None:\n"
        "        super().__init__(num_samples=num_samples)\n"
        "        self.note = note\n"
        "    def estimate(self, target):\n"
        "        objective = target.bound.value(target.f(target.q.rsample((self.num_samples,)), target.q))\n"
        "        return Estimate(objective=objective, control_loss=objective.new_zeros(()))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    ended = finished(
        fit(
            "--model.estimator",
            "my_estimators.Mine",
            "--model.estimator.note",
            "hello",
            *SHORT,
            "--seed",
            "3",
            root=root,
        )
    )
    assert ended.run.info.run_name == "Mine-3-Digits"
    assert ended.run.data.params["estimator.note"] == "hello"
    loaded = GaussianVAE.load_from_checkpoint(ended.artifacts() / "checkpoints" / "last.ckpt", allow=["my_estimators"])
    assert (type(loaded.estimator).__name__, loaded.estimator.note) == ("Mine", "hello")
    assert ended.curve("test/elbo") == gaussian.curve("test/elbo")


# -------------------------------------------------------------------------------------------------------------- failure


def test_a_run_that_diverges_stops_with_its_step_and_its_last_finite_checkpoint(root):
    """The objective breaks in the second epoch, after a checkpoint."""
    broken = []

    def estimate(self, target):
        found = original(self, target)
        if self.training:
            broken.append(1)
        return (
            found
            if len(broken) < 20
            else type(found)(objective=found.objective * torch.inf, control_loss=found.control_loss)
        )

    original = Pathwise.estimate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pathwise, "estimate", estimate)
        ended = fit(*SHORT, "--trainer.max_steps", "100", root=root)
    assert ended.code == 1
    run = ended.every_run()[0]
    checkpoints = root / "checkpoints" / run.info.run_id
    assert ended.err == (
        "reparam_suite.fit: the training objective is -inf at step 20; "
        f"the last finite checkpoint is {checkpoints}/last.ckpt\n"
    )
    assert run.info.status == "FAILED"
    assert [step for step, _ in ended.curve("train/elbo", run.info.run_id)] == [1, 4, 8, 12, 16, 19]
    assert [step for step, _ in ended.curve("val/elbo", run.info.run_id)] == [0, 13]
    assert_finite(checkpoints)


def test_a_learning_rate_out_of_all_reason_is_such_a_run(root):
    ended = fit(*SHORT, "--model.learning_rate", "1e30", root=root)
    assert ended.code == 1
    assert re.fullmatch(
        r"reparam_suite\.fit: the training objective is (nan|-inf) at step 2; there is no checkpoint before it\n",
        ended.err,
    )
    run = ended.every_run()[0]
    assert run.info.status == "FAILED"
    assert [step for step, _ in ended.curve("train/elbo", run.info.run_id)] == [1]


def assert_finite(folder: Path) -> None:
    files = sorted(folder.glob("*.ckpt"))
    assert {path.name for path in files} == {"best.ckpt", "last.ckpt"}
    for path in files:
        state = torch.load(path, weights_only=True)["state_dict"]
        assert all(tensor.isfinite().all() for tensor in state.values()), path.name


def test_an_error_in_training_leaves_a_failed_run_with_all_up_to_there(root, monkeypatch):
    def fail(self, trainer, *_):
        if trainer.global_step == 9:
            raise ZeroDivisionError("in the middle")

    monkeypatch.setattr(GradientRecord, "on_train_batch_end", fail)
    with pytest.raises(ZeroDivisionError, match="in the middle"):
        fit(*SHORT, root=root)
    run = Ended(1, "", "", root).every_run()[0]
    assert run.info.status == "FAILED"
    assert [step for step, _ in Ended(1, "", "", root).curve("train/elbo", run.info.run_id)] == [1, 4, 8, 9]


def test_an_error_after_training_leaves_a_failed_run_too(root, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("in a figure")

    monkeypatch.setattr("reparam_suite.running.finishing.figures_of", fail)
    with pytest.raises(ZeroDivisionError, match="in a figure"):
        fit(*SHORT, root=root)
    run = Ended(1, "", "", root).every_run()[0]
    assert run.info.status == "FAILED"
    assert "test/elbo" in run.data.metrics


# -------------------------------------------------------------------------------------------------------------- signals


def test_ctrl_c_during_the_last_upload_loses_no_table(root, monkeypatch):
    """Of two seeds the second one is not begun."""
    real = RunLogger.close

    def close(logger, status):
        signal.raise_signal(signal.SIGINT)
        real(logger, status)

    monkeypatch.setattr("reparam_suite.running.fitting.finish", lambda *_, **__: None)
    monkeypatch.setattr(RunLogger, "close", close)
    ended = fit(*SHORT, "--trainer.max_steps", "1", "--seeds", "5", "6", root=root)
    assert (ended.code, ended.err) == (130, "reparam_suite.fit: interrupted; what is shown is finished\n")
    assert "test ELBO" in ended.out
    assert ended.run.info.status == "FINISHED"
    assert ended.run.data.tags["seed"] == "5"


# ---------------------------------------------------------------------------------------------------------- the command


@pytest.mark.slow
def test_the_module_is_the_command(tmp_path):
    """`python -m reparam_suite.fit`, as a user calls it: exit codes and streams of a real process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    ended = subprocess.run(
        [sys.executable, "-m", "reparam_suite.fit", "--tracking.uri", uri],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"reparam_suite.fit: --tracking.uri {uri} does not answer as an MLflow server: ")
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_arguments_are_those_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fit.py", "--model", "NoVAE"])
    assert command.main() == 2
    assert "got NoVAE" in capsys.readouterr().err
