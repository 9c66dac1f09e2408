"""Options of a run as text; all of them as tags that MLflow's page does not show, read for many runs in one query."""

import json
import re
from collections.abc import Mapping
from typing import Any

from reparam_suite.tracking.records import flattened
from reparam_suite.tracking.redaction import redact

TAG = "mlflow.reparam_suite.options"
"""What the names of the tags begin with; a number follows. MLflow's page shows no tag that begins with mlflow."""

_LONGEST = 4_000
"""Characters of one tag; databases differ in what they take."""


LONGEST_NAME, LONGEST_PARAMETER = 250, 6000
"""MLflow's limits, in characters."""


def parameter_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as MLflow takes them: flat, as text, without secrets, within its limits."""
    texts: dict[str, str] = {}
    for key, value in flattened(values).items():
        text = redact(str(value))
        text = text if len(text) <= LONGEST_PARAMETER else text[: LONGEST_PARAMETER - 3] + "..."
        texts[re.sub(r"[^\w./ :-]", "_", key)[:LONGEST_NAME]] = text
    return texts


def option_tags(options: Mapping[str, str]) -> dict[str, str]:
    """The tags that hold options, flat and as text.

    >>> option_tags({"seed": "0"})
    {'mlflow.reparam_suite.options.0': '{"seed": "0"}'}
    """
    text = json.dumps(dict(options))
    parts = [text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST)]
    return {f"{TAG}.{number}": part for number, part in enumerate(parts)}


def options_of(tags: Mapping[str, str]) -> dict[str, str] | None:
    """The options that a run's tags hold; None if they hold none.

    >>> options_of(option_tags({"seed": "0", "model.init_args.latent_size": "10"}))
    {'seed': '0', 'model.init_args.latent_size': '10'}
    """
    numbers = sorted(int(name.rpartition(".")[2]) for name in tags if name.startswith(f"{TAG}."))
    text = "".join(tags[f"{TAG}.{number}"] for number in numbers)
    try:
        # After a change by which they became fewer, tags of before may follow.
        options, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None
    return {str(name): str(value) for name, value in options.items()}
