"""Errors that the package raises about what it was given; the message is the one that a command prints."""


class SuiteError(Exception):
    """Base of the package's own errors.

    A subclass is also the built-in exception of its kind: ValueError, TypeError or RuntimeError. The message has the
    form `what: expected X, got Y`, and then the mend where there is one.
    """


class ArgumentValueError(SuiteError, ValueError):
    """An argument of the right type is out of its range."""


class ArgumentTypeError(SuiteError, TypeError):
    """An argument has a wrong type."""


class StateError(SuiteError, RuntimeError):
    """A call came at a moment at which it cannot be answered."""


class DataError(SuiteError, ValueError):
    """Data that are missing, corrupt or of a wrong kind; the message names the file or the argument."""


class UsageError(SuiteError, ValueError):
    """Something that the user gave cannot be used."""


class RunFinishedError(UsageError):
    """A run that was to be resumed has nothing left to do."""


class NotAllowedError(UsageError):
    """A file names a class of a module that is neither the suite's nor allowed."""


class NotOnRecordError(UsageError):
    """A part of an object is not on record, so that the object cannot be reconstructed from it."""
