"""Score functions controlled by a relaxation of f: REBAR and RELAX.

With z = phi + noise the perturbed logits, b the corner that they select, c a differentiable function of z and E[. | b]
the mean over what z is given b:

    grad E f(b) = E[(f(b) - c(z)) grad log q(b) + grad c(z(phi)) - grad c(z(phi) | b)]

where both gradients are pathwise, the second at the z that has its value given b. Taken at the same z, the two differ
by the weight dz/dphi - dz/dphi|_b alone, which is known in closed form: one evaluation of c serves both.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution

from reparam_suite.distributions import OneHotCategorical, family
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, carry, only_through, slopes
from reparam_suite.estimators.bounds import Average
from reparam_suite.estimators.relaxation import hardened, relaxation_noise, softened
from reparam_suite.estimators.shapes import Values
from reparam_suite.runtime.checks import integers, number


def conditional_weight(q: Distribution, perturbed: Tensor, noise: Tensor) -> Tensor:
    """How much more z moves with its logit than it does when the corner that it selects is given, in [0, 1].

    d z / d logit - d (z | b) / d logit. Bits, u = sigmoid(noise): (1 - p) / u for b = 1 and p / (1 - u) for b = 0.
    One-hot, by the log-probabilities: exp(z_c - max z).
    """
    if family(q) is Bernoulli:
        sign = torch.where(perturbed > 0, 1.0, -1.0)
        # z > 0 where noise > -logit, so that the quotient is at most 1; rounding is kept from lifting it.
        return (F.logsigmoid(-sign * latents.logits_of(q)) - F.logsigmoid(sign * noise)).clamp_max(0.0).exp()
    return (perturbed - perturbed.amax(-1, keepdim=True)).exp()


class ControlledScore(GradientEstimator, ABC):
    """An estimator whose score function is controlled by f at a relaxed sample.

    Args:
        num_samples: K, samples per datum.
        temperature: of the relaxed sample when training begins.
        strength: what the control is multiplied with when training begins.
    """

    bounds = (Average,)
    differentiates_f = True
    unbiased = True

    def __init__(self, *, num_samples: int, temperature: float, strength: float) -> None:
        super().__init__(num_samples=num_samples)
        self.temperature = number(f"temperature of {type(self).__name__}", temperature, above=0.0)
        self.strength = number(f"strength of {type(self).__name__}", strength)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(self.temperature)))
        self.learned_strength = nn.Parameter(torch.tensor(self.strength))

    def fits(self, q: Distribution) -> str | None:
        """D independent bits or one-hot latents."""
        return latents.bits_or_one_hot(q)

    def evaluations(self, q: Distribution) -> int:  # noqa: ARG002
        """K hard samples and K relaxed ones."""
        return 2 * self.num_samples

    def draw(self, q: Distribution) -> Tensor:
        """The noise of K samples, shaped as the logits, `[K, *B, D]` or `[K, *B, D, C]`."""
        return relaxation_noise(q, self.num_samples)

    @abstractmethod
    def control(self, target: Expectation, z: Tensor) -> Values:
        """c(z) at perturbed logits, `[K, *B]`."""

    def relaxed_values(self, target: Expectation, z: Tensor) -> Values:
        """f at the relaxed sample of perturbed logits, times the learned strength."""
        logits = latents.logits_of(target.q)
        relaxed = softened(target.q, z, self.log_temperature.exp()).to(logits.dtype)
        return self.learned_strength * target.values(relaxed)

    @torch.compiler.disable(reason="f is differentiated twice, which what torch.compile makes cannot be")
    def estimate(self, target: Expectation) -> Estimate:
        """The bound at hard samples, carrying the controlled gradient; the estimators of K samples are averaged."""
        q = target.q
        logits = latents.logits_of(q)
        event = tuple(range(-len(q.event_shape), 0))
        with torch.no_grad():
            noise = self.draw(q)
            z = logits + noise
            hard = hardened(q, z).to(logits.dtype)
            weight = conditional_weight(q, z, noise)
            score = hard - q.mean
        f = target.values(hard)
        learns = self.training and any(parameter.requires_grad for parameter in self.parameters())
        with torch.enable_grad():
            z.requires_grad_()
            control = self.control(target, z)
            slope = slopes(control, z, create_graph=learns)
            signal = (f.detach() - control)[(..., *(None,) * len(event))]
            gradient = signal * score + slope * weight
            if family(q) is OneHotCategorical:
                # With respect to the logits: what moves all log-probabilities of a latent alike moves nothing.
                gradient = gradient - q.mean.detach() * gradient.sum(-1, keepdim=True)
        control_loss = gradient.square().sum(event).mean()
        path = (gradient.detach().mean(0) * logits).sum(event)
        return Estimate(
            objective=target.bound.value(f) + carry(path),
            control_loss=only_through(control_loss, self.parameters() if learns else ()),
        )


@final
class REBAR(ControlledScore):
    """The score function controlled by a relaxed sample of the same noise, unbiased at any temperature.

    (f(b) - s c(z)) (b - pi) + s (dz/dphi - dz/dphi|_b) dc/dz,  c(z) = f(softmax(z / temperature))         [*B, D]

    The mean of K independent estimates. Unbiased; discrete; f differentiable inside the simplex. 2 K evaluations of f,
    not 3 K: the relaxed sample given b shares its noise with the other, and is then the same point. Learns temperature
    and strength s by the gradient of its squared gradient; strength 0 is ScoreFunction.
    Tucker, Mnih, Maddison, Lawson & Sohl-Dickstein (2017), arXiv 1703.07370, section 3.

    Args:
        num_samples: K, samples per datum.
        temperature: of the relaxed sample when training begins, above 0. On VAEs trained on the digits, with 8, 32 and
            200 bits and 8 x 4 classes, the encoder's variance at the default is at most 1.3 times that at the best of
            0.1, 0.2, 0.35, 0.5, .., 2; at 0.1 and at 0.5 it is up to twice.
        strength: of the control when training begins.

    Raises:
        ValueError: if `num_samples` is below 1 or `temperature` is not positive.
    """

    def __init__(self, *, num_samples: int = 1, temperature: float = 0.2, strength: float = 1.0) -> None:
        super().__init__(num_samples=num_samples, temperature=temperature, strength=strength)

    def control(self, target: Expectation, z: Tensor) -> Values:
        """f at the relaxed sample, times the strength."""
        return self.relaxed_values(target, z)


@final
class RELAX(ControlledScore):
    """REBAR with a learned network beside the relaxed f.

    (f(b) - c(z)) (b - pi) + (dz/dphi - dz/dphi|_b) dc/dz,  c(z) = s f(softmax(z / temperature)) + r(z)        [*B, D]

    The mean of K independent estimates. Unbiased; discrete; f differentiable inside the simplex. 2 K evaluations of f.
    Learns temperature, strength s and the network r by the gradient of its squared gradient.
    Grathwohl, Choi, Wu, Roeder & Duvenaud (2018), arXiv 1711.00123, section 3.

    Args:
        num_samples: K, samples per datum.
        temperature: of the relaxed sample when training begins, above 0. On VAEs trained on the digits, with 8, 32 and
            200 bits and 8 x 4 classes, the encoder's variance at the default is at most 1.3 times that at the best of
            0.1, 0.2, 0.35, 0.5, .., 2; at 0.1 and at 0.5 it is up to twice.
        strength: of the relaxed f when training begins.
        hidden_sizes: widths of the hidden layers of r.

    Raises:
        ValueError: if `num_samples` is below 1 or `temperature` is not positive.
    """

    def __init__(
        self,
        *,
        num_samples: int = 1,
        temperature: float = 0.2,
        strength: float = 1.0,
        hidden_sizes: Sequence[int] = (100,),
    ) -> None:
        super().__init__(num_samples=num_samples, temperature=temperature, strength=strength)
        self.hidden_sizes = integers(f"hidden_sizes of {type(self).__name__}", hidden_sizes, least=1)
        layers: list[nn.Module] = []
        for size in self.hidden_sizes:
            layers += [nn.LazyLinear(size), nn.Tanh()]
        self.network = nn.Sequential(*layers, nn.LazyLinear(1))

    def control(self, target: Expectation, z: Tensor) -> Values:
        """f at the relaxed sample, times the strength, and the network at the perturbed logits, masked ones limited."""
        residual: Tensor = self.network(z.clamp(-100.0, 100.0).flatten(-len(target.q.event_shape)))
        return self.relaxed_values(target, z) + residual.squeeze(-1)
