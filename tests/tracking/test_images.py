"""Pictures by step, under the names that MLflow's page looks for."""

import inspect
import re

import numpy as np
from mlflow import MlflowClient
from PIL import Image

from reparam_suite.tracking import log_image


class Kept:
    """Stands for the logger of a run."""

    def __init__(self):
        self.files, self.tags = {}, {}

    def log_artifact(self, path, directory):
        with Image.open(path) as image:
            self.files[f"{directory}/{path.name}"] = np.asarray(image.convert("RGB"))

    def set_tags(self, tags):
        self.tags |= tags


def test_a_picture_and_its_preview_are_recorded_at_a_step():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 600, 3)).astype(np.uint8)
    logger = Kept()
    log_image(logger, pixels, "samples", 400)
    large, small = sorted(logger.files, key=lambda name: name.endswith("webp"))
    stem = r"images/samples\+step\+400\+timestamp\+\d+\+[0-9a-f-]{36}"
    assert re.fullmatch(rf"{stem}\.png", large)
    assert re.fullmatch(rf"{stem}\+compressed\.webp", small)
    assert np.array_equal(logger.files[large], pixels)
    assert logger.files[small].shape == (128, 256, 3)
    assert logger.tags == {"mlflow.loggedImages": "True"}


def test_the_names_are_those_of_mlflows_own():
    source = inspect.getsource(MlflowClient.log_image)
    assert 'f"images/{sanitized_key}+step+{step}+timestamp+{timestamp}+{filename_uuid}"' in source
    assert '+compressed"' in source
