"""The model of a run as traced graphs: what it does to x, what it makes of z, and its samples."""

import logging
from typing import Any

from torch import Tensor, nn

from reparam_suite.data import datum_of
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.tracking import RunLogger, reason

_log = logging.getLogger(__name__)


def export(model: Any, data: Any, logger: RunLogger) -> None:
    """Records the model in MLflow's format; one with parts of a user's own as far as torch.export takes it.

    Args:
        model: with a forward of x, `decode(z)` and `prior()`.
        data: of the run.
        logger: of the run.
    """
    example = datum_of(data.sample_batch("train"))
    integers = {"divisor": data.divisor, "binarized": data.kind == "binary"}
    with forked_generator(example.device):
        try:
            decode = (decoder_of(model), model.prior().sample((2,)))
            sample = (sampler_of(model), example.new_zeros(2))
            logger.log_model(model, example, decode=decode, sample=sample, **integers)
            return
        except Exception as error:  # noqa: BLE001 - one of an own part's, or of a prior that is no longer finite
            _log.info("run %s: no graphs of decoder and samples: %s", logger.run_id, reason(error))
        try:
            logger.log_model(model, example, **integers)
        except Exception as error:  # noqa: BLE001 - whatever torch.export makes of a module of a user's own
            told = reason(error)
            _log.warning("run %s: the model is not exported, torch.export refuses it: %s", logger.run_id, told)
            logger.set_tags({"exported_model": f"none: {told}"})


def decoder_of(model: Any) -> nn.Module:
    """z [B, *event] -> E[x|z]."""
    return _Decoder(model)


def sampler_of(model: Any) -> nn.Module:
    """A tensor [B], whose values do not matter -> E[x|z] of B draws of z from the prior."""
    return _Sampler(model)


class _Decoder(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> Tensor:
        mean: Tensor = self.model.decode(z).mean
        return mean


class _Sampler(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, like: Tensor) -> Tensor:
        mean: Tensor = self.model.decode(self.model.prior().sample((like.shape[0],))).mean
        return mean
