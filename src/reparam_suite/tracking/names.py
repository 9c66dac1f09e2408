"""Names that MLflow takes, of metrics and of tags."""

import os
import re

from reparam_suite.runtime.errors import ArgumentValueError

LONGEST = 250
"""Characters."""

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
