"""Secrets stay out of tags, parameters, messages and artifacts."""

import os
import re

# The part of a URI between :// and the last @, given that it looks like user:password or holds no slash. A
# password with an unescaped slash in it is caught too; what is hidden too much is harmless.
_USERINFO = re.compile(r"://(?:[^\s\"'/@:]*:[^\s\"']*|[^\s\"'/]*)@")

# As in postgresql://db/runs?user=ada&password=secret.
_QUERY = re.compile(r"([?&]\w*(?:password|token|secret)=)[^\s\"'&]*", re.IGNORECASE)

_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def redact(text: str) -> str:
    """The text with the user and password of every URI in it, and MLflow's own credentials, replaced by ***.

    >>> redact("postgresql://ada:secret@db/runs does not answer")
    'postgresql://***@db/runs does not answer'
    """
    text = _QUERY.sub(r"\1***", _USERINFO.sub("://***@", text))
    for variable in _SECRET_VARIABLES:
        if secret := os.environ.get(variable):
            text = text.replace(secret, "***")
    return text
