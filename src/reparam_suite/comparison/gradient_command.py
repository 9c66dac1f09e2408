"""The command line of `compare gradients`: its options, and the model, data and estimators that they name."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import final

import torch
import yaml
from jsonargparse import ArgumentParser
from torch import Tensor

from reparam_suite.comparison.candidates import Candidates, candidates, check_fit, made, pristine
from reparam_suite.comparison.checkpoint import Checkpoint, find
from reparam_suite.commands.expressions import parse, written
from reparam_suite.data import ArrayDataModule
from reparam_suite.diagnostics import (
    DEFAULT_BUDGET,
    FEWEST_REPEATS,
    NUM_ROUNDS,
    MemoryBudgetError,
    exact_reference,
    gradient_statistics,
    reference_gradients,
    unbiased_reference,
)
from reparam_suite.diagnostics.measuring import estimated_by
from reparam_suite.estimators import GradientEstimator
from reparam_suite.models import VAE
from reparam_suite.tracking import TrackingSettings
from reparam_suite.commands.usage import UsageError, explained, options_of

USAGE = "python -m reparam_suite.compare gradients --checkpoint RUN_OR_FILE [options]"
DESCRIPTION = """Measures many gradient estimators on the same parameters and minibatches of a trained model, prints
them in order of work-normalised variance (variance x milliseconds) and records table and figure in an MLflow run."""
EPILOG = """Learned and remembered parts of an estimator (a baseline's network, moving averages, the temperature of
REBAR, the network of RELAX) are those of the checkpoint where the estimator is the checkpoint's own, with the same
arguments; those of every other estimator are as they start, untrained, and the table marks it with an asterisk. Nothing
is trained here. What each column is: docs/diagnostics.md."""


@final
@dataclass(frozen=True)
class GradientOptions:
    """What is measured, and how precisely.

    Args:
        checkpoint: the id or the unique name of an MLflow run, whose best.ckpt is taken, or a .ckpt file.
        estimators: `all` that fit (ScoreFunction once for each baseline), classes, 'DisARM(num_samples=4)', or a YAML
            file with a list of them; a class of your own by its dotted path.
        reference: what bias and cosine are held against, an unbiased estimator; `best` is Enumeration or Quadrature
            where they can be had, else many draws of a good unbiased one, whose error is stated.
        batches: training minibatches to measure on, the same for every estimator.
        repeats: gradients of each datum, a multiple of 8; standard errors fall with its root.
        order_by: the group whose work-normalised variance orders the table: encoder, decoder, prior, or a variational
            parameter (logits, loc, scale).
        memory_budget: bytes that a measurement may hold at a time.
        seed: of the noise, and of the order of the minibatches.
        num_threads: CPU threads; the milliseconds depend on them.
        device: cpu, cuda, or auto: a GPU if there is one.

    Raises:
        ValueError: if a number is out of range.
    """

    checkpoint: str
    estimators: Sequence[str] = ("all",)
    reference: str = "best"
    batches: int = 4
    repeats: int = 64
    order_by: str = "encoder"
    memory_budget: int = DEFAULT_BUDGET
    seed: int = 0
    num_threads: int = 1
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, least in {"batches": 1, "seed": 0, "num_threads": 1}.items():
            if getattr(self, name) < least:
                raise ValueError(f"--{name}: expected {least} or more, got {getattr(self, name)}")
        if self.repeats < NUM_ROUNDS * FEWEST_REPEATS or self.repeats % NUM_ROUNDS:
            raise ValueError(
                f"--repeats: expected a multiple of {NUM_ROUNDS}, {NUM_ROUNDS * FEWEST_REPEATS} or more, "
                f"got {self.repeats}"
            )


@final
@dataclass(frozen=True)
class GradientCommand:
    """A command line that was parsed and checked: what can be refused has been refused, and nothing is created yet.

    Attributes:
        options: as given.
        tracking: where the result is recorded.
        checkpoint: what is measured.
        model: with its weights, on the device.
        data: that it is measured on.
        batches: the minibatches, `[B, P]` each.
        candidates: the estimators.
        reference: what bias is held against.
    """

    options: GradientOptions
    tracking: TrackingSettings
    checkpoint: Checkpoint
    model: VAE
    data: ArrayDataModule
    batches: Sequence[Tensor]
    candidates: Candidates
    reference: GradientEstimator

    @property
    def repeats_of_a_round(self) -> int:
        """Gradients of each datum in one of the rounds."""
        return self.options.repeats // NUM_ROUNDS


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
    made.add_class_arguments(GradientOptions, None, skip={"estimators"})
    made.add_argument("--estimators", nargs="+", type=str, default=["all"], help=_ESTIMATORS)
    made.add_subclass_arguments(
        ArrayDataModule, "data", required=False, help="the data; by default those that the checkpoint was trained on"
    )
    made.add_class_arguments(TrackingSettings, "tracking")
    return made


_ESTIMATORS = (
    "all that fit (ScoreFunction once for each baseline), classes, 'DisARM(num_samples=4)', or a YAML file with a list"
)


def prepared(args: list[str]) -> GradientCommand:
    """What the arguments ask for, made and checked; nothing is created on disk.

    Raises:
        UsageError: if an argument cannot be used.
        DataError: if the data cannot be had.
        TrackingError: if the store that has the checkpoint cannot be used.
    """
    options, tracking = _options(args)
    torch.set_num_threads(options.num_threads)
    torch.manual_seed(options.seed)
    device = _device(options.device)
    checkpoint = find(options.checkpoint, tracking)
    model = checkpoint.model().to(device)
    reference = _reference(model, options.reference)
    chosen = candidates(model, options.estimators)
    _check_group(model, options.order_by)
    data = _data(args, checkpoint, options.seed)
    _check_data(model, data, checkpoint)
    batches = _batches(data, options.batches, device)
    command = GradientCommand(options, tracking, checkpoint, model, data, batches, chosen, reference)
    _check_budget(command)
    return command


def _options(args: list[str]) -> tuple[GradientOptions, TrackingSettings]:
    if not any(each.partition("=")[0] == "--checkpoint" for each in args):
        raise UsageError("--checkpoint is needed: the id or the name of a run, or a .ckpt file")
    known = parser()
    with explained(known, data=ArrayDataModule):
        parsed = known.parse_args(_without_data(args))  # theirs are known when the checkpoint has been read
        return options_of(GradientOptions, parsed), TrackingSettings(**vars(parsed.tracking))


def _without_data(args: list[str]) -> list[str]:
    kept, is_value = [], False
    for each in args:
        ours = each.startswith(("--data.", "--data=")) or each == "--data"
        if not ours and not is_value:
            kept.append(each)
        is_value = ours and "=" not in each
    return kept


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device: expected auto, cpu or cuda, got {name}") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device: expected auto, cpu or cuda, got {name}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device: there is no {name} here, expected auto or cpu")
    return device


def _reference(model: VAE, text: str) -> GradientEstimator:
    if text == "best":
        try:
            return exact_reference(model)
        except ValueError:
            return unbiased_reference(model)
    asked = parse([text], "--reference")
    if len(asked) > 1 or isinstance(asked[0], str):
        raise UsageError(f"--reference: expected best or one estimator, got {text}")
    estimator = made(asked[0], "--reference")
    if not estimator.unbiased:
        raise UsageError(f"--reference: it must be unbiased, and {written(estimator)} is not")
    check_fit(model, estimator, "--reference")
    return estimator


def _check_group(model: VAE, group: str) -> None:
    x = next(model.parameters()).new_zeros(1, model.num_features)
    known = list(gradient_statistics(model, x))
    if group not in known:
        raise UsageError(f"--order_by: expected {', '.join(known[:-1])} or {known[-1]}, got {group}")


def _data(args: list[str], checkpoint: Checkpoint, seed: int) -> ArrayDataModule:
    recorded = checkpoint.data
    named = any(each.partition("=")[0] in ("--data", "--data.class_path") for each in args)
    if recorded is None and not named:
        raise UsageError(
            f"--checkpoint {checkpoint.source} does not say on which data it was trained: name them, --data Digits say"
        )
    # The recorded data come first, so that single options of theirs can be changed.
    before = [] if named else [f"--data={yaml.safe_dump(recorded, default_flow_style=True)}"]
    known = parser()
    with explained(known, data=ArrayDataModule):
        parsed = known.parse_args([*before, *args])
        parsed.data.init_args.seed = seed
        data: ArrayDataModule = known.instantiate(parsed).data
    data.prepare_data()
    data.setup()
    return data


def _check_data(model: VAE, data: ArrayDataModule, checkpoint: Checkpoint) -> None:
    of_model, of_data = (model.num_features, model.observation), (data.num_features, data.observation)
    if of_model != of_data:
        raise UsageError(
            f"--data: {data.name} has {of_data[0]} {of_data[1]} numbers in a datum, the model of "
            f"--checkpoint {checkpoint.source} takes {of_model[0]} {of_model[1]} ones"
        )


def _batches(data: ArrayDataModule, number: int, device: torch.device) -> list[Tensor]:
    loader = data.train_dataloader()
    of_epoch = [x.to(device) for x in islice(iter(loader), min(number, len(loader)))]
    full = [x for x in of_epoch if len(x) == len(of_epoch[0])]
    if number > len(full):
        raise UsageError(f"--batches: an epoch of {data.name} has {len(full)} of {len(full[0])} data, got {number}")
    return full


def _check_budget(command: GradientCommand) -> None:
    # One datum is measured for every estimator: what it needs depends on the road that its gradient takes.
    model, budget, x = command.model, command.options.memory_budget, command.batches[0][:1]
    refused: dict[str, MemoryBudgetError] = {}
    for name, estimator in command.candidates.chosen.items():
        with estimated_by(model, pristine(model, estimator)):
            try:
                gradient_statistics(model, x, command.repeats_of_a_round, memory_budget=budget)
            except MemoryBudgetError as error:
                refused[name] = error
    try:
        reference_gradients(model, x, command.reference, num_repeats=1, memory_budget=budget)
    except MemoryBudgetError as error:
        refused["the reference"] = error
    if refused:
        hungriest = max(refused, key=lambda name: refused[name].needed)
        raise UsageError(f"--memory_budget: {hungriest}: {refused[hungriest]}")
