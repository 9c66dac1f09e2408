"""What can stop a training run."""

from pathlib import Path
from typing import final


@final
class NonFiniteLoss(RuntimeError):  # noqa: N818 - it says what happened
    """The loss or a parameter became NaN or infinite; the message names the step and the last checkpoint before it."""

    def __init__(self, what: str, *, step: int, checkpoint: Path | None) -> None:
        kept = f"the last finite checkpoint is {checkpoint}" if checkpoint else "there is no checkpoint before it"
        super().__init__(f"{what} at step {step}; {kept}")
        self.step = step
        self.checkpoint = checkpoint
