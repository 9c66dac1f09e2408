"""The identity of a function: two studies of one name have to have the same."""

import ast
import functools
import hashlib
import inspect
import textwrap
from types import FunctionType
from typing import Any

from reparam_suite.runtime.expressions import written


def identity(function: Any) -> str:
    """The name of a function and a digest of what it does: of its code without comments, and of what it captured.

    A callable object is written as an expression.
    """
    if isinstance(function, functools.partial):
        given = [*map(written, function.args), *(f"{key}={written(value)}" for key, value in function.keywords.items())]
        return f"{identity(function.func)} with {', '.join(given)}"
    if not isinstance(function, FunctionType):
        return written(function)
    captured = [_captured(cell.cell_contents) for cell in function.__closure__ or ()]
    text = repr((_code(function), [*map(_captured, function.__defaults__ or ())], captured))
    return f"{function.__qualname__} ({hashlib.sha256(text.encode()).hexdigest()[:8]})"


def _code(function: FunctionType) -> str:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # typed in, or a lambda in the middle of an expression
        code = function.__code__
        return repr((code.co_code, code.co_names, [value for value in code.co_consts if not hasattr(value, "co_code")]))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _captured(value: Any) -> str:
    return identity(value) if isinstance(value, FunctionType) else written(value)
