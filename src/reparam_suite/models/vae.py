"""The two models: they differ in their posterior, its prior and what they start from, and in nothing else."""

from collections.abc import Sequence
from typing import final

from reparam_suite.runtime.defaults import lazily
from reparam_suite.estimators import (
    Average,
    Bound,
    GradientEstimator,
    LeaveOneOut,
    Pathwise,
    ScoreFunction,
)
from reparam_suite.models.base import VAE
from reparam_suite.models.likelihoods import Observation
from reparam_suite.models.optimizers import OptimizerSettings
from reparam_suite.models.priors import PriorKind
from reparam_suite.networks import Activation
from reparam_suite.objectives import KL
from reparam_suite.distributions import (
    DiagonalNormal,
    DiscretePosterior,
    FactorizedBernoulli,
    GaussianPosterior,
)


@final
class GaussianVAE(VAE):
    """A VAE with normal latents: Kingma & Welling (2014), arXiv 1312.6114.

    Args:
        num_features: P, numbers in a datum; on the command line it comes from the data.
        observation: what a datum is made of, bits or real numbers; on the command line it comes from the data.
        latent_size: D, number of latents.
        posterior: q(z|x), DiagonalNormal or FullCovarianceNormal.
        prior: N(0, I), or a factorised normal that is learned.
        estimator: of the gradient, by default Pathwise.
        bound: the objective: Average (the ELBO) or LogMeanExp (importance-weighted).
        kl: how the divergence from the prior enters; by default analytic where estimator and bound admit it.
        kl_weight: of the divergence; other than 1 the objective is no bound.
        kl_warmup_steps: steps over which the weight rises from 0.
        hidden_sizes: widths of the encoder's hidden layers, of the decoder's in reverse; none at all is linear.
        activation: between layers.
        centre_input: whether the encoder sees x minus the mean of the training data.
        initialize_bias: whether the decoder starts from the mean of the training data.
        learning_rate: of every part that names no other.
        optimizer: of the encoder and the decoder.
        prior_optimizer: of a learned prior; by default that of the model.
        control_optimizer: of the estimator's own parameters; by default that of the model.

    Raises:
        ValueError: if an argument is out of range or estimator, posterior, bound and kl do not fit together.
    """

    accepts = (GaussianPosterior,)

    @classmethod
    def default_estimator(cls) -> GradientEstimator:
        """The reparameterization trick."""
        return Pathwise()

    def __init__(
        self,
        *,
        num_features: int = 784,
        observation: Observation = "binary",
        latent_size: int = 10,
        posterior: GaussianPosterior = lazily(DiagonalNormal),
        prior: PriorKind = "fixed",
        estimator: GradientEstimator | None = None,
        bound: Bound = lazily(Average),
        kl: KL | None = None,
        kl_weight: float = 1.0,
        kl_warmup_steps: int = 0,
        hidden_sizes: Sequence[int] = (200, 200),
        activation: Activation = "relu",
        centre_input: bool = False,
        initialize_bias: bool = False,
        learning_rate: float = 1e-3,
        optimizer: OptimizerSettings = OptimizerSettings(),
        prior_optimizer: OptimizerSettings | None = None,
        control_optimizer: OptimizerSettings | None = None,
    ) -> None:
        super().__init__(
            num_features=num_features,
            observation=observation,
            latent_size=latent_size,
            num_layers=1,
            posterior=posterior,
            prior=prior,
            estimator=self.default_estimator() if estimator is None else estimator,
            bound=bound,
            kl=kl,
            kl_weight=kl_weight,
            kl_warmup_steps=kl_warmup_steps,
            hidden_sizes=hidden_sizes,
            activation=activation,
            centre_input=centre_input,
            initialize_bias=initialize_bias,
            learning_rate=learning_rate,
            optimizer=optimizer,
            prior_optimizer=prior_optimizer,
            control_optimizer=control_optimizer,
        )


@final
class DiscreteVAE(VAE):
    """A VAE with discrete latents, bits or one-hot categoricals, in one stochastic layer or several.

    Args:
        num_features: P, numbers in a datum; on the command line it comes from the data.
        observation: what a datum is made of, bits or real numbers; on the command line it comes from the data.
        latent_size: D, number of latents in a layer.
        num_layers: stochastic layers, q(z1|x) q(z2|z1) .. below p(z1|z2) .. p(z_top); each has a copy of the estimator,
            which a layer calls once for each sample of the one below.
        posterior: q(z|x), FactorizedBernoulli or FactorizedCategorical.
        prior: uniform, or factorised and learned.
        estimator: of the gradient, by default ScoreFunction with four samples and LeaveOneOut.
        bound: the objective: Average (the ELBO) or LogMeanExp (importance-weighted).
        kl: how the divergence from the prior enters; by default analytic where estimator and bound admit it.
        kl_weight: of the divergence; other than 1 the objective is no bound.
        kl_warmup_steps: steps over which the weight rises from 0.
        hidden_sizes: widths of the encoder's hidden layers, of the decoder's in reverse; none at all is linear.
        activation: between layers.
        centre_input: whether the encoder sees x minus the mean of the training data, and the decoder -1 and 1 for bits.
        initialize_bias: whether the decoder starts from the mean of the training data.
        learning_rate: of every part that names no other.
        optimizer: of the encoder and the decoder.
        prior_optimizer: of a learned prior; by default that of the model.
        control_optimizer: of the estimator's own parameters; by default that of the model.

    Raises:
        ValueError: if an argument is out of range or estimator, posterior, bound and kl do not fit together.
    """

    accepts = (DiscretePosterior,)

    @classmethod
    def default_estimator(cls) -> GradientEstimator:
        """The leave-one-out score function, which fits every discrete posterior and both bounds."""
        return ScoreFunction(num_samples=4, baseline=LeaveOneOut())

    def __init__(
        self,
        *,
        num_features: int = 784,
        observation: Observation = "binary",
        latent_size: int = 200,
        num_layers: int = 1,
        posterior: DiscretePosterior = lazily(FactorizedBernoulli),
        prior: PriorKind = "fixed",
        estimator: GradientEstimator | None = None,
        bound: Bound = lazily(Average),
        kl: KL | None = None,
        kl_weight: float = 1.0,
        kl_warmup_steps: int = 0,
        hidden_sizes: Sequence[int] = (200, 200),
        activation: Activation = "relu",
        centre_input: bool = False,
        initialize_bias: bool = False,
        learning_rate: float = 1e-3,
        optimizer: OptimizerSettings = OptimizerSettings(),
        prior_optimizer: OptimizerSettings | None = None,
        control_optimizer: OptimizerSettings | None = None,
    ) -> None:
        super().__init__(
            num_features=num_features,
            observation=observation,
            latent_size=latent_size,
            num_layers=num_layers,
            posterior=posterior,
            prior=prior,
            estimator=self.default_estimator() if estimator is None else estimator,
            bound=bound,
            kl=kl,
            kl_weight=kl_weight,
            kl_warmup_steps=kl_warmup_steps,
            hidden_sizes=hidden_sizes,
            activation=activation,
            centre_input=centre_input,
            initialize_bias=initialize_bias,
            learning_rate=learning_rate,
            optimizer=optimizer,
            prior_optimizer=prior_optimizer,
            control_optimizer=control_optimizer,
        )
