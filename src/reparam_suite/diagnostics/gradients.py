"""How noisy the gradient of a model is under its estimator, parameters and minibatch frozen."""

import logging

from torch import Tensor, nn

from reparam_suite.diagnostics.calls import NotLayerwiseError
from reparam_suite.diagnostics.datumwise import datumwise_sums, repeated_objective
from reparam_suite.diagnostics.layerwise import layerwise_sums
from reparam_suite.diagnostics.measuring import checked_repeats, measuring, trained_parameters
from reparam_suite.diagnostics.memory import DEFAULT_BUDGET, MemoryBudgetError, graph_bytes
from reparam_suite.diagnostics.parts import GRAM_ELEMENTS
from reparam_suite.diagnostics.statistics import FEWEST_REPEATS, GradientStatistics, GradientSums, add
from reparam_suite.models import VAE
from reparam_suite.runtime.random_streams import forked_generator

_log = logging.getLogger(__name__)

DEFAULT_REPEATS = FEWEST_REPEATS
"""More data at fewer repeats is the better use of time: the standard error falls with both alike, and the encoder runs
once for all repeats."""


def gradient_statistics(
    model: VAE,
    x: Tensor,
    num_repeats: int = DEFAULT_REPEATS,
    *,
    per_element: bool = False,
    memory_budget: int = DEFAULT_BUDGET,
) -> dict[str, GradientStatistics]:
    """Statistics of the gradient of the mean objective over x, by part of the model and by variational parameter.

    The keys are encoder, decoder and prior, where they have trained parameters, and the names of the variational
    parameters: logits, or loc and scale. The noise is the estimator's alone; an estimator with state, such as a moving
    average, is measured with that state frozen. Nothing of the training moves: modes, buffers, random state and `.grad`
    are as before. Every datum's gradients are drawn R times, which measures the variance of their mean far better than
    R draws of that mean.

    Args:
        model: with the estimator to measure.
        x: the minibatch, `[B, P]`.
        num_repeats: R, independent gradients of each datum; at least 4.
        per_element: whether the variance of every element is kept; 16 repeats are then a good use of time.
        memory_budget: bytes; the data are taken in as many portions as it asks for.

    Raises:
        ValueError: if `num_repeats` is below 4; a MemoryBudgetError if `memory_budget` is too small for one datum,
            naming the smallest that works.
    """
    sums = gradient_sums(model, x, num_repeats, per_element=per_element, memory_budget=memory_budget)
    return {name: each.statistics() for name, each in sums.items()}


def gradient_sums(
    model: VAE,
    x: Tensor,
    num_repeats: int = DEFAULT_REPEATS,
    *,
    per_element: bool = False,
    memory_budget: int = DEFAULT_BUDGET,
) -> dict[str, GradientSums]:
    """The sums from which `gradient_statistics` follow: those of the shards of a minibatch may be added up first.

    Layer by layer where every parameter belongs to a layer that treats its rows independently, which is checked against
    the ordinary gradient; otherwise datum by datum, which is slower and reported on the log.

    Raises:
        ValueError: as `gradient_statistics`.
    """
    checked_repeats(num_repeats)
    with measuring(model, x):
        return sums_while_measuring(model, x, num_repeats, per_element=per_element, memory_budget=memory_budget)


def sums_while_measuring(
    model: VAE, x: Tensor, num_repeats: int, *, per_element: bool = False, memory_budget: int = DEFAULT_BUDGET
) -> dict[str, GradientSums]:
    """As `gradient_sums`, within a `measuring` that goes on: every call draws new noise."""
    try:
        portion = _layerwise_portion(model, x, num_repeats, memory_budget)
        totals: dict[str, GradientSums] = {}
        for data in x.split(portion):
            shard = layerwise_sums(model, data, num_repeats, per_element=per_element)
            totals = {name: add([totals[name], each]) if totals else each for name, each in shard.items()}
    except NotLayerwiseError as reason:
        _log.info("gradients of %s are measured datum by datum: %s", type(model).__name__, reason)
        _check_datumwise_budget(model, x, num_repeats, memory_budget)
        return datumwise_sums(model, x, num_repeats, per_element=per_element)
    return totals


def _layerwise_portion(model: VAE, x: Tensor, num_repeats: int, memory_budget: int) -> int:
    # Held at a time, as measured on several models: 2 to 3 times what the graph keeps, and inner products; gradients by
    # all parameters, their sums and their squares; R gradients by one of them.
    trained = [each for group in trained_parameters(model).values() for each in group]
    largest = max((each.numel() for each in trained), default=0)
    fixed = (
        6 * sum(each.numel() for each in trained) + 4 * num_repeats * largest + 4 * GRAM_ELEMENTS
    ) * x.element_size()
    widths = [sum(each.weight.shape) for each in model.modules() if isinstance(each, nn.Linear)]
    if len(model.layers()) == 1 and 2 * len(widths) + 1 >= len(trained):
        # The prior has the event shape of q, on which alone evaluations depend, and costs no encoder pass.
        rows = num_repeats * model.estimator.evaluations(model.top_prior())
        if fixed + len(x) * 8 * rows * sum(widths) * x.element_size() <= memory_budget:
            return len(x)
    per_datum = 3 * _graph_bytes(model, x, num_repeats) + 4 * num_repeats**2 * x.element_size()
    fit = (memory_budget - fixed) // per_datum
    if fit < 1:
        layerwise_sums(model, x[:1], num_repeats)  # or else it is another budget that would work
        raise MemoryBudgetError(memory_budget, num_repeats, fixed + per_datum)
    return min(len(x), fit)


def _check_datumwise_budget(model: VAE, x: Tensor, num_repeats: int, memory_budget: int) -> None:
    # R gradients by all parameters, three copies; R graphs, since R gradients go backward side by side.
    num_trained = sum(each.numel() for group in trained_parameters(model).values() for each in group)
    needed = (3 * num_repeats + 6) * num_trained * x.element_size()
    needed += 3 * num_repeats * _graph_bytes(model, x, num_repeats)
    if memory_budget < needed:
        raise MemoryBudgetError(memory_budget, num_repeats, needed)


def _graph_bytes(model: VAE, x: Tensor, num_repeats: int) -> int:
    with forked_generator(x.device):
        return graph_bytes(
            lambda: repeated_objective(model, x[:1], num_repeats), [x, *model.parameters(), *model.buffers()]
        )
