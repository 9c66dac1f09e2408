"""Short options: `--estimator DisARM` for `--model.estimator DisARM`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from reparam_suite.runtime import strict_yaml
from reparam_suite.runtime.errors import UsageError

SHORT_OPTIONS: Mapping[str, str] = {
    "estimator": "model.estimator",
    "latent_size": "model.latent_size",
    "learning_rate": "model.learning_rate",
    "batch_size": "data.batch_size",
    "max_steps": "trainer.max_steps",
    "max_epochs": "trainer.max_epochs",
}
"""Short option: the dotted option that it sets."""

_BUDGET = "--budget.steps"


def dotted(option: str) -> str:
    """The dotted name of an option, which is given without its dashes.

    >>> dotted("estimator.num_samples"), dotted("model.latent_size")
    ('model.estimator.num_samples', 'model.latent_size')
    """
    root, dot, rest = option.partition(".")
    return f"{SHORT_OPTIONS.get(root, root)}{dot}{rest}"


def with_dotted_options(args: Sequence[str]) -> list[str]:
    """Arguments of a command line with the dotted options in the place of the short ones, in the same order.

    >>> with_dotted_options(["--estimator", "DisARM", "--estimator.num_samples=4", "--seed", "1"])
    ['--model.estimator', 'DisARM', '--model.estimator.num_samples=4', '--seed', '1']
    """
    return [_dotted_argument(argument) for argument in args]


def _dotted_argument(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    option, equals, value = argument[2:].partition("=")
    return f"--{dotted(option)}{equals}{value}"


def without_short_options(args: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Arguments of a study or a sweep apart from the short ones, which are options of all its runs; these with values.

    The number of steps is its budget.

    >>> without_short_options(["--max_steps", "20", "--trials", "2", "--estimator.num_samples=4", "--estimator", "ARM"])
    (['--budget.steps', '20', '--trials', '2'], {'model.estimator.num_samples': 4, 'model.estimator': 'ARM'})

    Raises:
        UsageError: if one has no value.
    """
    others: list[str] = []
    options: dict[str, Any] = {}
    waiting = iter(args)
    for argument in waiting:
        option, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or option.partition(".")[0] not in SHORT_OPTIONS:
            others.append(argument)
        else:
            value = value if equals else next(waiting, "--")
            if not value or value.startswith("--"):
                raise UsageError(f"--{option}: expected a value, got {'none' if value else 'an empty one'}")
            if option == "max_steps":
                others += [_BUDGET, value]
            else:
                options[dotted(option)] = _value(value)
    return others, options


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    try:
        return strict_yaml.loaded(text)
    except yaml.YAMLError:
        return text


def overridden(options: Mapping[str, Any], given: Mapping[str, Any], varied: Iterable[str]) -> dict[str, Any]:
    """The options of all runs of a study or a sweep, with those that its command line gives over them.

    >>> overridden({"estimator": "ARM", "estimator.num_samples": 4, "seed": 1}, {"model.estimator": "DisARM"}, [])
    {'seed': 1, 'model.estimator': 'DisARM'}

    Args:
        options: of the file; those of a class go with it.
        given: dotted, of the command line.
        varied: options that differ between runs.

    Raises:
        UsageError: if one is given that differs between runs.
    """
    several = {dotted(name) for name in varied}
    for option in given:
        if of := next((name for name in several if f"{option}.".startswith(f"{name}.")), None):
            what = "one that is varied" if of == option else "one of a class that is varied"
            raise UsageError(f"--{_short(option)}: expected one that all runs share, got {what}")
    kept = {
        option: value
        for option, value in options.items()
        if not any(f"{dotted(option)}.".startswith(f"{name}.") for name in given)
    }
    return {**kept, **given}


def _short(option: str) -> str:
    return next(
        (short + option[len(name) :] for short, name in SHORT_OPTIONS.items() if f"{option}.".startswith(f"{name}.")),
        option,
    )


def given_short(args: Sequence[str]) -> list[str]:
    """The short options among the arguments of a command line."""
    typed = {re.split(r"[.=]", argument[2:])[0] for argument in args if argument.startswith("--")}
    return [option for option in SHORT_OPTIONS if option in typed]


def as_typed(message: str, args: Sequence[str]) -> str:
    """A message that names options, with the short ones where the command line has them.

    >>> as_typed("--model.latent_size: expected int, got x", ["--latent_size", "x"])
    '--latent_size: expected int, got x'
    """
    for option in given_short(args):
        message = re.sub(rf"--{re.escape(SHORT_OPTIONS[option])}\b", f"--{option}", message)
        if option == "max_steps":
            message = re.sub(r"(--)?\bbudget\.steps\b", f"--{option}", message)
    return message
