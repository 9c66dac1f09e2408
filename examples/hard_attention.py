"""A model that is no VAE: hard attention picks one patch of a digit, and a classifier sees nothing else.

A coarse view of the image gives q(z|x), a categorical distribution over nine places. The expectation is that of
log p(label | patch at z). The choice is discrete, so its gradient needs an estimator; any that fits a categorical
distribution serves, and exact enumeration is the reference.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.utils.data import DataLoader, TensorDataset

from reparam_suite import Run, compare_gradients
from reparam_suite.data import Loaders
from reparam_suite.distributions import categorical
from reparam_suite.estimators import Enumeration, Expectation, GradientEstimator, LeaveOneOut, ScoreFunction
from reparam_suite.models import EstimatorModule, OptimizerSettings

MAX_STEPS = 600
Batch = tuple[Tensor, Tensor]


class HardAttention(EstimatorModule):
    """Nine overlapping patches of 4 x 4 pixels; z `[K, B, 1, 9]` is one-hot and picks one of them."""

    def __init__(self, *, estimator: GradientEstimator) -> None:
        super().__init__(estimator=estimator, optimizer=OptimizerSettings(name="Adam", learning_rate=3e-3))
        self.attention = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 9))
        self.classifier = nn.Sequential(nn.Linear(16 + 9, 128), nn.ReLU(), nn.Linear(128, 10))

    def place(self, image: Tensor) -> Distribution:
        """q(z|x) from the mean brightness of the four quadrants: batch_shape `[B]`, event_shape `[1, 9]`."""
        quadrants = F.avg_pool2d(image, 4).flatten(1)  # [B, 4]
        return categorical(self.attention(quadrants).unflatten(-1, (1, 9)))

    def class_logits(self, image: Tensor, z: Tensor) -> Tensor:
        """Logits of the ten classes, `[K, B, 10]`, from the chosen patch and its place."""
        patches = F.unfold(image, kernel_size=4, stride=2)  # [B, 16, 9]
        chosen = z.squeeze(-2)
        return self.classifier(torch.cat([torch.einsum("bpn,kbn->kbp", patches, chosen), chosen], dim=-1))

    def expectation(self, batch: Batch) -> Expectation:
        """E_q[log p(label | patch)]."""
        image, label = batch

        def f(z: Tensor, _: object) -> Tensor:
            log_p = self.class_logits(image, z).log_softmax(-1)
            return log_p[..., torch.arange(len(label)), label]  # [K, B]

        return Expectation(q=self.place(image), f=f, context=image.flatten(1))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs the accuracy at the most probable place; what `self.log` takes is on record."""
        image, label = batch
        z = F.one_hot(self.place(image).mean.argmax(-1), 9).float()
        predicted = self.class_logits(image, z.unsqueeze(0)).argmax(-1).squeeze(0)
        self.log("val/accuracy", (predicted == label).float().mean())


def make_model() -> HardAttention:
    """Returns the model with the estimator that it is trained with."""
    return HardAttention(estimator=ScoreFunction(num_samples=4, baseline=LeaveOneOut()))


def make_loaders() -> Loaders:
    """Returns batches (image, label), which reach `expectation` as they are."""
    digits = load_digits()
    rows = TensorDataset(torch.tensor(digits.images[:, None] / 16.0, dtype=torch.float32), torch.tensor(digits.target))
    train, valid = torch.utils.data.random_split(rows, [1_400, 397], generator=torch.Generator().manual_seed(0))
    return Loaders(
        train=DataLoader(train, batch_size=100, shuffle=True), valid=DataLoader(valid, batch_size=397), name="digits"
    )


if __name__ == "__main__":
    # The largest value of the monitored metric decides which weights are kept.
    result = Run(make_model, make_loaders(), max_steps=MAX_STEPS // 2, monitor="val/accuracy").fit()
    print(f"accuracy after {result.num_steps} steps: {result.metrics['val/accuracy_best']:.3f}")

    # The same run, trained for longer. Model and data are given again: a script's own are not made from the record.
    longer = Run.resume(result.run_id, model=make_model, data=make_loaders(), max_steps=MAX_STEPS).fit()
    print(f"accuracy after {longer.num_steps} steps: {longer.metrics['val/accuracy_best']:.3f}")

    batch = next(iter(make_loaders().train_dataloader()))
    comparison = compare_gradients(longer.model, batch, [Enumeration(), longer.model.estimator])
    print(comparison.frame[["variance", "standard_error", "evaluations", "ms"]].to_string(float_format="{:.3g}".format))
