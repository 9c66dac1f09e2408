"""A convolutional VAE: encoder and decoder are ordinary PyTorch modules, everything else comes from the suite.

The encoder maps images `[B, 1, 8, 8]` to the parameters of q(z|x), here loc and raw scale of each latent; the decoder
maps latents `[B, D]` to the logits of an image. Both see one batch axis, however many samples an estimator draws.
"""

from torch import Tensor, nn

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.estimators import StickTheLanding
from reparam_suite.figures import reconstructions, samples
from reparam_suite.models import GaussianVAE

MAX_STEPS = 400
LATENT_SIZE = 8


class ResidualBlock(nn.Module):
    """x + conv(act(norm(x))), with as many channels out as in."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        # Group norm treats every image by itself. Batch norm would make the gradient of one datum depend on the others.
        self.change = nn.Sequential(nn.GroupNorm(4, channels), nn.GELU(), nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.change(x)


class Encoder(nn.Sequential):
    """Images `[B, 1, 8, 8]` -> `[B, 2 D]`: all loc, then all raw scales."""

    def __init__(self, *, latent_size: int, channels: int = 16) -> None:
        super().__init__(
            nn.Conv2d(1, channels, 4, stride=2, padding=1),  # [B, 16, 4, 4]
            ResidualBlock(channels=channels),
            nn.Flatten(),
            nn.Linear(channels * 16, 2 * latent_size),
        )


class Decoder(nn.Sequential):
    """Latents `[B, D]` -> logits of images `[B, 1, 8, 8]`."""

    def __init__(self, *, latent_size: int, channels: int = 16) -> None:
        super().__init__(
            nn.Linear(latent_size, channels * 16),
            nn.Unflatten(-1, (channels, 4, 4)),
            ResidualBlock(channels=channels),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, 1, 3, padding=1),
        )


def make_model() -> GaussianVAE:
    """Returns the VAE; parts whose sizes do not fit together are refused here, with both sizes in the message."""
    return GaussianVAE(
        event_shape=(1, 8, 8),
        latent_size=LATENT_SIZE,
        encoder=Encoder(latent_size=LATENT_SIZE),
        decoder=Decoder(latent_size=LATENT_SIZE),
        learning_rate=3e-3,
        estimator=StickTheLanding(num_samples=2),
    )


if __name__ == "__main__":
    data = Digits(event_shape=(1, 8, 8))
    result = Run(make_model, data, max_steps=MAX_STEPS).fit()
    print(f"test ELBO: {result.metrics['test/elbo']:.2f} nats")
    for part in ("encoder", "decoder"):
        print(f"gradient variance of the {part}: {result.metrics[f'grad/{part}/variance']:.3g} nats^2")

    images = data.sample_batch("test")  # [B, 1, 8, 8]: images keep their shape everywhere
    reconstructions(result.model, images).savefig("reconstructions.png")
    samples(result.model, 32).savefig("samples.png")
