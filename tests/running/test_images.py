"""Which data are shown as images along a training."""

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule
from tests.figures.pictures import tiles
from torch.utils.data import DataLoader, TensorDataset

from reparam_suite.data import Arrays, Digits, adapted
from reparam_suite.models import GaussianVAE
from reparam_suite.running.artifacts import model_drawings
from reparam_suite.running.images import image_shape, sample_record
from reparam_suite.training import Checkpoints, Journal, StepRecord


@pytest.mark.parametrize(
    ("event_shape", "kind", "shape"),
    [((9,), "binary", (3, 3)), ((3, 4, 4), "colour", (3, 4, 4)), ((9,), "real", (3, 3)), ((10,), "binary", None)],
)
def test_intensities_of_an_image_are_shown(event_shape, kind, shape):
    rows = np.random.default_rng(0).integers(0, 2, (20, *event_shape)).astype(np.float32)
    data = Arrays.of(train=rows, valid=rows, kind=kind)
    journal = Journal()
    record = StepRecord(every=50, journal=journal, checkpoints=Checkpoints())
    assert image_shape(data) == shape
    assert len(sample_record(data, journal, record)) == (shape is not None and kind != "real")


def test_vectors_are_shown_as_their_data_set_says():
    assert image_shape(Digits(event_shape=(64,))) == (8, 8)


class TrainingAlone(LightningDataModule):
    """No rows to validate on; a class for each row."""

    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.zeros(12, 3, 4, 4), torch.arange(12) % 3), batch_size=4)


def test_without_validation_data_a_model_is_drawn_on_training_data_by_label():
    model = GaussianVAE(event_shape=(3, 4, 4), latent_size=2, hidden_sizes=(5,))
    drawings = dict(model_drawings(model, adapted(TrainingAlone())))
    drawn = [name for name, draw in drawings.items() if draw() is not None]
    assert drawn == ["reconstructions", "samples", "latent_traversal", "latent_map", "encodings", "interpolations"]
    assert tiles(drawings["reconstructions"](), 4, 4).shape[:2] == (2, 4)
