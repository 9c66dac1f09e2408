"""Settings of the measurements of a run."""

from dataclasses import dataclass
from typing import final

from reparam_suite.runtime.checks import as_integer


@final
@dataclass(frozen=True)
class RecordSettings:
    """Settings of what is measured while a model trains, and at its test.

    Args:
        every: steps between records of the training metrics.
        gradients_every: steps between measurements of the gradient's variance.
        test_samples: K of a second, tighter bound at the test of a VAE.
        test_data: number of test examples, evenly spaced, for that second bound; the bound of all of them follows by
            difference from the first one, with a standard error. 0 for no such bound; at least the number of test
            examples for all of them.
        export: whether a VAE is also stored as traced graphs, in MLflow's format: `mlflow models serve` needs no code
            of the suite then.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if an interval is below 1, or there are too few samples or data for the second bound.
    """

    every: int = 50
    gradients_every: int = 200
    test_samples: int = 5_000
    test_data: int = 400
    export: bool = False

    def __post_init__(self) -> None:
        for name in ("every", "gradients_every", "test_samples", "test_data"):
            object.__setattr__(self, name, as_integer(f"record.{name}", getattr(self, name)))
        for name in ("every", "gradients_every", "test_samples"):
            if getattr(self, name) < 1:
                raise ValueError(f"record.{name}: expected at least 1, got {getattr(self, name)}")
        if self.test_data < 0 or self.test_data == 1:
            raise ValueError(f"record.test_data: expected 0, or at least 2 for a standard error, got {self.test_data}")
