"""The options of `compare gradients`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from jsonargparse import ArgumentParser
from lightning.pytorch import LightningDataModule

from reparam_suite.comparison.fitness import check_repeats
from reparam_suite.diagnostics import DEFAULT_BUDGET
from reparam_suite.runtime import checks
from reparam_suite.tracking import TrackingSettings

USAGE = "python -m reparam_suite.compare gradients --checkpoint RUN_OR_FILE [options]"
DESCRIPTION = """Measures many gradient estimators on the same parameters and minibatches of a trained model, prints
them in order of work-normalised variance (variance x milliseconds) and records table and figure in an MLflow run."""
EPILOG = """What an estimator learns or remembers (a baseline's network, moving averages, the temperature of REBAR, the
network of RELAX) is that of the checkpoint where the estimator is the checkpoint's own, with the same arguments. That
of every other is trained for --train_steps on the frozen model first; the column "untrained" has its variance before.
With 0 steps it is measured as it starts, untrained, and marked with an asterisk. The columns are described in
docs/diagnostics.md."""


@final
@dataclass(frozen=True)
class GradientOptions:
    """Measurements, and their precision.

    Args:
        checkpoint: the id or the unique name of an MLflow run, whose best.ckpt is taken, or a .ckpt file.
        estimators: `all` that fit (ScoreFunction once for each baseline), classes, 'DisARM(num_samples=4)', or a YAML
            file with a list of them; a class of your own by its dotted path.
        reference: the gradient that bias and cosine are held against, that of an unbiased estimator; `best` is
            Enumeration or Quadrature where one of them fits, else many draws of a good unbiased one, whose error is
            stated.
        batches: training minibatches to measure on, the same for every estimator.
        repeats: gradients of each datum, a multiple of 8; standard errors fall with its root.
        train_steps: for what an estimator learns or remembers, before it is measured; the model stands still.
        order_by: the part whose work-normalised variance orders the table: encoder, decoder, prior, a part of a model
            of your own, or a variational parameter (logits, loc, scale); by default the first part.
        memory_budget: bytes that a measurement may hold at a time.
        seed: of the noise, and of the order of the minibatches.
        num_threads: CPU threads; the milliseconds depend on them.
        device: cpu, cuda, or auto: a GPU if there is one.
        allow_modules: modules of your own whose classes the checkpoint may name.

    Raises:
        ValueError: if a number is out of range.
    """

    checkpoint: str
    estimators: Sequence[str] = ("all",)
    reference: str = "best"
    batches: int = 4
    repeats: int = 64
    train_steps: int = 300
    order_by: str | None = None
    memory_budget: int = DEFAULT_BUDGET
    seed: int = 0
    num_threads: int = 1
    device: str = "auto"
    allow_modules: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, least in {"batches": 1, "num_threads": 1, "memory_budget": 1, "train_steps": 0}.items():
            object.__setattr__(self, name, checks.integer(f"--{name}", getattr(self, name), least=least))
        object.__setattr__(self, "seed", checks.seed("--seed", self.seed))
        object.__setattr__(self, "repeats", check_repeats(self.repeats, "--repeats"))


def parser() -> ArgumentParser:
    """The options of the command."""
    made = ArgumentParser(
        prog="compare gradients",
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        exit_on_error=False,
        allow_abbrev=False,
    )
    made.add_class_arguments(GradientOptions, None, skip={"estimators", "allow_modules"})
    made.add_argument("--estimators", nargs="+", type=str, default=["all"], help=_ESTIMATORS)
    made.add_argument("--allow_modules", nargs="+", type=str, default=[], metavar="MODULE", help=_ALLOW)
    made.add_subclass_arguments(
        LightningDataModule,
        "data",
        required=False,
        fail_untyped=False,
        help="the data; by default those that the checkpoint was trained on",
    )
    made.add_class_arguments(TrackingSettings, "tracking")
    return made


_ESTIMATORS = (
    "all that fit (ScoreFunction once for each baseline), classes, 'DisARM(num_samples=4)', or a YAML file with a list"
)
_ALLOW = "modules of your own whose classes the checkpoint may name; the suite's are always allowed"
