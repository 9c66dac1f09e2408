"""The model and the data of a checkpoint."""

from pathlib import Path

import pytest
import torch
from tests.launching import fit, undrawn

from reparam_suite.comparison.checkpoint import find
from reparam_suite.data import Digits
from reparam_suite.tracking import TrackingSettings

SMALL = ("--model.latent_size", "3", "--model.hidden_sizes", "[5]", "--trainer.max_steps", "13")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A run with a warm-up of 26 steps that ends after 13."""
    root = tmp_path_factory.mktemp("runs")
    weighted = ("--model.objective", "ELBO", "--model.objective.weight", "0.8", "--model.objective.warmup_steps", "26")
    with undrawn():
        ended = fit(*SMALL, *weighted, "--monitor", "val/elbo", root=root)
    assert ended.code == 0, ended.err
    return root


def file_of(root: Path) -> Path:
    (file,) = (root / "artifacts").glob("*/artifacts/checkpoints/best.ckpt")
    return file


def test_the_weight_of_the_kl_is_that_of_its_step(root):
    model = find(str(file_of(root)), TrackingSettings(root=root)).model()
    assert model.objective.weight_at(model.steps_taken) == pytest.approx(0.8 * 13 / 26)


def test_weights_and_data_are_those_of_the_run(root):
    file = file_of(root)
    (run_id,) = (directory.name for directory in (root / "checkpoints").iterdir())
    content = torch.load(file, weights_only=True)
    for source in (str(file), run_id):
        checkpoint = find(source, TrackingSettings(root=root))
        for name, value in checkpoint.model().state_dict().items():
            assert torch.equal(value, content["state_dict"][name])
        data = checkpoint.data()
        assert type(data) is Digits
        assert data.batch_size == 100
        assert data.digest == checkpoint.digest
        assert checkpoint.run_id == run_id
    assert checkpoint.name == "Pathwise-0-Digits"


def test_what_is_no_longer_where_it_was_trained_is_fetched_from_the_record(root):
    (run_id,) = (directory.name for directory in (root / "checkpoints").iterdir())
    kept = root / "checkpoints" / run_id / "best.ckpt"
    content = kept.read_bytes()
    kept.unlink()
    try:
        assert find(run_id, TrackingSettings(root=root)).content["global_step"] == 13
    finally:
        kept.write_bytes(content)
