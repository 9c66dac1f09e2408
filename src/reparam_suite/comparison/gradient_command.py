"""The command line of `compare gradients`, parsed and checked: the model, data and estimators that it names."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, final

import torch
import yaml
from lightning.pytorch import LightningDataModule

from reparam_suite.commands.explanations import as_option, explained, options_of
from reparam_suite.commands.expressions import parse
from reparam_suite.commands.jsonargparse_internals import imports_only
from reparam_suite.comparison.candidates import Candidates, candidates, check_fits, made
from reparam_suite.comparison.checkpoint import Checkpoint, find
from reparam_suite.comparison.fitness import check_model
from reparam_suite.comparison.gradient_options import GradientOptions, parser
from reparam_suite.data import DataModule, adapted
from reparam_suite.diagnostics import (
    NUM_ROUNDS,
    MemoryBudgetError,
    estimated_by,
    exact_reference,
    gradient_statistics,
    reference_gradients,
    unbiased_reference,
)
from reparam_suite.diagnostics.batches import mapped, num_data, part
from reparam_suite.diagnostics.measuring import device_of
from reparam_suite.estimators import GradientEstimator
from reparam_suite.running.compatibility import check_fit
from reparam_suite.runtime.construction import check_all_allowed
from reparam_suite.runtime.errors import NotAllowedError, UsageError
from reparam_suite.runtime.expressions import written
from reparam_suite.tracking import TrackingSettings


@final
@dataclass(frozen=True)
class GradientCommand:
    """A command line that was parsed and checked: what can be refused has been refused, and nothing is created yet.

    Attributes:
        options: as given.
        tracking: where the result is recorded.
        checkpoint: to be measured.
        model: with its weights, on the device.
        data: that it is measured on.
        batches: the minibatches.
        candidates: the estimators.
        reference: the estimator that bias is held against.
        order_by: the part that orders the table.
    """

    options: GradientOptions
    tracking: TrackingSettings
    checkpoint: Checkpoint
    model: Any
    data: DataModule
    batches: Sequence[Any]
    candidates: Candidates
    reference: GradientEstimator
    order_by: str

    def training_batches(self) -> Iterator[Any]:
        """The minibatches on which what estimators learn is trained, a step for each, through the data again and again.

        Empty where no estimator of the comparison learns anything.
        """
        learns = any([*each.parameters(), *each.buffers()] for each in self.candidates.chosen.values())
        left, device = self.options.train_steps if learns else 0, device_of(self.model)
        while left > 0:
            for batch in islice(self.data.train_dataloader(), left):
                yield mapped(batch, lambda tensor: tensor.to(device))
                left -= 1


def prepared(args: list[str]) -> GradientCommand:
    """The model, data and estimators that the arguments name, made and checked; nothing is created on disk.

    Raises:
        UsageError: if an argument cannot be used.
        DataError: if the data cannot be had.
        TrackingError: if the store that has the checkpoint cannot be used.
    """
    options, tracking = _options(args)
    torch.set_num_threads(options.num_threads)
    torch.manual_seed(options.seed)
    device = _device(options.device)
    checkpoint = find(options.checkpoint, tracking, options.allow_modules)
    model = checkpoint.model().to(device)
    try:
        check_model(model)
    except (ValueError, TypeError) as error:
        raise UsageError(f"--checkpoint {checkpoint.source}: {error}") from error
    data = _data(args, checkpoint, options)
    try:
        check_fit(model, data)
    except UsageError as error:
        raise UsageError(as_option(str(error), parser())) from error
    model = model.to(device)
    batches = _batches(data, options.batches, device)
    reference = _reference(model, batches[0], options.reference)
    chosen = candidates(model, batches[0], options.estimators)
    order_by = _group(model, batches[0], options.order_by)
    command = GradientCommand(options, tracking, checkpoint, model, data, batches, chosen, reference, order_by)
    _check_budget(command)
    return command


def _options(args: list[str]) -> tuple[GradientOptions, TrackingSettings]:
    if not any(argument.partition("=")[0] == "--checkpoint" for argument in args):
        raise UsageError("--checkpoint is needed: the id or the name of a run, or a .ckpt file")
    known = parser()
    with explained(known, data=LightningDataModule):
        parsed = known.parse_args(_without_data(args))  # theirs are known when the checkpoint has been read
        return options_of(GradientOptions, parsed), TrackingSettings(**vars(parsed.tracking))


def _is_of_data(argument: str) -> bool:
    return argument.startswith(("--data.", "--data=")) or argument == "--data"


def _without_data(args: list[str]) -> list[str]:
    kept, is_value = [], False
    for argument in args:
        if not _is_of_data(argument) and not is_value:
            kept.append(argument)
        is_value = _is_of_data(argument) and "=" not in argument
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


def _reference(model: Any, batch: Any, text: str) -> GradientEstimator:
    if text == "best":
        try:
            return exact_reference(model, batch)
        except ValueError:
            return unbiased_reference(model, batch)
    asked = parse([text], "--reference")
    if len(asked) > 1 or isinstance(asked[0], str):
        raise UsageError(f"--reference: expected best or one estimator, got {text}")
    estimator = made(asked[0], "--reference")
    if not estimator.unbiased:
        raise UsageError(f"--reference: expected an unbiased estimator, got {written(estimator)}")
    check_fits(model, batch, estimator, "--reference")
    return estimator


def _group(model: Any, batch: Any, asked: str | None) -> str:
    known = list(gradient_statistics(model, part(batch, slice(0, 1))))
    if asked is not None and asked not in known:
        raise UsageError(f"--order_by: expected {', '.join(known[:-1])} or {known[-1]}, got {asked}")
    return asked or known[0]


def _data(args: list[str], checkpoint: Checkpoint, options: GradientOptions) -> DataModule:
    named = any(argument.partition("=")[0] in ("--data", "--data.class_path") for argument in args)
    as_recorded = not any(map(_is_of_data, args))
    data = adapted(checkpoint.data() if as_recorded else _parsed_data(args, checkpoint, named=named))
    data.prepare_data()
    data.setup("fit")
    data.begin(options.seed)
    recorded, found = checkpoint.digest, data.digest
    if as_recorded and recorded is not None and found is not None and recorded != found:
        raise UsageError(
            f"--checkpoint {checkpoint.source}: expected the data that it was trained on, {data.name} of digest "
            f"{recorded}, got digest {found}; --data names others"
        )
    return data


def _parsed_data(args: list[str], checkpoint: Checkpoint, *, named: bool) -> LightningDataModule:
    # The recorded data come first, so that single options of theirs can be changed.
    before = []
    if not named:
        recorded = checkpoint.recorded_data
        if recorded is None:
            raise UsageError(checkpoint.without_data)
        try:
            check_all_allowed(recorded, allow=checkpoint.allow)
        except NotAllowedError as error:
            raise UsageError(f"--checkpoint {checkpoint.source}: data: {error}, with --allow_modules") from None
        before = [f"--data={yaml.safe_dump(recorded, default_flow_style=True, width=2**30).strip()}"]
    known = parser()
    trusted = nullcontext() if named else imports_only(["reparam_suite", *checkpoint.allow])
    with explained(known, data=LightningDataModule), trusted:
        parsed = known.parse_args([*before, *args])
        data: LightningDataModule = known.instantiate(parsed).data
    return data


def _batches(data: DataModule, number: int, device: torch.device) -> list[Any]:
    of_epoch = list(islice(iter(data.train_dataloader()), number))
    size = num_data(of_epoch[0])
    full = [mapped(batch, lambda tensor: tensor.to(device)) for batch in of_epoch if num_data(batch) == size]
    if number > len(full):
        raise UsageError(
            f"--batches: expected at most {len(full)}, the batches of {size} data in an epoch of "
            f"{data.name}, got {number}"
        )
    return full


def _check_budget(command: GradientCommand) -> None:
    # One datum is measured for every estimator: the memory that it needs depends on the road that its gradient takes.
    model, budget, datum = command.model, command.options.memory_budget, part(command.batches[0], slice(0, 1))
    refused: dict[str, MemoryBudgetError] = {}
    for name, estimator in command.candidates.chosen.items():
        with estimated_by(model, estimator if estimator is model.estimator else copy.deepcopy(estimator)):
            try:
                gradient_statistics(model, datum, command.options.repeats // NUM_ROUNDS, memory_budget=budget)
            except MemoryBudgetError as error:
                refused[name] = error
    try:
        reference_gradients(model, datum, copy.deepcopy(command.reference), num_repeats=1, memory_budget=budget)
    except MemoryBudgetError as error:
        refused["the reference"] = error
    if refused:
        largest = max(refused, key=lambda name: refused[name].needed)
        raise UsageError(f"--memory_budget: {largest}: {refused[largest]}")
