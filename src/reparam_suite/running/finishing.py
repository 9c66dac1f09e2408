"""The end of a run: figures, files, the exported model and the bound of many samples."""

import logging
import warnings
from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch

from reparam_suite.data import datum_of
from reparam_suite.diagnostics import bound_of_many_samples, bounds_of_samples
from reparam_suite.running.artifacts import figures_of
from reparam_suite.running.assembly import Assembly
from reparam_suite.running.export import export
from reparam_suite.running.offers import BOUNDED_BY, EXPORTED_BY, has_forward, is_ours, offers
from reparam_suite.running.stages import Stage, silent
from reparam_suite.tracking import RunLogger, reason
from reparam_suite.training import BEST, LAST, Checkpoints, Journal, RecordSettings

_log = logging.getLogger(__name__)

_FEW_SAMPLES = 100  # of the bound over all test data, where the model's own test computes none


def finish(
    parts: Assembly,
    logger: RunLogger,
    journal: Journal,
    checkpoints: Checkpoints,
    num_steps: int,
    *,
    in_full: bool = True,
    stage: Stage = silent,
) -> None:
    """Records the bound of many samples, figures, files and, where that is asked for, the exported model.

    `stage` shows each of these steps by its name.

    Without `in_full` there are no figures and no exported model, the weights that count are the only file, and the
    bound of many samples is computed if the run's settings of it are not the default ones: it may take longer than the
    training.
    """
    model, data = parts.model, parts.data
    assert checkpoints.directory is not None
    model.to(parts.trainer.strategy.root_device)  # where the data are; Lightning has moved it to the CPU
    model.eval()
    if offers(model, *BOUNDED_BY) and parts.tests and (in_full or _asks_for_many_samples(parts)):
        tested = {name: curve[-1][1] for name, curve in journal.curves.items() if name.startswith("test/")}
        try:
            with stage("bound of many samples"):
                journal.write(_bound_of_many_samples(parts, model, tested), num_steps)
        except Exception as error:
            if is_ours(model):
                raise
            _log.warning("run %s: no bound of many samples: %s", logger.run_id, reason(error))
    if not in_full:
        kept = checkpoints.directory / (BEST if checkpoints.has_best else LAST)
        logger.log_artifact(kept, "checkpoints", unchanging=True)
        return
    with stage("figures"):
        for name, figure in figures_of(model, data, journal):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of matplotlib, about numbers at the end of their range
                logger.log_figure(figure, f"figures/{name}")
    for checkpoint in [checkpoints.directory / name for name in ((BEST, LAST) if checkpoints.has_best else (LAST,))]:
        if checkpoint.exists():
            logger.log_artifact(checkpoint, "checkpoints", unchanging=True)
        else:
            _log.warning("run %s: %s is gone, and not among the artifacts", logger.run_id, checkpoint)
    if summary := parts.trainer.profiler.summary():  # type: ignore[attr-defined]
        logger.log_text(summary, "profile.txt")
    if parts.run.record.export and has_forward(model) and offers(model, *EXPORTED_BY):
        with stage("exported model"):
            export(model, data, logger)


def _asks_for_many_samples(parts: Assembly) -> bool:
    given, default = parts.run.record, RecordSettings()
    return (given.test_samples, given.test_data) != (default.test_samples, default.test_data)


def _bound_of_many_samples(parts: Assembly, model: Any, tested: Mapping[str, float]) -> dict[str, float]:
    # On as many test data as it is to be computed for; the name says if they are not all.
    settings, few = parts.run.record, getattr(model, "num_test_samples", _FEW_SAMPLES)
    if settings.test_data == 0 or not sum(parts.trainer.num_test_batches):  # there are none where nothing was tested
        return {}
    (num_batches,) = parts.trainer.num_test_batches
    tested_on = islice(parts.data.undivided("test"), int(num_batches))
    x = torch.cat([datum_of(batch).to(model.device) for batch in tested_on])
    known = tested.get(f"test/bound_{few}")
    of_few = bounds_of_samples(model, x, few).mean() if known is None else x.new_tensor(known)
    bound = bound_of_many_samples(
        model,
        x,
        settings.test_samples,
        num_data=settings.test_data,
        few_samples=few,
        bound_of_few=of_few,
    )
    name = f"test/bound_{settings.test_samples}"
    if settings.test_data >= len(x):
        return {name: float(bound.value)}
    name = f"{name}_from_{settings.test_data}"
    return {name: float(bound.value), f"{name}_standard_error": float(bound.standard_error)}
