"""How an experiment is run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, final

from reparam_suite.tracking import TrackingSettings

Length: TypeAlias = Literal["short", "full"]


@final
@dataclass(frozen=True)
class Setting:
    """How an experiment is run.

    Args:
        length: short or full.
        data_root: folder of downloaded data.
        tracking: where its runs are recorded.
    """

    length: Length
    data_root: Path
    tracking: TrackingSettings
