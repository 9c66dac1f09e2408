"""The one exception of this package."""


class DataError(ValueError):
    """Data that is missing, corrupt or of a wrong kind; the message names the file and what is accepted."""
