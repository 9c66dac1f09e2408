"""The parameters of q(z|x) on the way to an objective: their names, their rows, copies of q made from leaves."""

from collections.abc import Callable, Container

from torch import Tensor
from torch.distributions import Distribution, Independent

from reparam_suite.distributions import OneHotCategorical, family, parameters, rebuilt


def carriers(q: Distribution) -> dict[str, Tensor]:
    """The parameters of `q` that are in the graph, by name."""
    return {name: value for name, value in parameters(q).items() if value.requires_grad}


def of_each_datum(q: Distribution) -> dict[str, Tensor]:
    """The parameters of `q` by name, in the graph: one that all data share, such as a covariance, expanded to rows."""
    base = q
    while isinstance(base, Independent):
        base = base.base_dist
    return {name: getattr(base, name, value) for name, value in parameters(base).items()}


def rows_of(q: Distribution, num_rows: int) -> dict[str, Tensor]:
    """Those of `carriers` that have a row for each of so many data."""
    full = of_each_datum(q)
    return {
        name: value
        for name, value in carriers(q).items()
        if value.dim() and len(value) == num_rows and value.shape == full[name].shape
    }


def from_leaves(q: Distribution, change: Callable[[Tensor], Tensor]) -> tuple[Distribution, dict[str, Tensor]]:
    """`q` made anew from leaves, `change` of `of_each_datum` cut off from the graph; and the leaves by name."""
    leaves = {name: change(value.detach()).requires_grad_() for name, value in of_each_datum(q).items()}
    return rebuilt(q, leaves), leaves


def free_coordinates(q: Distribution, name: str, gradient: Tensor) -> Tensor:
    """The gradient with respect to the parameter `name` of q, along what can vary freely.

    A Cholesky factor has nothing above its diagonal; log-probabilities of classes add up to 1 when exponentiated, and
    the gradient is that with respect to the logits of which they are the normalised ones.
    """
    if name == "scale_tril":
        return gradient.tril()
    if name == "logits" and family(q) is OneHotCategorical:
        return gradient - q.mean.detach() * gradient.sum(-1, keepdim=True)
    return gradient


def key(name: str, groups: Container[str]) -> str:
    """The name of a parameter of q in a result: its own, or `q.NAME` where a part of the model has that name."""
    return f"q.{name}" if name in groups else name
