"""Whether a function and its values can be sent to another process."""

import io
import pickle
import sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from reparam_suite.tracking import reason


def obstacle(*values: Any) -> str | None:
    """The reason why values cannot be sent to another process of this machine; None if they can.

    A lambda or a function made within another cannot, and nothing can that is defined in a notebook or typed in: the
    other process finds no file to import it from.
    """
    buffer = io.BytesIO()
    try:
        ForkingPickler(buffer, pickle.HIGHEST_PROTOCOL).dump(values)
    except Exception as error:  # noqa: BLE001 - any object may refuse in a way of its own
        return reason(error)
    if b"__main__" in buffer.getvalue() and not _main_can_be_imported():
        return "it is defined in a notebook, or was typed in: no file has it"
    return None


def _main_can_be_imported() -> bool:
    main = sys.modules["__main__"]
    if getattr(main, "__spec__", None) is not None:
        return True
    file = getattr(main, "__file__", None)
    return file is not None and Path(file).is_file()
