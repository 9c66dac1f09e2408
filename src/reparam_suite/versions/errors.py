"""The refusal of what cannot be brought into the present form, with the way out."""

from reparam_suite.runtime.errors import UsageError

COMMIT = "b5c60a2"
"""The last commit of version 0.1.0."""

WAY_OUT = (
    f"version 0.1.0 still reads it: git worktree add ../reparam_suite-0.1.0 {COMMIT}, then its own command with "
    "PYTHONPATH=../reparam_suite-0.1.0/src in front"
)
"""The way to use a record of version 0.1.0 that this version refuses."""


class EarlierVersionError(UsageError):
    """A part of a record of version 0.1.0 has no counterpart in this version; the message names the way out."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; {WAY_OUT}")
