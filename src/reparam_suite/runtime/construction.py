"""Objects made from plain data: nothing in a file runs code of a module that nobody allowed."""

import importlib
import inspect
from collections.abc import Collection, Mapping
from typing import Any

from reparam_suite.runtime.errors import NotAllowedError, NotOnRecordError
from reparam_suite.runtime.plain_data import CLASS_PATH, INIT_ARGS, OPAQUE, REFERENCE

_OURS = "reparam_suite"


def construct(data: Any, *, allow: Collection[str] = ()) -> Any:
    """The object that plain data describe; see `plain_data.plain`.

    Args:
        data: with class paths from the suite, or from modules in `allow`.
        allow: names of modules; what is below one of them is allowed as well.

    Raises:
        NotAllowedError: if a class is of another module, before that is imported.
        NotOnRecordError: if a part is opaque, or there is no such class.
    """
    if isinstance(data, list):
        return [construct(item, allow=allow) for item in data]
    if not isinstance(data, Mapping):
        return data
    if set(data) == {OPAQUE}:
        raise NotOnRecordError(f"{data[OPAQUE]} is not on record")
    if set(data) == {REFERENCE}:
        return imported(data[REFERENCE], allow=allow)
    if CLASS_PATH not in data:
        return {key: construct(item, allow=allow) for key, item in data.items()}
    cls = imported(data[CLASS_PATH], allow=allow)
    if not inspect.isclass(cls):  # a function would be called with what the file says
        raise NotOnRecordError(f"{data[CLASS_PATH]}: expected a class, got a function")
    return cls(**{key: construct(argument, allow=allow) for key, argument in (data.get(INIT_ARGS) or {}).items()})


def imported(path: str, *, allow: Collection[str] = ()) -> Any:
    """The class or function of a dotted path.

    Raises:
        NotAllowedError: if its module is neither the suite's nor allowed; nothing is imported then.
        NotOnRecordError: if there is none.
    """
    check_allowed(path, allow=allow)
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError as error:
            if error.name is None or not ".".join(parts[:length]).startswith(error.name):
                raise  # the module is there, and what it imports is not
            continue
        try:
            for part in parts[length:]:
                found = getattr(found, part)
        except AttributeError:
            break
        if inspect.isclass(found) or inspect.isfunction(found):
            # What an allowed module has imported is not its own.
            check_allowed(f"{found.__module__}.{found.__qualname__}", allow=allow)
            return found
        break
    raise NotOnRecordError(f"there is no class or function {path}")


def check_all_allowed(data: Any, *, allow: Collection[str] = ()) -> None:
    """Refuses plain data that name a class outside of the suite and of the modules in `allow`; imports nothing.

    Raises:
        NotAllowedError: naming the first one.
    """
    if isinstance(data, list):
        for item in data:
            check_all_allowed(item, allow=allow)
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if key in (CLASS_PATH, REFERENCE) and isinstance(value, str):
                check_allowed(value, allow=allow)
            check_all_allowed(value, allow=allow)


def check_allowed(path: str, *, allow: Collection[str] = ()) -> None:
    """Refuses a dotted path outside of the suite and of the modules in `allow`, before anything is imported.

    Raises:
        NotAllowedError: naming the path and the module to allow.
    """
    if not any(path.startswith(f"{module}.") for module in (_OURS, *allow)):
        accepted = ", ".join(dict.fromkeys([_OURS, *allow]))
        raise NotAllowedError(f"{path}: expected a class of {accepted}; allow its module if you trust it")
