"""Functions that make runs: what workers are sent, together with the values to call them with."""

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reparam_suite.running import Run
from reparam_suite.runtime.errors import ArgumentTypeError

MakeRun = Callable[..., Run]
"""Makes a run from values and `seed`, all given by name."""


def check_arguments(make_run: Callable[..., object], names: Iterable[str]) -> None:
    """Refuses a function that cannot be called by name with `names` and `seed`.

    Raises:
        TypeError: with its own signature.
    """
    if not callable(make_run):
        raise ArgumentTypeError(f"make_run: expected a function that makes a run, got {make_run!r:.200}")
    signature = inspect.signature(make_run)
    try:
        signature.bind(**dict.fromkeys([*names, "seed"]))
    except TypeError as error:
        raise ArgumentTypeError(
            f"make_run: expected a function of {', '.join([*names, 'seed'])}, by name; got one of {signature}: {error}"
        ) from None


def made_run(make_run: MakeRun, values: Mapping[str, Any], seed: int) -> Run:
    """The run of values and a seed, made from copies of the values: what one run does to them, no other sees.

    Raises:
        TypeError: if `make_run` returns something else.
    """
    run = make_run(**copy.deepcopy(dict(values)), seed=seed)
    if not isinstance(run, Run):
        raise ArgumentTypeError(f"make_run: expected a Run, got {type(run).__name__}")
    return run
