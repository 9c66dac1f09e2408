"""Names and values that MLflow takes, of metrics, tags and parameters."""

import os
import re
from collections.abc import Mapping
from typing import Any

from reparam_suite.runtime.errors import ArgumentValueError
from reparam_suite.tracking.records import flattened
from reparam_suite.tracking.redaction import redact

RUN_NAME = "mlflow.runName"
"""The tag that is a run's name."""

LONGEST = 250
"""Characters of a name."""

_LONGEST_PARAMETER = 6000

_TAKEN = re.compile(r"[\w./ :-]+")


def check_key(what: str, name: str) -> None:
    """Refuses a name of a metric or a tag that MLflow does not take: it may use it as a path.

    Raises:
        ValueError: with the rule.
    """
    if len(name) > LONGEST or not _TAKEN.fullmatch(name) or os.path.normpath(name) != name or name[0] in "./":
        raise ArgumentValueError(
            f"{what}: expected at most {LONGEST} letters, digits, spaces and _ - . : /, got {name!r}"
        )


def parameter_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as MLflow takes them: flat, as text, without secrets, within its limits."""
    texts: dict[str, str] = {}
    for key, value in flattened(values).items():
        text = redact(str(value))
        text = text if len(text) <= _LONGEST_PARAMETER else text[: _LONGEST_PARAMETER - 3] + "..."
        texts[re.sub(r"[^\w./ :-]", "_", key)[:LONGEST]] = text
    return texts
