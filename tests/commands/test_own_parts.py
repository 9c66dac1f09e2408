"""A model and data of a user's own, named by dotted paths: trained, and resumed where their module is allowed."""

import sys
from pathlib import Path

import pytest
from tests.commands.parsing import model_of
from tests.launching import Ended, fit

from reparam_suite.tracking.options import options_of

MODULE = '''
import torch
from lightning.pytorch import LightningDataModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from reparam_suite.distributions import normal
from reparam_suite.estimators import Expectation, GradientEstimator
from reparam_suite.models import EstimatorModule
from reparam_suite.networks import Builder
from reparam_suite.tracking.options import options_of


class MyNetwork(Builder):
    """Two layers.

    Args:
        width: of the first.
    """

    def __init__(self, width: int = 4) -> None:
        self.width = width

    def __call__(self, inputs, outputs):
        first, last = (torch.Size(shape).numel() for shape in (inputs, outputs))
        return nn.Sequential(nn.Flatten(), nn.Linear(first, self.width), nn.Tanh(), nn.Linear(self.width, last))


class MyModel(EstimatorModule):
    """The last of four numbers from the first three.

    Args:
        estimator: of the gradient.
        hidden: units.
    """

    def __init__(self, estimator: GradientEstimator, hidden: int = 2) -> None:
        super().__init__(estimator=estimator)
        self.hidden = hidden
        self.loc = nn.Linear(3, hidden)
        self.output = nn.Linear(hidden, 1)

    def expectation(self, batch):
        x, y = batch
        q = normal(self.loc(x), torch.ones_like(self.loc(x)))
        return Expectation(q=q, f=lambda z, _: -(self.output(z).squeeze(-1) - y).square())

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val/loss", (self.output(self.loc(x)).squeeze(-1) - y).square().mean())


class MyDataModule(LightningDataModule):
    """Rows of numbers.

    Args:
        batch_size: rows of a batch.
    """

    def __init__(self, batch_size: int = 20) -> None:
        super().__init__()
        self.batch_size = batch_size

    def train_dataloader(self):
        x = torch.linspace(-1.0, 1.0, 240).reshape(60, 4).sin()
        return DataLoader(TensorDataset(x[:, :3], x[:, 3]), batch_size=self.batch_size)

    val_dataloader = train_dataloader
'''

PARTS = ("--model", "my_parts.MyModel", "--model.estimator", "Pathwise", "--model.hidden", "5")
DATA = ("--data", "my_parts.MyDataModule", "--data.batch_size", "15")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("own")
    (folder / "my_parts.py").write_text(MODULE)
    return folder


@pytest.fixture(autouse=True)
def _found(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    yield
    sys.modules.pop("my_parts", None)


@pytest.fixture(scope="module")
def trained(folder) -> Ended:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        steps = ("--trainer.max_steps", "6", "--monitor", "-val/loss", "--record.gradients_every", "3")
        ended = fit(*PARTS, *DATA, *steps, root=folder / "mlruns")
    assert (ended.code, ended.err) == (0, "")
    return ended


def test_a_network_is_named_with_its_options():
    model = model_of("--data ColourPatches --data.size 8 --model.encoder my_parts.MyNetwork --model.encoder.width 5")
    widths = [layer.out_features for layer in model.posterior.network if hasattr(layer, "out_features")]
    assert widths == [5, 20]


def test_both_are_trained_and_recorded_with_their_options(trained):
    run = trained.run
    assert (run.info.status, run.info.run_name) == ("FINISHED", "Pathwise-0-MyDataModule")
    options = options_of(run.data.tags)
    assert options["model.class_path"] == "my_parts.MyModel"
    assert options["model.init_args.hidden"] == "5"
    assert options["data.class_path"] == "my_parts.MyDataModule"
    assert options["data.init_args.batch_size"] == "15"
    shown = {name: run.data.params[name] for name in ("model", "hidden", "data", "batch_size")}
    assert shown == {"model": "MyModel", "hidden": "5", "data": "MyDataModule", "batch_size": "15"}
    assert {"val/loss", "val/loss_best", "grad/loc/variance", "train/objective"} <= set(run.data.metrics)
    assert run.data.tags["dataset.resumes"] == "epoch"
    assert run.data.tags["gradients.road"] == "layer by layer"
    assert run.data.tags["dataset.summary"] == "MyDataModule: real, event shape (3,), rows: train 60, valid 60"


def test_a_record_that_names_them_runs_nothing_unless_their_module_is_allowed(trained, folder):
    (run_id,) = trained.run_ids
    sys.modules.pop("my_parts", None)
    ended = fit("--resume", run_id, "--trainer.max_steps", "9", root=folder / "mlruns")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"reparam_suite.fit: --resume: {folder}/mlruns/checkpoints/{run_id}/config.yaml: my_parts.MyModel: expected a "
        "class of reparam_suite, lightning.pytorch.callbacks; allow its module if you trust it, with --allow_modules\n"
    )
    assert "my_parts" not in sys.modules
    assert trained.client.get_run(run_id).info.status == "FINISHED"


def test_it_resumes_where_their_module_is_allowed(trained, folder):
    (run_id,) = trained.run_ids
    more = ("--allow_modules", "my_parts", "--trainer.max_steps", "9")
    ended = fit("--resume", run_id, *more, root=folder / "mlruns")
    assert ended.code == 0, ended.err
    assert ended.err.splitlines() == [
        "reparam_suite.fit: MyDataModule has no digest: whether the data are the same as before is not known",
        "reparam_suite.fit: MyDataModule does not keep its position: the epoch in progress begins again",
    ]
    assert ended.run_ids == [run_id]
    assert trained.curve("train/objective", run_id)[-1][0] == 9
