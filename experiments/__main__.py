"""`python -m experiments`: all of them, one after the other, at their short settings."""

import sys
from collections.abc import Sequence
from importlib import import_module

EXPERIMENTS = ("why_the_trick", "the_random_node", "toy_gaussian", "when_the_trick_loses", "dimension")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs each; the first exit code that is not 0, or 0."""
    for name in EXPERIMENTS:
        code: int = import_module(f"experiments.{name}").EXPERIMENT.main(arguments)
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
