"""The methods by which a model, a VAE or one like it, is drawn, exported and bounded at the end of a run."""

from typing import Any

from lightning.pytorch import LightningModule

DRAWN_BY = ("encode", "reconstruct")
TRAVERSED_BY = ("encode", "decode", "prior")
EXPORTED_BY = ("decode", "prior")
BOUNDED_BY = ("posterior", "prior", "log_likelihood")


def offers(model: Any, *methods: str) -> bool:
    """Whether the model has all of these methods, or modules of these names."""
    return all(callable(getattr(model, name, None)) for name in methods)


def has_forward(model: LightningModule) -> bool:
    """Whether the model says what it makes of x: LightningModule's own forward refuses."""
    return type(model).forward is not LightningModule.forward


def is_ours(model: LightningModule) -> bool:
    """Whether all code of the model is the suite's or its libraries': an error in it is then a fault of the suite."""
    ours = ("reparam_suite.", "torch.nn.", "torchmetrics.")
    return all(type(module).__module__.startswith(ours) for module in model.modules())
