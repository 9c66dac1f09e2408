"""Samplers and pruners by name: classes of Optuna and what they are given."""

import inspect
from dataclasses import dataclass, field
from typing import Any

from jsonargparse import ArgumentParser

from reparam_suite.commands.classes import either
from reparam_suite.commands.explanations import explained
from reparam_suite.runtime.errors import UsageError
from reparam_suite.studies.storage import silence, unexperimental


@dataclass(frozen=True)
class OptunaClass:
    """A class of Optuna and what it is given.

    Args:
        name: of the class.
        options: of its constructor.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def check(self, what: str, module: Any, base: type) -> None:
        """Refuses a class that is not in `module`, and options that it does not take.

        Args:
            what: the option, for messages.
            module: of Optuna.
            base: of the classes that are accepted.

        Raises:
            UsageError: naming the accepted ones.
        """
        known = {
            name: cls
            for name, cls in vars(module).items()
            if inspect.isclass(cls) and issubclass(cls, base) and not inspect.isabstract(cls)
        }
        known.pop(base.__name__, None)
        if self.name not in known:
            raise UsageError(f"--{what}.name: expected {either(sorted(known))}, got {self.name}")
        accepted = [name for name in inspect.signature(known[self.name]).parameters if name != "self"]
        if unknown := sorted(set(self.options) - set(accepted)):
            raise UsageError(f"--{what}.options: {self.name} takes {', '.join(accepted)}; got {', '.join(unknown)}")
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(known[self.name], f"{what}.options", fail_untyped=False, instantiate=False)
        with explained(parser):
            parser.parse_object({f"{what}.options.{name}": value for name, value in self.options.items()})
        try:
            self.made(module)
        except (ValueError, TypeError, ImportError) as error:
            raise UsageError(f"--{what}: {' '.join(str(error).split())}") from error

    def made(self, module: Any) -> Any:
        """An object of the class, which is in `module`; what Optuna says of a missing seed goes without saying."""
        silence()
        with unexperimental():
            return getattr(module, self.name)(**self.options)
