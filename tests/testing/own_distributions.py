"""Distributions that exist in the tests only."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Distribution, Independent, Normal, constraints

LOC = torch.tensor([[0.7, -1.2], [0.1, 0.4], [-0.6, 2.0]])
SCALE = torch.tensor([[0.8, 1.5], [2.1, 0.4], [1.1, 0.7]])
LOGITS = torch.tensor([[[0.7, -0.5, 0.1], [-0.9, 0.2, 1.1]], [[0.3, 0.2, -1.1], [1.2, -0.4, 0.5]]])


class Logistic(Distribution):
    """Written as PyTorch's documentation says; the methods after the first two are for subclasses with a defect."""

    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape, validate_args=False)

    def noise(self, shape: torch.Size) -> Tensor:
        u = torch.rand(self._extended_shape(shape), dtype=self.loc.dtype)
        return u.clamp(1e-6, 1 - 1e-6).logit()

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self.loc + self.scale * self.noise(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        y = (value - self.loc) / self.scale
        return -y - 2.0 * F.softplus(-y) - self.scale.log()


class Spiral(Distribution):
    """z_1 ~ N(a, 1), z_2 ~ N(z_1^2, b): dependent coordinates on an event axis of its own, no named parameters."""

    has_rsample = True
    support = constraints.real_vector

    def __init__(self, a: Tensor, b: Tensor) -> None:
        self.first, self.width = Normal(a, torch.ones_like(a)), b
        super().__init__(a.shape, torch.Size([2]), validate_args=False)

    @property
    def arg_constraints(self):
        return {}

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        x = self.first.rsample(sample_shape)
        return torch.stack([x, x.square() + self.width * torch.randn_like(x)], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        x, y = value.unbind(-1)
        return self.first.log_prob(x) + Normal(x.square(), self.width).log_prob(y)


class Die(Distribution):
    """A value of {1, 2, 4} with probabilities by softmax of logits `[*B, 3]`: discrete, no family of anyone's."""

    arg_constraints: ClassVar = {"logits": constraints.real_vector}
    support = constraints.integer_interval(1, 4)
    has_enumerate_support = True
    faces = torch.tensor([1.0, 2.0, 4.0])

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(logits.shape[:-1], validate_args=False)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        chosen = TorchCategorical(logits=self.logits.detach()).sample(sample_shape)
        return self.faces.to(self.logits.dtype)[chosen]

    def log_prob(self, value: Tensor) -> Tensor:
        at = (value.unsqueeze(-1) == self.faces).to(self.logits.dtype)
        return (self.logits.log_softmax(-1) * at).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        faces = self.faces.to(self.logits.dtype).reshape(-1, *(1,) * len(self.batch_shape))
        return faces.expand(-1, *self.batch_shape) if expand else faces


def independent(cls):
    return lambda *arguments: Independent(cls(*arguments), 1)
