"""The page of `--help`: that of the parser, and the options of the classes that options choose."""

import inspect
import textwrap
from collections.abc import Iterable
from typing import Any

from jsonargparse import ArgumentParser

from reparam_suite.commands.classes import concrete_subclasses
from reparam_suite.data import MNIST, Arrays
from reparam_suite.distributions.likelihoods import LikelihoodFamily
from reparam_suite.distributions.posteriors import LatentFamily
from reparam_suite.estimators import Baseline, Bound, GradientEstimator
from reparam_suite.models import GaussianVAE
from reparam_suite.objectives import ELBO, ImportanceWeighted

_WIDTH = 100


def help_text(parser: ArgumentParser) -> str:
    """The parser's page, the options of models and data, and every class that they may name."""
    sections = [
        parser.format_help(),
        _options("GaussianVAE and DiscreteVAE (--model)", "model", GaussianVAE),
        _options("MNIST, FashionMNIST, Omniglot; Digits and BinarizedMNIST have fewer (--data)", "data", MNIST),
        _options("Arrays (--data)", "data", Arrays),
        _classes("Posteriors (--model.posterior)", LatentFamily),
        _classes("Likelihoods (--model.likelihood)", LikelihoodFamily),
        _classes("Bounds (--model.objective.bound)", Bound),
        _classes("Gradient estimators (--model.estimator)", GradientEstimator),
        _classes("Baselines (--model.estimator.baseline)", Baseline),
        _objectives(),
    ]
    return "\n".join(sections)


def _options(title: str, key: str, cls: type) -> str:
    parser = ArgumentParser(add_help=False, usage="")
    parser.add_class_arguments(cls, key, instantiate=False)
    lines = parser.format_help().splitlines()
    first = next(i for i, line in enumerate(lines) if line.lstrip().startswith("--"))
    return "\n".join([f"{title}:", *lines[first:], ""])


def _objectives() -> str:
    return _listed("Objectives (--model.objective)", [ELBO, ImportanceWeighted])


def _classes(title: str, base: type[Any]) -> str:
    return _listed(title, sorted(concrete_subclasses(base), key=lambda cls: cls.__name__))


def _listed(title: str, classes: Iterable[type[Any]]) -> str:
    lines = [f"{title}:"]
    for cls in classes:
        summary = (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"  {cls.__name__}{_arguments(cls)}")
        lines += textwrap.wrap(summary, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join([*lines, ""])


def _arguments(cls: type) -> str:
    given = [
        parameter
        for parameter in inspect.signature(cls).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    return f"({', '.join(f'{parameter.name}={_shown(parameter.default)}' for parameter in given)})" if given else ""


def _shown(default: object) -> str:
    if hasattr(default, "lazy_get_init_args"):
        return next(cls.__name__ for cls in type(default).__mro__ if not hasattr(cls, "lazy_get_init_args"))
    return repr(default)
