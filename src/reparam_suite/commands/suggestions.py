"""The option that was meant by one that does not exist."""

import difflib
from collections.abc import Collection, Iterable

# What options are called elsewhere, and here; the last part of a name alone counts.
_ELSEWHERE = {
    **dict.fromkeys(("epochs", "num_epochs", "n_epochs", "max_epoch"), "trainer.max_epochs"),
    **dict.fromkeys(("steps", "num_steps", "n_steps", "iterations"), "trainer.max_steps"),
    **dict.fromkeys(("gpus", "num_gpus"), "trainer.devices"),
    **dict.fromkeys(("clip", "grad_clip", "gradient_clip"), "trainer.gradient_clip_val"),
    **dict.fromkeys(("lr", "rate", "step_size"), "model.learning_rate"),
    **dict.fromkeys(("optim", "optimiser"), "model.optimizer"),
    **dict.fromkeys(("dim", "latents", "latent_dim", "num_latents", "z_dim", "zdim"), "model.latent_size"),
    **dict.fromkeys(("hidden", "hidden_size", "hidden_dim", "width"), "model.hidden_sizes"),
    **dict.fromkeys(("beta", "kl_weight"), "model.objective.weight"),
    **dict.fromkeys(("warmup", "kl_warmup", "kl_warmup_steps"), "model.objective.warmup_steps"),
    **dict.fromkeys(("loss", "bound"), "model.objective"),
    **dict.fromkeys(("samples", "n_samples", "num_samples", "k"), "model.estimator.num_samples"),
    **dict.fromkeys(("tau", "temp", "temperature"), "model.estimator.temperature"),
    "baseline": "model.estimator.baseline",
    **dict.fromkeys(("bs", "batch", "batchsize", "batch_size"), "data.batch_size"),
    **dict.fromkeys(("dataset", "datamodule"), "data"),
    **dict.fromkeys(("threads", "workers", "num_workers"), "num_threads"),
    **dict.fromkeys(("out", "output", "output_dir", "dir", "save_dir", "root"), "tracking.root"),
    "uri": "tracking.uri",
    "experiment": "tracking.experiment",
    "random_seed": "seed",
}


def meant(name: str, known: Iterable[str]) -> str:
    """The option that an unknown one stands for, as the end of a message; empty if there is none.

    >>> meant("--epochs", ["--trainer.max_epochs", "--seed"])
    ', did you mean --trainer.max_epochs?'

    Args:
        name: as it was typed.
        known: the options that there are.
    """
    options = list(known)
    last = name.lstrip("-").rpartition(".")[2].lower()
    same = [each for each in options if each.rpartition(".")[2].lstrip("-") == last]
    if len(same) == 1:
        return _told(same[0])
    wanted = f"--{_ELSEWHERE.get(last, '')}"
    for known_as in (wanted, f"--{wanted.rpartition('.')[2]}"):  # a study takes the short one alone
        if known_as in options:
            return _told(known_as)
    return nearest(name, options) or nearest(name.partition(".")[0], options)


def meant_of_class(name: str, parents: Collection[str], accepted: Collection[str]) -> str:
    """The same for an argument of a class.

    >>> meant_of_class("lr", ["model"], ["latent_size", "learning_rate"])
    ', did you mean learning_rate?'

    Args:
        name: of the argument.
        parents: the keys of the option that has the class.
        accepted: the arguments of the class.
    """
    own = ".".join(parents)
    wanted = _ELSEWHERE.get(name.lower(), "")
    parent, _, last = wanted.rpartition(".")
    if parent == own and last in accepted:
        return _told(last)
    first = parent.removeprefix(own).strip(".").partition(".")[0]
    if parent.startswith(f"{own}.") and first in accepted:
        return _told(f"--{wanted}")
    return nearest(name, accepted)


def nearest(name: str, known: Iterable[str]) -> str:
    """The name that is spelled most alike, as the end of a message; empty if none is alike."""
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return _told(by_lower[close[0]]) if close else ""


def _told(option: str) -> str:
    return f", did you mean {option}?"
