"""Images of a run along its training, in its record."""

from torch import Tensor

from reparam_suite.data import DataModule
from reparam_suite.figures import tiled
from reparam_suite.figures.grids import shown_shape
from reparam_suite.tracking import RunLogger, log_image
from reparam_suite.training import Journal, SampleRecord, StepRecord

_INTENSITIES = ("binary", "grey", "colour")  # kinds of data


def sample_record(data: DataModule, journal: Journal, record: StepRecord) -> list[SampleRecord]:
    """The callback that records samples and reconstructions as images by step; none for data that are no images."""
    shape = image_shape(data)
    if shape is None or data.kind not in _INTENSITIES:
        return []

    def show(images: dict[str, Tensor], step: int) -> None:
        if isinstance(journal.logger, RunLogger):
            log_image(journal.logger, tiled([images["samples"].numpy()]), "samples", step)
            pairs = [images[name].numpy() for name in ("data", "reconstructions")]
            log_image(journal.logger, tiled(pairs), "reconstructions", step)

    return [SampleRecord(journal=journal, record=record, show=show, image_shape=shape)]


def image_shape(data: DataModule) -> tuple[int, ...] | None:
    """The shape in which data are shown as images; None if they are none."""
    return data.image_shape or (None if data.event_shape is None else shown_shape(data.event_shape))
