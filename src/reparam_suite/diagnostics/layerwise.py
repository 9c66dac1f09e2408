"""The fast road: R gradients of every datum from one pass over repeated data, layer by layer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.diagnostics.calls import Call, NotLayerwiseError, Recorder
from reparam_suite.diagnostics.measuring import free_coordinates, trained_parameters
from reparam_suite.diagnostics.parts import ROUNDING, Part
from reparam_suite.diagnostics.rows import parts_of
from reparam_suite.diagnostics.statistics import (
    GradientSums,
    Moments,
    moments_of_draws,
    moments_of_own_draws,
    sums_of_moments,
)
from reparam_suite.models import VAE, LayeredPrior
from reparam_suite.objectives import evidence
from reparam_suite.distributions import parameters, with_parameters


def layerwise_sums(model: VAE, x: Tensor, num_repeats: int, *, per_element: bool = False) -> dict[str, GradientSums]:
    """Sums over the data x `[B, P]` for each group; to be called while `measuring`.

    The encoder runs once, since the noise enters after it; q's parameters are repeated R times and the decoder sees z
    of `[K, R, B, D]`, and so do networks of latents above z. One backward pass gives what comes back at q's parameters
    and at the output of every layer of theirs; the encoder's layers then get R cotangents at once.

    Raises:
        NotLayerwiseError: if the gradient reaches a parameter other than through the calls of its own module.
    """
    groups = trained_parameters(model)
    recorder = Recorder(model, [each for name in ("encoder", "decoder") for each in groups.get(name, [])])
    with recorder.watching():
        with recorder.laid_out(len(x)):
            q = model.posterior_of(x)
        encoder_calls = recorder.take()
        p = model.top_prior()
        shape = (num_repeats, len(x))
        repeated_q, back_to_q = _repeated(q, shape[:1])
        repeated_p, back_to_p = _repeated(p, shape) if "prior" in groups else (p, [])
        view = _RepeatedModel(model, repeated_q, repeated_p, recorder)
        with recorder.laid_out(*shape), _top_prior_is(repeated_p, model.layers()[1:]):
            target = evidence(view, x.expand(*shape, *x.shape[1:]), model.bound, model.kl, model.current_kl_weight())
            objective = model.estimator(target).objective
        later_calls = recorder.take()

    encoder, decoder = groups.get("encoder", []), groups.get("decoder", [])
    outputs = [call.output for call in later_calls]
    wanted: list[list[Tensor]] = [back_to_q, back_to_p, outputs, list(encoder), list(decoder)]
    at_q, at_p, deltas, by_encoder, by_decoder = _split(
        torch.autograd.grad(objective.sum(), [each for some in wanted for each in some], materialize_grads=True), wanted
    )
    moments: dict[str, Moments] = {}
    if encoder:
        at_outputs, through_q = _through_encoder(q, at_q, encoder_calls, encoder)
        parts = parts_of(encoder_calls, at_outputs) + parts_of(*_of(encoder, later_calls, deltas))
        totals = [one + other for one, other in zip(by_encoder, through_q, strict=True)]
        moments["encoder"] = _moments(encoder, parts, totals, shape, per_element=per_element)
    if decoder:
        parts = parts_of(*_of(decoder, later_calls, deltas))
        moments["decoder"] = _moments(decoder, parts, by_decoder, shape, per_element=per_element)
    if "prior" in groups:
        moments["prior"] = moments_of_draws(_through_prior(p, at_p, groups["prior"]), per_element=per_element)
    for name, each in zip(parameters(q), at_q, strict=True):
        moments[name] = moments_of_own_draws(free_coordinates(name, each).transpose(0, 1), per_element=per_element)
    return sums_of_moments(moments)


@final
@dataclass(frozen=True)
class _RepeatedModel:
    # What `evidence` asks of a model, over x of [R, B, P].
    model: VAE
    q: Distribution
    prior: Distribution
    recorder: Recorder

    def posterior_of(self, x: Tensor) -> Distribution:  # noqa: ARG002
        return self.q

    def prior_distribution(self) -> Distribution | LayeredPrior:
        return self.prior if len(self.model.layers()) == 1 else self.model.prior_distribution()

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        with self.recorder.laid_out(z.shape[0], *x.shape[:-1]):
            return self.model.log_likelihood(x, z)


@contextmanager
def _top_prior_is(prior: Distribution, layers_above: list[VAE | LayeredPrior]) -> Iterator[None]:
    # The layers above z ask the module itself.
    hooks = [each.prior_network.register_forward_hook(lambda *_: prior) for each in layers_above[-1:]]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _of(group: list[nn.Parameter], calls: Sequence[Call], deltas: Sequence[Tensor]) -> tuple[list[Call], list[Tensor]]:
    # The calls of modules that own one of the group, and what comes back to them.
    mine, wanted = [], set(group)
    for call, delta in zip(calls, deltas, strict=True):
        if wanted & set(call.module.parameters(recurse=False)):
            mine.append((call, delta))
    return [call for call, _ in mine], [delta for _, delta in mine]


def _repeated(distribution: Distribution, shape: tuple[int, ...]) -> tuple[Distribution, list[Tensor]]:
    # The distribution with `shape` before its batch shape, made from leaves, and those leaves.
    leaves: list[Tensor] = []

    def leaf(value: Tensor) -> Tensor:
        leaves.append(value.detach().expand(*shape, *value.shape).requires_grad_())
        return leaves[-1]

    return with_parameters(distribution, leaf), leaves


def _split(values: Sequence[Tensor], like: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    left = iter(values)
    return [[next(left) for _ in some] for some in like]


def _through_encoder(
    q: Distribution, at_q: list[Tensor], calls: list[Call], encoder: list[nn.Parameter]
) -> tuple[list[Tensor], list[Tensor]]:
    # At the output of every call, [R, *output], and by the parameters, summed over data and repeats.
    pairs = zip(parameters(q).values(), at_q, strict=True)
    carriers, back = zip(*((value, each) for value, each in pairs if value.requires_grad), strict=True)
    totals = torch.autograd.grad(
        carriers, encoder, [each.sum(0) for each in back], retain_graph=True, materialize_grads=True
    )
    if not calls:
        return [], list(totals)
    outputs = [call.output for call in calls]
    deltas = torch.autograd.grad(carriers, outputs, back, is_grads_batched=True, allow_unused=True)
    return [
        output.new_zeros(len(back[0]), *output.shape) if each is None else each
        for output, each in zip(outputs, deltas, strict=True)
    ], list(totals)


def _through_prior(p: Distribution, at_p: list[Tensor], prior: list[nn.Parameter]) -> list[Tensor]:
    # Every datum and repeat has a cotangent at p's parameters; the way from there to the natural ones is short.
    R, B = at_p[0].shape[:2]
    pairs = zip(parameters(p).values(), at_p, strict=True)
    carriers, cotangents = zip(
        *((value, each.transpose(0, 1).flatten(0, 1)) for value, each in pairs if value.requires_grad), strict=True
    )
    back = torch.autograd.grad(carriers, prior, cotangents, is_grads_batched=True, allow_unused=True)
    return [
        parameter.new_zeros(B, R, *parameter.shape) if each is None else each.unflatten(0, (B, R))
        for parameter, each in zip(prior, back, strict=True)
    ]


def _moments(
    group: list[nn.Parameter],
    parts: list[Part],
    totals: Sequence[Tensor],
    shape: tuple[int, int],
    *,
    per_element: bool,
) -> Moments:
    # `totals` are the gradients by the group's parameters, summed over data and repeats, as autograd gives them.
    R, B = shape
    by_parameter: dict[Tensor, Tensor] = dict(zip(group, totals, strict=True))
    explained = [parameter for part in parts for parameter in part.parameters]
    unexplained = set(by_parameter) - set(explained)
    if len(explained) + len(unexplained) != len(group):
        raise NotLayerwiseError("a parameter is used by more than one module")
    missed = [part.missed([by_parameter[parameter] for parameter in part.parameters]) for part in parts]
    missed += [by_parameter[each].abs().amax().sign() for each in unexplained]
    # What is not a number has no other road either: it is reported as such.
    if bool(torch.stack(missed).amax() > ROUNDING):
        raise NotLayerwiseError("the gradient reaches a parameter other than through the calls of its own module")
    gram = parts[0].gram() if parts else totals[0].new_zeros(B, R, R)
    for part in parts[1:]:
        gram += part.gram()
    elements = None
    if per_element:
        variances = {parameter: torch.zeros_like(total) for parameter, total in by_parameter.items()}
        for part in parts:
            variances |= zip(part.parameters, part.element_variances(), strict=True)
        elements = tuple(variances[parameter] for parameter in group)
    gradient = torch.cat([each.reshape(-1) for each in totals]).div_(R)
    return Moments(gram=gram, gradient=gradient, shared=True, element_variances=elements)
