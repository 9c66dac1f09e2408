"""`python -m reparam_suite`: lists the commands."""

import sys
from importlib.metadata import version

_COMMANDS = {
    "fit": "trains a model with a chosen gradient estimator and records the run",
    "study": "searches hyperparameters with Optuna",
    "sweep": "trains a grid of runs, and makes tables of it",
    "compare": "compares gradients on one model, or finished runs",
    "ui": "opens MLflow's page on the curves of the trainings",
    "sync": "delivers what runs could not send to their tracking store",
}


def main() -> int:
    """Prints the commands and returns the exit code."""
    print(f"reparam_suite {version('reparam_suite')}\n")
    for name, purpose in _COMMANDS.items():
        print(f"  python -m reparam_suite.{name:<8}  {purpose}")
    print("\nEach of them takes --help. From Python: from reparam_suite import Run, Study, Sweep, load, runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
