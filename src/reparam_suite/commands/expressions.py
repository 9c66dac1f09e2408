"""Expressions as class paths and arguments: `DisARM`, `ScoreFunction(num_samples=4, baseline=LeaveOneOut())`.

The inverse of `runtime.expressions.written`.
"""

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from reparam_suite.runtime import strict_yaml
from reparam_suite.runtime.errors import UsageError

ALL = "all"

Configuration = dict[str, Any]
"""A class and its arguments, as in a configuration file: {"class_path": ..., "init_args": {...}}."""


def parse(texts: Iterable[str], option: str) -> list[Configuration | str]:
    """The configurations that the arguments of an option ask for, and the word "all" as it is. No code is run.

    Each is an expression, several of them with commas between, a list in brackets, or a YAML file with a list.

    Raises:
        UsageError: naming the option, if one is none of these or there is no estimator at all.
    """
    found = [item for text in texts for item in _parsed(text.strip(), option)]
    if not found:
        raise UsageError(f"{option}: expected one estimator or more, got an empty list")
    return found


def _parsed(text: str, option: str) -> list[Configuration | str]:
    if text.endswith((".yaml", ".yml")):
        return _of_file(Path(text), option)
    try:
        body = ast.parse(text, mode="eval").body if text else ast.List([])
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _no_expression(text, option) from error
    items = body.elts if isinstance(body, ast.List | ast.Tuple) else [body]
    return [_item(item, text, option) for item in items]


def _item(node: ast.expr, text: str, option: str) -> Configuration | str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # a list may quote its members
        (item,) = _parsed(node.value, option) or [""]
        return item
    if isinstance(node, ast.Name) and node.id == ALL:
        return ALL
    if isinstance(node, ast.Name | ast.Attribute | ast.Call):
        return _configuration(node, text, option)
    raise _no_expression(text, option)


def _configuration(node: ast.expr, text: str, option: str) -> Configuration:
    if not isinstance(node, ast.Call):
        return {"class_path": _dotted(node, text, option), "init_args": {}}
    name = _dotted(node.func, text, option)
    if node.args or any(keyword.arg is None for keyword in node.keywords):
        raise UsageError(f"{option}: the arguments of {name} are given by name, {name}(name=value), got {text}")
    arguments = {str(keyword.arg): _value(keyword.value, text, option) for keyword in node.keywords}
    return {"class_path": name, "init_args": arguments}


def _value(node: ast.expr, text: str, option: str) -> Any:
    if isinstance(node, ast.Name | ast.Attribute | ast.Call):
        return _configuration(node, text, option)
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise UsageError(f"{option}: {ast.unparse(node)} is no number, text, list or class, in {text}") from error


def _dotted(node: ast.expr, text: str, option: str) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, text, option)}.{node.attr}"
    raise _no_expression(text, option)


def _of_file(file: Path, option: str) -> list[Configuration | str]:
    try:
        content = strict_yaml.read(file)
    except OSError as error:
        raise UsageError(f"{option}: the file {file} cannot be read: {error.strerror}") from error
    except strict_yaml.YAMLRefused as error:
        raise UsageError(f"{option}: {file}: {error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{option}: {file} is no YAML: {' '.join(str(error).split())}") from error
    if content is not None and not isinstance(content, list):
        raise UsageError(f"{option}: {file} holds no list of estimators, got {type(content).__name__}")
    return [item for entry in content or [] for item in _of_entry(entry, file, option)]


def _of_entry(entry: Any, file: Path, option: str) -> list[Configuration | str]:
    if isinstance(entry, str) and not entry.endswith((".yaml", ".yml")):
        return _parsed(entry, option)
    if isinstance(entry, dict) and "class_path" in entry:
        return [entry]
    raise UsageError(f"{option}: {file} holds {entry!r}; expected an expression, or class_path and init_args")


def _no_expression(text: str, option: str) -> UsageError:
    return UsageError(
        f"{option}: expected all, a class, CLASS(name=value), a list of these or a YAML file, got {text or 'nothing'}"
    )
