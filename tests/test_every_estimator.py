"""Every estimator at its defaults trains from the command line, with the largest model under conf/ that it fits.

What is tried comes from the library and from conf/: a new estimator, or a new run, is tried without a word here.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from tests.launching import Ended, fit

from reparam_suite import distributions
from reparam_suite.commands.classes import concrete_subclasses
from reparam_suite.distributions.posteriors import LatentFamily
from reparam_suite.estimators import Expectation, GradientEstimator
from reparam_suite.models import VAE
from reparam_suite.running import finishing, fitting

CONF = Path(__file__).parents[1] / "conf"
STEPS = 2


@dataclass(frozen=True)
class Setting:
    """A run of one stochastic layer on the embedded digits."""

    file: Path
    posterior: LatentFamily
    latent_size: int

    def fits(self, estimator: GradientEstimator) -> bool:
        family = self.posterior.of_latent_size(self.latent_size)
        q = family.distribution(torch.zeros(1, family.num_parameters))
        try:
            estimator.check(Expectation(q=q, f=lambda z, _: z.flatten(2).sum(-1)))
        except ValueError:
            return False
        return True


def settings() -> list[Setting]:
    """The largest first."""
    found = []
    for file in CONF.glob("*.yaml"):
        content = yaml.safe_load(file.read_text())
        options = content["model"]["init_args"]
        if content["data"]["class_path"] == "Digits" and options.get("num_layers", 1) == 1:
            spec = options["posterior"]
            name, arguments = (spec, {}) if isinstance(spec, str) else (spec["class_path"], spec["init_args"])
            found.append(Setting(file, getattr(distributions, name)(**arguments), options["latent_size"]))
    return sorted(found, key=lambda setting: -setting.latent_size)


def cases() -> list[tuple[type[GradientEstimator], Setting]]:
    """Every estimator with each posterior that it is defined for."""
    found = {}
    for cls in sorted(concrete_subclasses(GradientEstimator), key=lambda named: named.__name__):
        for setting in settings():
            if setting.fits(cls()):
                found.setdefault((cls, type(setting.posterior)), setting)
    return [(cls, setting) for (cls, _), setting in found.items()]


CASES = cases()


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """One store for the runs of this module."""
    return tmp_path_factory.mktemp("runs") / "mlruns"


@pytest.fixture
def weights_before(monkeypatch) -> dict[str, torch.Tensor]:
    """Those of the model that is trained; figures, export and most of the test's samples are left out.

    They know nothing of the estimator, and take most of so short a run.
    """
    weights: dict[str, torch.Tensor] = {}

    def watched(run, surroundings):
        parts = assemble(run, surroundings)
        weights.update({name: value.clone() for name, value in parts.model.state_dict().items()})
        return parts

    assemble = fitting.assemble
    monkeypatch.setattr(fitting, "assemble", watched)
    monkeypatch.setattr(finishing, "figures_of", lambda *_: ())
    monkeypatch.setattr(finishing, "export", lambda *_: None)
    monkeypatch.setattr(VAE, "num_test_samples", 2)
    return weights


def weights_after(ended: Ended) -> dict[str, torch.Tensor]:
    return torch.load(ended.artifacts() / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_every_estimator_is_tried():
    assert {cls for cls, _ in CASES} == concrete_subclasses(GradientEstimator)


@pytest.mark.parametrize(
    ("cls", "setting"), CASES, ids=[f"{cls.__name__}-{setting.file.stem}" for cls, setting in CASES]
)
def test_it_trains_at_its_defaults(cls, setting, root, weights_before):
    run = ["--config", str(setting.file), "--model.estimator", cls.__name__, "--data.batch_size", "4"]
    run += ["--record.test_data", "0"]
    ended = fit(*run, "--trainer.max_steps", str(STEPS), "--trainer.limit_test_batches", "1", root=root)
    assert ended.code == 0, ended.err
    assert ended.run.data.tags["estimator"].partition("-")[0] == cls.__name__
    metrics = ended.run.data.metrics
    assert {"test/elbo", "grad/encoder/variance", "grad/decoder/variance"} <= set(metrics)
    unfinite = {name for name, value in metrics.items() if not math.isfinite(value)}
    without_noise = {name for name in unfinite if metrics[name.replace("/snr", "/variance")] == 0.0}
    assert unfinite == without_noise, "a signal without noise is infinitely above it, and nothing else is"
    after = weights_after(ended)
    matrices = [name for name in after if re.match(r"(posterior|likelihood)\.network\.\d+\.weight", name)]
    assert len(matrices) == 6
    assert [name for name in matrices if torch.equal(weights_before[name], after[name])] == []
    assert all(tensor.isfinite().all() for tensor in after.values())
