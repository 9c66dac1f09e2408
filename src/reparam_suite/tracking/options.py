"""Every option of a run as tags that MLflow's page does not show, read for many runs in one query."""

import json
from collections.abc import Mapping

TAG = "mlflow.reparam_suite.options"
"""Prefix of the names of the tags; a number follows. MLflow's page shows no tag that begins with mlflow."""

_LONGEST = 4_000
"""Characters of one tag; databases differ in what they take."""


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
