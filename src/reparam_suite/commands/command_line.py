"""The command line of a run: constructor signatures and docstrings are its schema and its --help."""

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch
import yaml
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from reparam_suite.data import ArrayDataModule
from reparam_suite.commands.help import help_text
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE, arguments
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import CheckpointSettings, Replicas, compile_options, shorten_loop
from reparam_suite.commands.usage import UsageError, explained

_USAGE = "python -m reparam_suite.fit [options]"
_DESCRIPTION = "Trains a VAE with a chosen gradient estimator and records the run in MLflow."


@final
@dataclass(frozen=True)
class RecordSettings:
    """What is measured on the way.

    Args:
        every: steps between records of the training metrics.
        gradients_every: steps between measurements of the gradient's variance.
        test_samples: K of the second, tighter bound at test time.
        test_data: test data, spread evenly, that it is paid for; the bound of all data follows by difference from the
            first one, with a standard error. 0 for no such bound; as many as there are or more, for all.

    Raises:
        ValueError: if an interval is below 1, or there are too few samples or data for the second bound.
    """

    every: int = 50
    gradients_every: int = 200
    test_samples: int = 5_000
    test_data: int = 400

    def __post_init__(self) -> None:
        for name in ("every", "gradients_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"record.{name} must be at least 1, got {getattr(self, name)}")
        if self.test_samples <= VAE.num_test_samples:
            least = VAE.num_test_samples
            raise ValueError(
                f"record.test_samples must be more than the {least} of every test, got {self.test_samples}"
            )
        if self.test_data < 0 or self.test_data == 1:
            raise ValueError(f"record.test_data must be 0, or at least 2 for a standard error, got {self.test_data}")


@final
class Command(LightningCLI):
    """Parses the arguments, and makes model, data and trainer from them; nothing on disk is touched.

    Args:
        args: as in sys.argv[1:].
    """

    config: Namespace
    model: VAE
    datamodule: ArrayDataModule

    def __init__(self, args: list[str]) -> None:
        self._args = args
        super().__init__(
            VAE,
            ArrayDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            trainer_defaults={
                "max_epochs": -1,
                "max_steps": 5_000,
                "accelerator": "auto",
                "devices": 1,
                "logger": False,
                "enable_checkpointing": False,
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "num_sanity_val_steps": 0,
            },
            parser_kwargs={"exit_on_error": False, "allow_abbrev": False, "description": _DESCRIPTION, "usage": _USAGE},
            args=args,
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """--seed, --seeds, --num_threads and --compile; --resume, and what goes with it."""
        parser.add_argument("--seed", type=int, default=0, help="of the weights, the noise and the order of the data")
        parser.add_argument("--seeds", type=int, nargs="+", default=None, help="several runs, one for each seed")
        parser.add_argument(
            "--num_threads",
            type=int,
            default=1,
            help="CPU threads of a step; models of this size gain little from more, and lose much on a busy machine",
        )
        parser.add_argument(
            "--compile",
            type=bool,
            default=False,
            help="training steps go through torch.compile, with CUDA graphs on a GPU; the noise stays the same",
        )
        parser.add_argument(
            "--resume",
            type=str,
            default=None,
            metavar="RUN_ID",
            help="goes on with a run, by its id or a checkpoint, under the run's own configuration",
        )
        parser.add_argument(
            "--allow_changes", type=bool, default=False, help="goes on with it although other options are given"
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """--tracking, --record, --checkpoint, and what the model learns from the data."""
        parser.add_class_arguments(TrackingSettings, "tracking")
        parser.add_class_arguments(RecordSettings, "record")
        parser.add_class_arguments(CheckpointSettings, "checkpoint")
        parser.link_arguments("data.num_features", "model.init_args.num_features", apply_on="instantiate")
        parser.link_arguments("data.observation", "model.init_args.observation", apply_on="instantiate")
        parser.link_arguments("seed", "data.init_args.seed")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses `args` and nothing else; where they name no model or no data, GaussianVAE and Digits are meant.

        Those two, and a model's estimator, are no defaults of the parser: it would carry their arguments over to any
        other class that is named. What a file or an earlier option says is carried over, as far as the class takes it.
        """
        if {"-h", "--help"} & set(args):
            print(help_text(parser))
            raise SystemExit(0)
        given = _given(args)
        with explained(parser, **_ROOTS):
            self.config = parser.parse_args(_defaults(given) + args)
        _check_given(given)
        _check_seeds(self.config)
        if self.config.num_threads < 1:
            raise UsageError(f"--num_threads: expected 1 or more, got {self.config.num_threads}")
        _check_trainer(self.config.trainer)

    def instantiate_classes(self) -> None:
        """Makes data, model and trainer; whatever does not fit is refused here."""
        with explained(self.parser, **_ROOTS):
            # LightningCLI's own method calls what jsonargparse has deprecated.
            self.config_init = self.parser.instantiate(self.config)
            self.datamodule, self.model = self.config_init.data, self.config_init.model
            self.trainer = self.instantiate_trainer()
        if self.config.compile:
            self._compile_step()

    def _compile_step(self) -> None:
        if isinstance(self.trainer.strategy, DDPStrategy):
            raise UsageError("--compile: expected one process, got several")
        try:
            self.model.compile_step(**compile_options(self.trainer.strategy.root_device))
        except ValueError as error:
            raise UsageError(f"--compile: {error}") from None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Makes the trainer; what Lightning refuses of its options is refused here."""
        try:
            trainer = super().instantiate_trainer(**kwargs)
            if isinstance(trainer.strategy, DDPStrategy):
                strategy = Replicas(arguments=self._args, seed=self.config.seed)
                trainer = super().instantiate_trainer(**kwargs, strategy=strategy)
        except (ValueError, TypeError, ImportError, MisconfigurationException) as error:
            raise UsageError(f"--trainer: {' '.join(str(error).split())}") from error
        shorten_loop(trainer)
        return trainer

    def resolved_config(self) -> dict[str, Any]:
        """Every option with its value, in plain types: a file of it makes the same run again."""
        return copy.deepcopy(self._resolved)

    @cached_property
    def _resolved(self) -> dict[str, Any]:
        # It is valid: it was parsed. To find that out once more takes longer than the rest.
        text = self.parser.dump(self.config, skip_unset=False, skip_validation=True, format="json")
        config: dict[str, Any] = json.loads(text)
        return {key: value for key, value in config.items() if key not in _OF_THIS_COMMAND}

    def _set_seed(self) -> None:
        # Before the model is made: its weights depend on it.
        seed_everything(self.config.seed, verbose=False)
        torch.set_num_threads(self.config.num_threads)


# What is no property of the run.
_OF_THIS_COMMAND = ("config", "seeds", "resume", "allow_changes")
_MODELS: dict[str, type[GaussianVAE | DiscreteVAE]] = {"GaussianVAE": GaussianVAE, "DiscreteVAE": DiscreteVAE}
_ROOTS = {"model": VAE, "data": ArrayDataModule}
_LINKED = {"model.num_features": "the data", "model.observation": "the data", "data.seed": "--seed"}
_LARGEST_SEED = 2**32 - 1
_STRATEGIES = ("auto", "ddp")
_HALF = (16, "16", "16-mixed")
_PRECISIONS = (None, 32, "32", "32-true", 16, "16", "16-mixed", "bf16", "bf16-mixed")


def _defaults(given: dict[str, Any]) -> list[str]:
    # Options that name what `given` does not.
    named = {"model": "GaussianVAE", "data": "Digits"} | {key: each for key, each in given.items() if each}
    defaults = [f"--{key}={named[key]}" for key in ("model", "data")]
    model = _MODELS.get(str(named["model"]).rpartition(".")[2])
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


def _check_given(given: dict[str, Any]) -> None:
    for key, source in _LINKED.items():
        if key in given:
            raise UsageError(f"--{key} comes from {source} and cannot be given")


def _check_seeds(config: Namespace) -> None:
    for option, seeds in {"seed": [config.seed], "seeds": config.seeds or []}.items():
        for seed in seeds:
            if not 0 <= seed <= _LARGEST_SEED:
                raise UsageError(f"--{option}: expected 0 to {_LARGEST_SEED}, got {seed}")


def _check_trainer(options: Namespace) -> None:
    """Refuses what Lightning accepts and a run cannot do: no step, no test, weights that are not float32."""
    for name in ("max_steps", "max_epochs", "limit_train_batches", "limit_test_batches"):
        if options[name] == 0:
            raise UsageError(f"--trainer.{name}: a run trains and tests, expected more than 0, got 0")
    if options.barebones:
        raise UsageError("--trainer.barebones: a run is recorded, expected false, got true")
    if options.strategy not in _STRATEGIES:
        raise UsageError(f"--trainer.strategy: expected {' or '.join(_STRATEGIES)}, got {options.strategy}")
    if options.precision not in _PRECISIONS:
        accepted = "32-true, 16-mixed or bf16-mixed"
        raise UsageError(f"--trainer.precision: weights are float32, expected {accepted}, got {options.precision}")
    if options.precision in _HALF and (options.accelerator == "cpu" or not torch.cuda.is_available()):
        raise UsageError(
            f"--trainer.precision: float16 needs a GPU, expected 32-true or bf16-mixed, got {options.precision}"
        )
    if options.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UsageError(
            f"--trainer.accelerator: there is no GPU here, expected auto or cpu, got {options.accelerator}"
        )


def quiet() -> None:
    """Silences what Lightning says at every start and is known here: the device, that the data need no workers."""
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*", FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module="lightning")


def option_values(option: str, args: list[str]) -> list[str]:
    """The values that an option is given among arguments that have not been parsed."""
    return [
        given or (args[position + 1] if position + 1 < len(args) else "")
        for position, argument in enumerate(args)
        for name, _, given in [argument.partition("=")]
        if name == option
    ]


def _given(args: list[str]) -> dict[str, Any]:
    # What configuration files and options say, by dotted key; a class stands at the key of the option that takes it.
    given: dict[str, Any] = {}
    for position, argument in enumerate(args):
        option, _, value = argument.partition("=")
        value = value or (args[position + 1] if position + 1 < len(args) else "")
        if option in ("--config", "-c"):
            given.update(_flattened("", _content_of(Path(value))))
        elif option.startswith("--"):
            key = ".".join(each for each in option[2:].split(".") if each not in _OF_A_CLASS)
            given.update(_flattened(key, _loaded(value) if value.startswith("{") else value))
    return given


_OF_A_CLASS = ("class_path", "init_args")


def _flattened(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield key, value
        return
    for name, each in value.items():
        yield from _flattened(key if name in _OF_A_CLASS else f"{key}.{name}".removeprefix("."), each)


def _content_of(file: Path) -> Any:
    try:
        return _loaded(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}


def _loaded(text: str) -> Any:
    # What cannot be read is the parser's to complain about.
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
