"""Short options: `--estimator DisARM` for `--model.estimator DisARM`."""

import re
from collections.abc import Mapping, Sequence

SHORT_OPTIONS: Mapping[str, str] = {
    "estimator": "model.estimator",
    "latent_size": "model.latent_size",
    "learning_rate": "model.learning_rate",
    "batch_size": "data.batch_size",
    "max_steps": "trainer.max_steps",
    "max_epochs": "trainer.max_epochs",
}
"""Short option: the dotted option that it sets."""


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
    return message
