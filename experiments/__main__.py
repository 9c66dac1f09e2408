"""`python -m experiments`: all but the two longest, one after the other, at their short settings."""

import sys
from collections.abc import Sequence
from importlib import import_module

EXPERIMENTS = (
    "why_the_trick",
    "the_random_node",
    "toy_gaussian",
    "when_the_trick_loses",
    "dimension",
    "vae_on_digits",
    "vae_on_mnist",
    "discrete_baseline",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs every experiment, whether or not others fail; returns the largest exit code."""
    return max(import_module(f"experiments.{name}").EXPERIMENT.main(arguments) for name in EXPERIMENTS)


if __name__ == "__main__":
    sys.exit(main())
