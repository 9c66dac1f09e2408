"""How noisy the gradient of a model is under its estimator, parameters and minibatch frozen."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import final

from torch import nn

from reparam_suite.diagnostics.batches import Batch, num_data, part, split
from reparam_suite.diagnostics.calls import NotLayerwiseError
from reparam_suite.diagnostics.datumwise import datumwise_sums, mixture_of_data
from reparam_suite.diagnostics.layers_at_evaluation import layers_off
from reparam_suite.diagnostics.layerwise import layerwise_sums
from reparam_suite.diagnostics.layout import Layout, layout_of, objective_of
from reparam_suite.diagnostics.measured_model import MeasuredModel, as_module, trained_parameters
from reparam_suite.diagnostics.measuring import checked_repeats, device_of, measuring
from reparam_suite.diagnostics.memory import DEFAULT_BUDGET, MemoryBudgetError, graph_bytes
from reparam_suite.diagnostics.parts import GRAM_ELEMENTS
from reparam_suite.diagnostics.statistics import FEWEST_REPEATS, GradientStatistics, GradientSums, Road, add
from reparam_suite.diagnostics.whole_batch import whole_batch_sums
from reparam_suite.runtime.random_streams import forked_generator

_log = logging.getLogger(__name__)

DEFAULT_REPEATS = FEWEST_REPEATS
"""More data at fewer repeats is the better use of time: the standard error falls with both alike, and the encoder runs
once for all repeats."""


def gradient_statistics(
    model: MeasuredModel,
    batch: Batch,
    num_repeats: int = DEFAULT_REPEATS,
    *,
    per_element: bool = False,
    memory_budget: int = DEFAULT_BUDGET,
) -> dict[str, GradientStatistics]:
    """Statistics of the gradient of the mean objective over a batch, by part of the model and by variational parameter.

    The keys are the parts that `trained_parameters` names, encoder, decoder and prior of a VAE, and the names of the
    variational parameters, logits, or loc and scale. The noise is the estimator's alone; an estimator with state, such
    as a moving average, is measured with that state frozen. Nothing of the training moves: modes, buffers, random state
    and `.grad` are as before. R gradients of every datum are drawn, which measures the variance of their mean far
    better than R draws of that mean.

    The first road that fits is taken, and the result says which one and which layers were off. Layer by layer: every
    parameter belongs to a layer whose rows belong to single data. Datum by datum: the objective of a datum depends on
    no other. Whole batch: R backward passes, where data share latents or are mixed.

    Args:
        model: an nn.Module with `expectation(batch)` and the estimator to measure.
        batch: the minibatch: tensors `[B, ...]` in any nesting of tuples, lists and dictionaries.
        num_repeats: R, independent gradients of each datum; at least 4.
        per_element: whether the variance of every element is kept; 16 repeats are then a good use of time.
        memory_budget: bytes; the data are taken in as many portions as it asks for.

    Raises:
        ValueError: if `num_repeats` is below 4 or the model has batch norm; a MemoryBudgetError if `memory_budget` is
            too small for one datum, naming the smallest that works.
    """
    sums = gradient_sums(model, batch, num_repeats, per_element=per_element, memory_budget=memory_budget)
    return {name: of_part.statistics() for name, of_part in sums.items()}


def gradient_sums(
    model: MeasuredModel,
    batch: Batch,
    num_repeats: int = DEFAULT_REPEATS,
    *,
    per_element: bool = False,
    memory_budget: int = DEFAULT_BUDGET,
    measurement: "Measurement | None" = None,
) -> dict[str, GradientSums]:
    """The sums from which `gradient_statistics` follow: those of the shards of a minibatch may be added up first.

    Args:
        model: as for `gradient_statistics`, and so are the arguments below.
        batch: the minibatch.
        num_repeats: R.
        per_element: whether the variance of every element is kept.
        memory_budget: bytes.
        measurement: an earlier one of the same model, whose checks of layers are not repeated.

    Raises:
        ValueError: as `gradient_statistics`.
    """
    checked_repeats(num_repeats)
    with measuring(model):
        measurement = measurement or Measurement(model, batch)
        return measurement.sums(batch, num_repeats, per_element=per_element, memory_budget=memory_budget)


@final
class Measurement:
    """The road to the gradients of a model, chosen on a batch; to be made and used while `measuring`.

    It may serve for as long as the model trains: the layout of rows in the layers is checked once, and again where
    they are not called as they were.

    Args:
        model: whose gradients are measured, with the estimator that it has.
        batch: any like those to come.

    Attributes:
        road: the one that was chosen.

    Raises:
        ValueError: if the model has batch norm.
    """

    def __init__(self, model: MeasuredModel, batch: Batch) -> None:
        self._model = model
        self._off = layers_off(as_module(model))
        self._layout: Layout | None = None
        self._is_new = True
        self.road: Road = "layer by layer"
        self._prove(batch)

    def sums(
        self,
        batch: Batch,
        num_repeats: int,
        *,
        per_element: bool = False,
        memory_budget: int = DEFAULT_BUDGET,
    ) -> dict[str, GradientSums]:
        """As `gradient_sums`; every call draws new noise."""
        found = self._by_layer(batch, num_repeats, memory_budget, per_element=per_element)
        if found is None and self.road == "datum by datum":
            _check_datumwise_budget(self._model, batch, num_repeats, memory_budget)
            found = datumwise_sums(self._model, batch, num_repeats, per_element=per_element)
        if found is None:
            found = whole_batch_sums(self._model, batch, num_repeats, per_element=per_element)
        self._is_new = False
        return {name: replace(statistics, road=self.road, off=self._off) for name, statistics in found.items()}

    def _prove(self, batch: Batch) -> None:
        self._is_new = True
        try:
            self._layout = layout_of(self._model, batch)
        except NotLayerwiseError as reason:
            self._leave_layers(batch, str(reason))

    def _by_layer(
        self, batch: Batch, num_repeats: int, memory_budget: int, *, per_element: bool
    ) -> dict[str, GradientSums] | None:
        groups = trained_parameters(self._model)
        while self._layout is not None:
            layout = self._layout
            try:
                portion = _portion(self._model, groups, layout, batch, num_repeats, memory_budget)
                if portion < num_data(batch) and (mixed := mixture_of_data(self._model, batch)) is not None:
                    self._leave_layers(batch, mixed)
                    return None
                totals: dict[str, GradientSums] = {}
                for data in split(batch, portion):
                    shard = layerwise_sums(self._model, data, num_repeats, layout, groups, per_element=per_element)
                    totals = {
                        name: add([totals[name], moments]) if totals else moments for name, moments in shard.items()
                    }
                return totals
            except NotLayerwiseError as reason:
                if not self._is_new:
                    self._prove(batch)
                elif layout.once is not None:
                    self._layout = replace(layout, once=None)
                else:
                    self._leave_layers(batch, str(reason))
        return None

    def _leave_layers(self, batch: Batch, reason: str) -> None:
        self._layout = None
        mixed = mixture_of_data(self._model, batch)
        self.road = "datum by datum" if mixed is None else "whole batch"
        name = type(self._model).__name__
        _log.info("gradients of %s are measured %s: %s", name, _WORDS[self.road], mixed or reason)


_WORDS = {"datum by datum": "datum by datum", "whole batch": "by passes over the whole batch"}


def _portion(
    model: MeasuredModel,
    groups: Mapping[str, list[nn.Parameter]],
    layout: Layout,
    batch: Batch,
    num_repeats: int,
    memory_budget: int,
) -> int:
    # Held at a time, as measured on several models: 2 to 3 times what the graph keeps, and inner products; gradients by
    # all parameters, their sums and their squares; R gradients by one of them.
    trained = [parameter for group in groups.values() for parameter in group]
    size = max((parameter.element_size() for parameter in trained), default=1)
    largest = max((parameter.numel() for parameter in trained), default=0)
    fixed = size * (6 * sum(parameter.numel() for parameter in trained) + 4 * num_repeats * largest + 4 * GRAM_ELEMENTS)
    per_datum = 3 * num_repeats * layout.bytes_per_row + 4 * num_repeats**2 * size
    fit = (memory_budget - fixed) // per_datum
    if fit < 1:
        # Or else it is another budget that would work.
        layerwise_sums(model, part(batch, slice(0, 1)), num_repeats, layout)
        raise MemoryBudgetError(memory_budget, num_repeats, fixed + per_datum)
    return min(num_data(batch), fit)


def _check_datumwise_budget(model: MeasuredModel, batch: Batch, num_repeats: int, memory_budget: int) -> None:
    # R gradients by all parameters, three copies; R graphs, since R gradients go backward side by side.
    trained = [parameter for group in trained_parameters(model).values() for parameter in group]
    needed = (3 * num_repeats + 6) * sum(parameter.numel() * parameter.element_size() for parameter in trained)
    datum = part(batch, slice(0, 1))
    with forked_generator(device_of(model)):
        kept = graph_bytes(lambda: objective_of(model, datum, 1))
    needed += 3 * num_repeats * num_repeats * kept
    if memory_budget < needed:
        raise MemoryBudgetError(memory_budget, num_repeats, needed)
