"""`check_distribution`: what estimators ask of a distribution, as a test of anyone's."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import frozen, is_reparameterized, parameters, score_term
from reparam_suite.testing.assertions import expect, shown
from reparam_suite.testing.densities import units_of
from reparam_suite.testing.sampling import check_means, check_path_gradient
from reparam_suite.testing.statistics import NUM_REPLICATES, SEED

Maker = Callable[..., Distribution]

# The error of central differences in float64 is of the order of step^2 and of 1e-16 / step.
_STEP = 1e-5
_TOLERANCE = 1e-6
_NUM_VALUES = 20


def check_distribution(make: Maker, *arguments: Tensor, num_samples: int = NUM_REPLICATES) -> None:
    """Checks what estimators ask of a distribution, PyTorch's or anyone's.

    Shapes and dtypes; the gradient of log_prob with respect to the arguments is that of finite differences; log_prob
    and rsample depend on each tensor of `parameters(q)`; `frozen(q)` has the values of log_prob, its gradient with
    respect to z and no other; `score_term` has the gradient of log_prob; probabilities sum to one; samples follow
    log_prob; samples that are reparameterized carry the gradient of their mean.

    Means over samples are compared at |z| < 5.5 standard errors: with sums over all values where they can be
    enumerated, with quadrature where what `Independent` holds has at most two dimensions. In more dimensions the sum of
    probabilities is E_q[p(z) / q(z)] for normal p, and the gradient that of the score function.

    Example: `check_distribution(lambda loc, scale: Independent(Logistic(loc, scale), 1), loc, scale)`

    Args:
        make: returns the distribution, batch_shape `[B]`, from the arguments. It is called with repeated and with
            shifted arguments in float64: modules that it uses must be in float64.
        arguments: the tensors that the distribution is made from, `[B, ...]` each; B of two or three is enough.
        num_samples: samples at a time. Of gradients more are drawn, up to 25 times as many, until an error of 3 %
            would show.

    Raises:
        AssertionError: saying what is wrong, and by how many standard errors.
    """
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        _check_shapes(make, arguments)
        arguments = tuple(argument.detach().double() for argument in arguments)
        _check_density_gradient(make, arguments)
        _check_parameters(make, arguments)
        _check_frozen(make, arguments)
        _check_score(make, arguments)
        check_means(make(*arguments), num_samples)
        if arguments and is_reparameterized(make(*arguments)):
            check_path_gradient(make, arguments, num_samples)


def _leaves(arguments: Sequence[Tensor]) -> list[Tensor]:
    return [argument.detach().clone().requires_grad_() for argument in arguments]


def name_of(q: Distribution) -> str:
    """The class of the distribution, `Independent` taken off."""
    return type(units_of(q)).__name__


def _check_shapes(make: Maker, arguments: Sequence[Tensor]) -> None:
    q = make(*_leaves(arguments))
    expect(isinstance(q, Distribution), "make", "a torch.distributions.Distribution", type(q).__name__)
    name, batch, event = name_of(q), tuple(q.batch_shape), tuple(q.event_shape)
    wrap = "at least one axis: wrap it in torch.distributions.Independent(q, 1)"
    expect(len(event) > 0, f"event_shape of {name}", wrap, f"none, and batch_shape {batch}")
    if arguments:
        rows = (len(arguments[0]),)
        expect(batch == rows, f"batch_shape of {name}", f"{rows}, the rows of its arguments", batch)
    draws = {"sample": q.sample} | ({"rsample": q.rsample} if is_reparameterized(q) else {})
    for method, draw in draws.items():
        z = draw(torch.Size([3]))
        shape = (3, *batch, *event)
        expect(tuple(z.shape) == shape, f"{method}((3,)) of {name}", f"shape {shape}", tuple(z.shape))
        carries = method == "rsample" and bool(arguments)
        expected = "a gradient" if carries else "no gradient: that is for rsample"
        expect(z.requires_grad == carries, f"{method} of {name}", expected, "one" if z.requires_grad else "none")
        log_q = q.log_prob(z)
        expect(tuple(log_q.shape) == (3, *batch), f"log_prob of {name}", f"shape {(3, *batch)}", tuple(log_q.shape))
        expect(bool(log_q.isfinite().all()), f"log_prob of {name} at its samples", "finite numbers", shown(log_q))
        for what, value in {method: z, "log_prob": log_q}.items():
            if arguments:
                dtype = arguments[0].dtype
                expect(value.dtype == dtype, f"{what} of {name}", f"{dtype}, as its arguments", value.dtype)


def _check_density_gradient(make: Maker, arguments: Sequence[Tensor]) -> None:
    # Along one random direction in each argument, at values of z that stay where they are.
    leaves = _leaves(arguments)
    z = make(*arguments).sample(torch.Size([_NUM_VALUES]))
    weight = torch.rand((_NUM_VALUES, len(z[0])), dtype=torch.float64) + 0.5
    log_q = make(*leaves).log_prob(z)
    for index, leaf in enumerate(leaves):
        direction = torch.randn_like(leaf)
        ends = []
        for sign in (1.0, -1.0):
            shifted = list(arguments)
            shifted[index] = leaf.detach() + sign * _STEP * direction
            ends.append((weight * make(*shifted).log_prob(z)).sum())
        expected = ((ends[0] - ends[1]) / (2.0 * _STEP)).item()
        (gradient,) = _gradients(weight * log_q, [leaf])
        slopes = torch.zeros_like(leaf) if gradient is None else gradient * direction
        got, scale = slopes.sum().item(), slopes.abs().sum().item()
        same = abs(got - expected) <= _TOLERANCE * max(1.0, scale, abs(expected))
        subject = f"gradient of log_prob of {name_of(make(*arguments))} along argument {index}"
        expect(same, subject, f"{expected:.6g} by finite differences", f"{got:.6g}")


def _check_parameters(make: Maker, arguments: Sequence[Tensor]) -> None:
    q = make(*_leaves(arguments))
    named = {name: value for name, value in parameters(q).items() if value.requires_grad}
    values = {"log_prob": q.log_prob(q.sample(torch.Size([_NUM_VALUES]))).sum()}
    if is_reparameterized(q):
        z = q.rsample(torch.Size([_NUM_VALUES]))
        values["rsample"] = (z * torch.rand_like(z)).sum()
    for method, value in values.items():
        found = _gradients(value, list(named.values()))
        for name, gradient in zip(named, found, strict=True):
            subject = f"{method} of {name_of(q)}"
            expect(
                gradient is not None,
                subject,
                f"to be computed from the tensor that parameters(q) names {name}",
                "no gradient",
            )


def _check_frozen(make: Maker, arguments: Sequence[Tensor]) -> None:
    leaves = _leaves(arguments)
    q = make(*leaves)
    # A copy: of the very tensor that was drawn a transform remembers the inverse, through which no gradient goes.
    z = q.sample(torch.Size([_NUM_VALUES])).clone().requires_grad_()
    log_q, still = q.log_prob(z), frozen(q).log_prob(z)
    subject = f"frozen(q).log_prob of {name_of(q)}"
    difference = f"a difference of {(still - log_q).abs().max().item():.4g}"
    expect(torch.allclose(still, log_q, rtol=1e-9, atol=1e-9), subject, "the values of log_prob", difference)
    wanted, found = _gradients(log_q, [z]), _gradients(still, [z, *leaves])
    for index, gradient in enumerate(found[1:]):
        leaked = 0.0 if gradient is None else gradient.abs().max().item()
        expect(leaked == 0.0, subject, f"no gradient with respect to argument {index}", f"{leaked:.4g}")
    if wanted[0] is None:  # one-hot samples of PyTorch's, whose log_prob takes the argmax of z
        return
    by_z = torch.zeros_like(z) if found[0] is None else found[0]
    change = f"a difference of {(by_z - wanted[0]).abs().max().item():.4g}"
    same = torch.allclose(by_z, wanted[0], rtol=1e-8, atol=1e-8)
    expect(same, subject, "the gradient of log_prob with respect to z", change)


def _gradients(values: Tensor, inputs: Sequence[Tensor]) -> Sequence[Tensor | None]:
    # None where the values do not depend on an input.
    if not values.requires_grad or not inputs:
        return [None] * len(inputs)
    return torch.autograd.grad(values.sum(), list(inputs), retain_graph=True, allow_unused=True)


def _check_score(make: Maker, arguments: Sequence[Tensor]) -> None:
    first, second = _leaves(arguments), _leaves(arguments)
    q, other = make(*first), make(*second)
    z = q.sample(torch.Size([_NUM_VALUES]))
    credit = torch.randn((_NUM_VALUES, *q.batch_shape), dtype=torch.float64)
    wanted = _gradients(credit * q.log_prob(z), first)
    found = _gradients(score_term(other, z, credit), second)
    for index, (leaf, *pair) in enumerate(zip(first, wanted, found, strict=True)):
        expected, got = (torch.zeros_like(leaf) if gradient is None else gradient for gradient in pair)
        change = f"a difference of {(expected - got).abs().max().item():.4g}"
        same = torch.allclose(expected, got, rtol=1e-6, atol=1e-8)
        subject = f"gradient of score_term of {name_of(q)} with respect to argument {index}"
        expect(same, subject, "that of log_prob times the credit", change)
