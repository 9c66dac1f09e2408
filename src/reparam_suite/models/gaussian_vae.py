"""A VAE with normal latents."""

from collections.abc import Sequence

from torch import nn

from reparam_suite.distributions.likelihoods import LikelihoodFamily
from reparam_suite.distributions.posteriors import DiagonalNormal, NormalFamily
from reparam_suite.estimators import GradientEstimator, Pathwise
from reparam_suite.models.optimizers import Optimizers
from reparam_suite.models.sized import Network, PriorKind, SizedVAE
from reparam_suite.networks import Activation
from reparam_suite.objectives import Objective


class GaussianVAE(SizedVAE):
    """A VAE with normal latents: Kingma & Welling (2014), arXiv 1312.6114.

    Args:
        event_shape: of a datum; on the command line it comes from the data.
        latent_size: D, number of latents.
        posterior: the family of q(z|x), DiagonalNormal (the default) or FullCovarianceNormal.
        likelihood: the family of p(x|z), by default BernoulliLikelihood; on the command line it comes from the data.
        encoder: x `[B, *event_shape]` -> the parameters of q(z|x): a module, or a builder; by default an MLP.
        decoder: z -> the parameters of p(x|z): a module, or a builder; by default the mirror
            image of the encoder that a builder makes, else an MLP.
        prior: "fixed", N(0, I); "learned", learned from there; or a module () -> p(z).
        objective: what is maximised, (model, x, step) -> Expectation; by default ELBO().
        estimator: of the gradient, by default Pathwise.
        hidden_sizes: widths of the encoder's hidden layers, of the decoder's in reverse; none at all is linear.
        activation: between the layers of an MLP.
        centre_input: whether the encoder sees x minus the mean of the training data.
        initialize_bias: whether the decoder starts from the mean of the training data.
        learning_rate: of every part whose settings name none.
        optimizer: settings for all parts, or by part: encoder, decoder, prior, control.

    Raises:
        TypeError: if a part is no module, builder or family.
        ValueError: if an argument is out of range or parts do not fit together; the message names both sides.
    """

    accepts = (NormalFamily,)

    @classmethod
    def default_estimator(cls) -> GradientEstimator:
        """The reparameterization trick."""
        return Pathwise()

    def __init__(
        self,
        *,
        event_shape: Sequence[int] = (784,),
        latent_size: int = 10,
        posterior: NormalFamily | None = None,
        likelihood: LikelihoodFamily | None = None,
        encoder: Network | None = None,
        decoder: Network | None = None,
        prior: PriorKind | nn.Module = "fixed",
        objective: Objective | None = None,
        estimator: GradientEstimator | None = None,
        hidden_sizes: Sequence[int] = (200, 200),
        activation: Activation = "relu",
        centre_input: bool = False,
        initialize_bias: bool = False,
        learning_rate: float = 1e-3,
        optimizer: Optimizers | None = None,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(arguments, posterior=DiagonalNormal() if posterior is None else posterior)
