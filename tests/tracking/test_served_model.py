"""The served model of a run: integers are what they were in training."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reparam_suite.data import Arrays, Digits
from reparam_suite.models import GaussianVAE
from reparam_suite.running.export import export
from reparam_suite.tracking.exported_model import save_model
from reparam_suite.tracking.quiet import load_mlflow
from reparam_suite.tracking.served_model import ServedModel

GREY = (np.random.default_rng(1).random((64, 8)) * 255).astype(np.uint8)


def of_data(source, folder: Path) -> ServedModel:
    """Exported as at the end of a run on these data."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = GaussianVAE(event_shape=source.event_shape, latent_size=2, hidden_sizes=(4,)).eval()
    load_mlflow()
    logger = SimpleNamespace(log_model=lambda module, x, **options: save_model(module, x, folder / "model", **options))
    export(model, source, logger)
    return ServedModel(folder / "model" / "data")


def same(found, expected) -> bool:
    return all(np.allclose(found[name], value, atol=1e-6) for name, value in expected.items())


def test_integers_are_divided_as_they_were_for_training(tmp_path):
    served = of_data(Arrays.of(train=GREY, valid=GREY), tmp_path)
    expected = served.predict(GREY[:3] / 255)
    for dtype in ("uint8", "int16", "int64", "uint32", object):
        assert same(served.predict(GREY[:3].astype(dtype)), expected)
    assert same(served.predict(GREY[:3].tolist()), expected)
    assert same(served.predict(GREY[0]), {name: value[0] for name, value in expected.items()})
    assert same(served.predict(np.ones((3, 8), np.uint8)), served.predict(np.full((3, 8), 1 / 255)))
    assert not same(served.predict(GREY[:3].astype(float)), expected), "floating point is taken as it is"
    with pytest.raises(ValueError, match=r"^x: expected integers from 0 to 255, or .*, got 300 to 300$"):
        served.predict(np.full(8, 300))


def test_integers_for_a_model_of_binarized_data_are_intensities_or_bits(tmp_path):
    served = of_data(Digits(), tmp_path)
    grey = np.arange(128).reshape(2, 64) % 17
    assert same(served.predict(grey), served.predict(grey / 16))
    bits = (grey > 8).astype(np.uint8)
    assert same(served.predict(bits), served.predict(bits.astype(float)))
    with pytest.raises(ValueError, match=r"^x: expected integers from 0 to 16, or .*, got 0 to 32$"):
        served.predict(2 * grey)


def test_integers_that_were_not_divided_for_training_are_not(tmp_path):
    served = of_data(Arrays.of(train=GREY, valid=GREY, kind="count"), tmp_path)
    assert same(served.predict(GREY[:3]), served.predict(GREY[:3].astype(float)))
