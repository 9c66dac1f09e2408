"""The shapes of the contract by name: K samples, `*B` any batch shape. The tests enforce them."""

from jaxtyping import Float
from torch import Tensor

Samples = Float[Tensor, "K *event"]
"""z, `[K, *B, D]` or `[K, *B, D, C]`."""

Values = Float[Tensor, "K *B"]
"""One number per sample and datum, in nats."""

PerDatum = Float[Tensor, "*B"]
"""One number per datum, in nats."""

Scalar = Float[Tensor, ""]
