"""Transforms of TransformedDistribution: the tensors in them, and whether their inverse may be remembered.

A transform with a cache returns, for the very tensor that it gave out last, the input that it made it from instead of
the inverse. The inverse depends on the transform's parameters, a remembered input does not: the gradient of log q(z)
at a fixed z would be wrong, silently. Transforms without parameters are free of this.
"""

from collections.abc import Iterator

from torch import Tensor
from torch.distributions import Distribution, Independent, TransformedDistribution, transforms
from torch.distributions.transforms import Transform

_WITHOUT_PARAMETERS = (
    transforms.AbsTransform,
    transforms.CorrCholeskyTransform,
    transforms.ExpTransform,
    transforms.LowerCholeskyTransform,
    transforms.PositiveDefiniteTransform,
    transforms.ReshapeTransform,
    transforms.SigmoidTransform,
    transforms.SoftmaxTransform,
    transforms.SoftplusTransform,
    transforms.StickBreakingTransform,
    transforms.TanhTransform,
)
_WITH_TENSORS = (transforms.AffineTransform, transforms.PowerTransform)


def parts_of(transform: Transform) -> list[Transform]:
    """The transforms that `transform` is composed of; itself if it is composed of none."""
    if isinstance(transform, transforms.ComposeTransform):
        inner = list(transform.parts)
    elif isinstance(transform, transforms.IndependentTransform):
        inner = [transform.base_transform]
    elif isinstance(transform, transforms.CatTransform | transforms.StackTransform):
        inner = list(transform.transforms)
    elif type(transform) is type(transforms.ExpTransform().inv):
        inner = [transform.inv]
    else:
        return [transform]
    return [part for transform in inner for part in parts_of(transform)]


def tensors_of(transform: Transform) -> Iterator[tuple[str, Tensor]]:
    """The floating-point tensors that `transform` holds, by name; those of the parts of a composed one by place."""
    parts = parts_of(transform)
    for index, part in enumerate(parts):
        for name, value in vars(part).items():
            if isinstance(value, Tensor) and value.is_floating_point():
                yield (name if len(parts) == 1 else f"{index}.{name}"), value


def has_constant_transforms(q: Distribution) -> bool:
    """Whether `q` is transformed by transforms of PyTorch's alone, none of which carries a gradient."""
    while isinstance(q, Independent):
        q = q.base_dist
    if not isinstance(q, TransformedDistribution):
        return False
    parts = [part for transform in q.transforms for part in parts_of(transform)]
    of_torch = all(type(part) in _WITHOUT_PARAMETERS or type(part) in _WITH_TENSORS for part in parts)
    return of_torch and not any(value.requires_grad for part in parts for _, value in tensors_of(part))


def may_remember(q: Distribution) -> bool:
    """Whether the gradient of log q(z) at a fixed z is right where transforms of `q` remember what z was made from."""
    while isinstance(q, Independent):
        q = q.base_dist
    return not isinstance(q, TransformedDistribution) or (has_constant_transforms(q) and may_remember(q.base_dist))
