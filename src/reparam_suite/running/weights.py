"""The weights of a run that are tested and kept: the best by its monitor, else the last."""

from reparam_suite.running.assembly import Assembly
from reparam_suite.training import BEST, Checkpoints, read_checkpoint


def test_best(parts: Assembly, checkpoints: Checkpoints, *, tests: bool) -> None:
    """Puts the best weights into the model, and tests them if `tests`; last.ckpt holds the last ones."""
    # The other processes, which may be on a machine without the file, are given them by Lightning.
    assert checkpoints.directory is not None
    best = checkpoints.directory / BEST
    if parts.trainer.is_global_zero and parts.monitor is not None and best.exists():
        parts.model.load_state_dict(read_checkpoint(best)["state_dict"])
    if tests and parts.tests:
        parts.trainer.test(parts.model, datamodule=parts.data, verbose=False)
