"""The classes that an option may name."""

import inspect
from collections.abc import Iterable
from typing import Any


def concrete_subclasses(base: type[Any]) -> set[type[Any]]:
    """The classes of the suite's own that can stand for `base`; one from elsewhere is named by its dotted path."""
    hidden = base.__name__[0] == "_" or getattr(base, "_is_protocol", False) or hasattr(base, "lazy_get_init_args")
    ours = base.__module__.partition(".")[0] == "reparam_suite"
    found = {base} if ours and not hidden and not inspect.isabstract(base) else set()
    return found.union(*map(concrete_subclasses, base.__subclasses__()))


def either(names: Iterable[str]) -> str:
    """Names as a sentence lists them: a, b or c."""
    *most, last = dict.fromkeys(names)
    return f"{', '.join(most)} or {last}" if most else last
