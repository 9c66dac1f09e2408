"""From arguments and configuration files to a run."""

import inspect
import json
import sys
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, final

import torch
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from torch import nn

from reparam_suite.commands.early import topics
from reparam_suite.commands.explanations import arguments_of, explained
from reparam_suite.commands.given import given_options, option_values, with_signed_monitor
from reparam_suite.commands.help import class_help, help_page
from reparam_suite.commands.jsonargparse_internals import imports_only
from reparam_suite.commands.schema import run_parser
from reparam_suite.commands.shipped import with_shipped_files
from reparam_suite.commands.short_options import with_dotted_options
from reparam_suite.data import adapted
from reparam_suite.distributions import (
    BernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    LikelihoodFamily,
    NormalLikelihood,
)
from reparam_suite.models import DiscreteVAE, GaussianVAE
from reparam_suite.running import Run
from reparam_suite.running.resumption import RUN_KEY
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.plain_data import Described, arguments
from reparam_suite.runtime.terminal import show
from reparam_suite.tracking import LoggerOfRun, TrackingSettings
from reparam_suite.training import CheckpointSettings, RecordSettings

ROOTS = {"model": LightningModule, "data": LightningDataModule, "loggers": LoggerOfRun}
_SIZED: dict[str, type[GaussianVAE | DiscreteVAE]] = {"GaussianVAE": GaussianVAE, "DiscreteVAE": DiscreteVAE}
_FEW_LATENTS = 4  # that every estimator can work with
# By kind of the data.
_LIKELIHOODS: dict[str, type[LikelihoodFamily]] = {
    "binary": BernoulliLikelihood,
    "grey": BernoulliLikelihood,
    "colour": DiscretizedLogisticLikelihood,
    "real": NormalLikelihood,
    "count": NormalLikelihood,
}


@final
@dataclass(frozen=True)
class Options:
    """The options of `fit`, parsed.

    Args:
        parser: that parsed them.
        values: of all options.
        given: those that were given, by dotted key.
    """

    parser: ArgumentParser
    values: Namespace
    given: dict[str, Any]

    @classmethod
    def of(cls, args: list[str], *, allow: Collection[str] | None = None) -> "Options":
        """Parses arguments; where they name no model or no data, GaussianVAE and Digits are meant.

        Those two, and a model's estimator, are no defaults of the parser: it would carry their arguments over to any
        other class that is named. What a file or an earlier option says is carried over, as far as the class takes it.

        Args:
            args: as in sys.argv[1:].
            allow: names of the modules whose classes may be named; None for any.

        Raises:
            UsageError: if they cannot be parsed, in one line.
        """
        parser = run_parser()
        if (asked := topics(args)) is not None:
            show(help_page(parser, *asked))
            raise SystemExit(0)
        args = with_dotted_options(with_signed_monitor(args))
        for option in (each.partition("=")[0] for each in args):
            if option.startswith(("--model.", "--data.")) and option.endswith(".help"):
                show(class_help(option, option_values(option, args)[0]))
                raise SystemExit(0)
        args = with_shipped_files(args)
        given = given_options(args)
        with explained(parser, **ROOTS), nullcontext() if allow is None else imports_only(allow):
            values = parser.parse_args(_defaults(given) + args)
        _check_groups(values)
        _check_ranges(values)
        return cls(parser, values, given)

    def run(self, *, seed: int | None = None, **more: Any) -> Run:
        """The run that they describe; its parts are made when it trains.

        Args:
            seed: in the place of the option's.
            more: further arguments of `Run`.

        Raises:
            UsageError: if a value is out of range.
        """
        values, parts = self.values, _Parts(self)
        with explained(self.parser, **ROOTS):
            limits = {name: values.trainer[name] for name in ("max_steps", "max_epochs")}
            return Run(
                Described(parts.made_model, self._dumped["model"]),
                Described(lambda: parts.data, self._dumped["data"]),
                seed=values.seed if seed is None else seed,
                **{name: None if limit == -1 else limit for name, limit in limits.items()},
                name=values.name,
                tags=dict(values.tags) | ({} if values.run_key is None else {RUN_KEY: values.run_key}),
                monitor=values.monitor,
                compile=values.compile,
                progress=True,
                trainer=self._trainer_options(),
                loggers=self._loggers(),
                record=RecordSettings(**_values(values.record)),
                checkpoint=CheckpointSettings(**_values(values.checkpoint)),
                tracking=self.tracking,
                **more,
            )

    @property
    def tracking(self) -> TrackingSettings:
        """The store that the run is recorded in."""
        return TrackingSettings(**_values(self.values.tracking))

    def _trainer_options(self) -> dict[str, Any]:
        # Those that are not Lightning's defaults; callbacks and other objects are described, and made with the run.
        values, dumped = self.values.trainer, self._dumped["trainer"]
        parameters = inspect.signature(Trainer).parameters
        changed = {
            name: value
            for name, value in _values(values).items()
            if name not in ("max_steps", "max_epochs") and value != parameters[name].default
        }
        if changed.get("devices") == 1:
            del changed["devices"]
        for name, value in changed.items():
            if isinstance(value, Namespace | list):
                changed[name] = self._described(name, value, dumped[name])
        return changed

    def _loggers(self) -> list[Described]:
        # Made with the run, and not by the parser, which would take what a constructor says for a wrong class.
        given = self._dumped["loggers"] or []
        return [Described(partial(_made, data), data) for data in (given if isinstance(given, list) else [given])]

    def _described(self, name: str, value: Any, dumped: Any) -> Any:
        if isinstance(value, list):
            return [self._described(name, item, data) for item, data in zip(value, dumped, strict=True)]
        if not isinstance(value, Namespace):
            return value

        def make() -> Any:
            with explained(self.parser, **ROOTS):
                made = self.parser.instantiate(Namespace(trainer=Namespace({name: [value]})))
            return made.trainer[name][0]

        return Described(make, dumped)

    @cached_property
    def _dumped(self) -> dict[str, Any]:
        # It is valid: it was parsed. To find that out once more takes longer than the rest.
        text = self.parser.dump(self.values, skip_unset=False, skip_validation=True, format="json")
        config: dict[str, Any] = json.loads(text)
        return config


@final
class _Parts:
    """Model and data of one run, made once each."""

    def __init__(self, options: Options) -> None:
        self._options = options

    @cached_property
    def data(self) -> Any:
        config = self._options.values.data
        with arguments_of("data", _imported(config.class_path)), explained(self._options.parser, **ROOTS):
            return self._options.parser.instantiate(Namespace(data=config)).data

    def made_model(self) -> Any:
        """The model, with sizes and likelihood of the data unless they were given."""
        config = self._options.values.model.clone()
        cls = _imported(config.class_path)
        if isinstance(cls, type) and issubclass(cls, tuple(_SIZED.values())):
            self._take_from_data(config.init_args)
        try:
            with arguments_of("model", cls), explained(self._options.parser, **ROOTS):
                return self._options.parser.instantiate(Namespace(model=config)).model
        except UsageError as error:
            raise UsageError(f"{error}{self._model_that_fits(cls, config)}") from error

    def _model_that_fits(self, cls: object, config: Namespace) -> str:
        # The suite's other model, if the estimator fits that one as it starts, and not this one.
        estimator = config.init_args.get("estimator")
        if cls not in _SIZED.values() or not isinstance(estimator, Namespace):
            return ""
        fitting = [name for name in _SIZED if self._fits(name, estimator)]
        others = [name for name, other in _SIZED.items() if other is not cls]
        return f"; it fits --model {fitting[0]}" if fitting == others else ""

    def _fits(self, name: str, estimator: Namespace) -> bool:
        small = Namespace(latent_size=_FEW_LATENTS, hidden_sizes=[_FEW_LATENTS], estimator=estimator)
        described = Namespace(class_path=f"{_SIZED[name].__module__}.{name}", init_args=small)
        try:
            self._options.parser.instantiate(Namespace(model=described))
        except (ValueError, TypeError):
            return False
        return True

    def _take_from_data(self, model: Namespace) -> None:
        given, data = self._options.given, adapted(self.data)
        if "model.event_shape" not in given and data.event_shape is not None:
            model.event_shape = list(data.event_shape)
        if data.kind is not None and not any(key.startswith("model.likelihood") for key in given):
            model.likelihood = _LIKELIHOODS[data.kind]()


def _values(group: Namespace) -> dict[str, Any]:
    # Without the path of the file that they may come from.
    return {name: value for name, value in vars(group).items() if not name.startswith("__")}


def _imported(class_path: str) -> Any:
    # Of a class that was parsed, so that its module is imported.
    module, _, name = class_path.rpartition(".")
    return getattr(sys.modules[module], name, None)


def _made(data: dict[str, Any]) -> Any:
    return _imported(data["class_path"])(**data.get("init_args", {}), **data.get("dict_kwargs", {}))


def _defaults(given: dict[str, Any]) -> list[str]:
    # Options that name what `given` does not.
    named = {"model": "GaussianVAE", "data": "Digits"} | {key: value for key, value in given.items() if value}
    defaults = [f"--{key}={named[key]}" for key in ("model", "data")]
    if "model.objective" not in named and any(key.startswith("model.objective.") for key in named):
        defaults.append("--model.objective=ELBO")
    model = _SIZED.get(str(named["model"]).rpartition(".")[2])
    if model and "model.estimator" not in named:
        defaults += _options_of("model.estimator", model.default_estimator())
    return defaults


def _options_of(key: str, value: object) -> list[str]:
    if not isinstance(value, nn.Module):
        return [f"--{key}={value}"]
    options = [f"--{key}={type(value).__name__}"]
    for name in arguments(value):
        options += _options_of(f"{key}.{name}", getattr(value, name))
    return options


def _check_groups(values: Namespace) -> None:
    # The parser takes a list for a group of a file.
    for name in ("trainer", "tracking", "record", "checkpoint"):
        if not isinstance(values[name], Namespace):
            raise UsageError(f"--{name}: expected options with their values, got {values[name]}")


def _check_ranges(values: Namespace) -> None:
    for option, seeds in {"seed": [values.seed], "seeds": values.seeds or []}.items():
        checks.seeds(f"--{option}", seeds)
    if values.num_threads < 1:
        raise UsageError(f"--num_threads: expected at least 1, got {values.num_threads}")
    for name in ("max_steps", "max_epochs"):
        if values.trainer[name] == 0:
            raise UsageError(f"--trainer.{name}: a run trains and tests, expected more than 0, got 0")


def set_threads(values: Namespace) -> None:
    """Sets the number of CPU threads per step."""
    torch.set_num_threads(values.num_threads)
