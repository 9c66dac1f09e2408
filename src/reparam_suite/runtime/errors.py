"""Errors of this package that several rooms raise: each is a ValueError or a RuntimeError with a message of one line."""

from typing import final


class DataError(ValueError):
    """Data that is missing, corrupt or of a wrong kind; the message names the file and what is accepted."""


class UsageError(ValueError):
    """Something that the user gave cannot be used; the message is the one line to show."""


@final
class NotAllowed(UsageError):  # noqa: N818 - it says what happened
    """A file names a class of a module that is neither the suite's nor allowed.

    Attributes:
        path: dotted, of the class.
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


@final
class NotOnRecord(UsageError):  # noqa: N818 - it says what happened
    """Part of an object is not on record, so that the object cannot be made again from there."""
