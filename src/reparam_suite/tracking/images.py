"""Images of a run by step, as MLflow's page shows them along training."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from reparam_suite.tracking.run_logger import RunLogger

_FOLDER = "images"
_PREVIEW = 256  # pixels of the longer side
# Set by mlflow's own log_image: the page of a run looks for images where it is there.
_HAS_IMAGES = "mlflow.loggedImages"


def log_image(logger: RunLogger, pixels: npt.NDArray[np.uint8], key: str, step: int) -> None:
    """Records a picture at a step of the training, under the names that `MlflowClient.log_image` gives.

    That function itself waits for the store, and loses the picture where there is none.

    Args:
        logger: of the run.
        pixels: [H, W] in grey or [H, W, 3] in colour.
        key: of the series of pictures.
        step: of this one.
    """
    from PIL import Image  # here alone: it takes time to import

    picture: Any = Image.fromarray(pixels)
    preview = picture.copy()
    preview.thumbnail((_PREVIEW, _PREVIEW))
    name = f"{key}+step+{step}+timestamp+{int(time.time() * 1000)}+{uuid4()}"
    with TemporaryDirectory() as folder:
        for image, file in ((picture, f"{name}.png"), (preview, f"{name}+compressed.webp")):
            path = Path(folder, file)
            image.save(path)
            logger.log_artifact(path, _FOLDER)
    logger.set_tags({_HAS_IMAGES: "True"})
