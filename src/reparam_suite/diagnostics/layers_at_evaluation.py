"""Layers that are another function in evaluation mode: running averages are refused, dropout is measured off."""

from torch import nn

_BATCH_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.LazyBatchNorm1d,
    nn.LazyBatchNorm2d,
    nn.LazyBatchNorm3d,
)
_INSTANCE_NORMS = (
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.LazyInstanceNorm1d,
    nn.LazyInstanceNorm2d,
    nn.LazyInstanceNorm3d,
)
_DROPOUTS = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)


def layers_off(model: nn.Module) -> tuple[str, ...]:
    """The names of the dropout layers, which are off while gradients are measured.

    Raises:
        ValueError: naming the layer, if there is batch norm, or instance norm with running averages.
    """
    off = []
    for name, module in model.named_modules():
        if isinstance(module, _BATCH_NORMS):
            raise ValueError(
                f"gradient statistics: expected a model without batch norm, got {type(module).__name__} at {name}; "
                "in evaluation mode, in which gradients are measured, it is another function than the one that is "
                "trained: GroupNorm and LayerNorm, which normalise within a datum, are not"
            )
        if isinstance(module, _INSTANCE_NORMS) and module.track_running_stats:
            raise ValueError(
                f"gradient statistics: expected a model without running averages, got {type(module).__name__} with "
                f"track_running_stats at {name}; in evaluation mode, in which gradients are measured, it is another "
                "function than the one that is trained: without them it is not"
            )
        if isinstance(module, _DROPOUTS) and module.p > 0.0:
            off.append(name)
    return tuple(off)
