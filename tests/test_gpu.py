"""Where there is a GPU: every estimator and every configuration on it."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tests.estimators.cases import ROWS, Case, Row
from tests.launching import fit
from tests.statistics import LIMIT, SEED
from torch import Tensor, nn

from reparam_suite.data import StreamedArrays
from reparam_suite.data.positioned import Place
from reparam_suite.estimators import Expectation, LogMeanExp

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]

CONF = Path(__file__).parents[1] / "conf"
NUM_REPLICATES = 20_000


def gradients(row: Row, device: str) -> tuple[Tensor, Tensor]:
    """Independent values `[N]` and gradients with respect to phi `[N, P]`, with f on the device as well."""
    problem = row.problems[0]
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        estimator = row.make().float().eval().to(device)
        phi = problem.phi.float().to(device).expand(NUM_REPLICATES, -1).clone().requires_grad_()
        q = problem.q(phi)
        network = nn.Sequential(nn.Linear(q.event_shape.numel(), 8), nn.Tanh(), nn.Linear(8, 1))
        network.to(device)

        def f(z, q):
            value = network(z.flatten(z.dim() - len(q.event_shape))).squeeze(-1)
            return value - 0.5 * q.log_prob(z) if isinstance(problem.bound, LogMeanExp) else value

        objective = estimator(Expectation(q=q, f=f, bound=problem.bound, context=phi.detach())).objective
    (gradient,) = torch.autograd.grad(objective.sum(), phi)
    assert objective.device.type == gradient.device.type == device
    return objective.detach().cpu().double(), gradient.cpu().double()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(Case(row, row.problems[0])))
def test_an_estimator_gives_there_what_it_gives_on_the_cpu(row):
    """In the mean: the generators of the two draw other numbers."""
    for there, here in zip(gradients(row, "cuda"), gradients(row, "cpu"), strict=True):
        error = ((there.var(0) + here.var(0)) / NUM_REPLICATES).sqrt()
        rounding = 1e-4 * here.mean(0).abs().max().clamp_min(1.0)
        assert ((there.mean(0) - here.mean(0)).abs() < LIMIT * error + rounding).all()


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs") / "mlruns"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("file", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_configuration_trains_there(file, precision, root, small_root):
    downloaded = yaml.safe_load(file.read_text())["data"]["class_path"] in ("MNIST", "CIFAR10", "SVHN")
    data = ["--data.root", str(small_root)] if downloaded else []
    trainer = ["--trainer", str(CONF / "trainer" / "gpu.yaml"), "--trainer.max_steps", "3"]
    ended = fit("--config", str(file), *trainer, "--trainer.precision", precision, *data, root=root)
    assert ended.code == 0, ended.err
    assert ended.run.info.status == "FINISHED"
    assert ended.run.data.tags["device"] == torch.cuda.get_device_name()
    assert {step for step, _ in ended.curve("val/elbo")} == {0, 3}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_streamed_batches_arrive_there_as_they_are_on_the_cpu(num_workers, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (500, 3, 8, 8), dtype=np.uint8))
    data = StreamedArrays(train=tmp_path / "x.npy", batch_size=30, num_workers=num_workers)
    here, there = (list(data.train_batches(Place(torch.device(device)))) for device in ("cpu", "cuda"))
    assert {rows.device.type for rows in there} == {"cuda"}
    for ours, rows in zip(here, there, strict=True):
        torch.testing.assert_close(ours, rows.cpu())
