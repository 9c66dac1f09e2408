"""Models of version 0.1.0: the options of GaussianVAE and DiscreteVAE, in their present form."""

from collections.abc import Mapping
from typing import Any

from reparam_suite.runtime.plain_data import CLASS_PATH, INIT_ARGS
from reparam_suite.versions.classes import class_name, renamed
from reparam_suite.versions.errors import EarlierVersionError

MODELS = ("GaussianVAE", "DiscreteVAE")
"""The models of version 0.1.0."""

# Options of the same name and meaning.
_KEPT = (
    *("latent_size", "num_layers", "prior", "hidden_sizes", "activation"),
    *("centre_input", "initialize_bias", "learning_rate"),
)
_TRANSLATED = (
    *("num_features", "observation", "posterior", "estimator", "bound", "kl", "kl_weight", "kl_warmup_steps"),
    *("optimizer", "prior_optimizer", "control_optimizer"),
)

_LIKELIHOODS = {"binary": "BernoulliLikelihood", "real": "NormalLikelihood"}
"""By what a datum was made of."""

_ADAM: Mapping[str, Any] = {"name": "Adam", "learning_rate": None, "options": {}}


def model_description(data: Mapping[str, Any]) -> dict[str, Any]:
    """Class path and arguments of a model, in their present form.

    Args:
        data: class path and arguments as version 0.1.0 wrote them; num_features and observation may be missing.

    Raises:
        EarlierVersionError: if it is another model, or an option is none of 0.1.0's.
    """
    name, given = class_name(data), dict(data.get(INIT_ARGS) or {})
    if name not in MODELS:
        raise EarlierVersionError(f"model: expected {' or '.join(MODELS)} of version 0.1.0, got {name or 'none'}")
    if unknown := sorted(set(given) - {*_KEPT, *_TRANSLATED}):
        raise EarlierVersionError(f"model: expected options of {name} of version 0.1.0, got {', '.join(unknown)}")
    arguments = {key: given[key] for key in _KEPT if key in given}
    arguments |= {key: renamed(given[key]) for key in ("posterior", "estimator") if key in given}
    arguments |= {"objective": _objective(given), "optimizer": _optimizer(given)}
    if "num_features" in given:
        arguments["event_shape"] = [given["num_features"]]
    if (observation := given.get("observation")) is not None:
        arguments["likelihood"] = likelihood(observation)
    return {CLASS_PATH: f"reparam_suite.models.{name}", INIT_ARGS: arguments}


def likelihood(observation: Any) -> dict[str, Any]:
    """The family of p(x|z) of data that are "binary" or "real".

    Raises:
        EarlierVersionError: if they are neither.
    """
    if observation not in _LIKELIHOODS:
        raise EarlierVersionError(f"model: expected observation {' or '.join(_LIKELIHOODS)}, got {observation}")
    return _object("distributions", _LIKELIHOODS[observation])


def _objective(given: Mapping[str, Any]) -> dict[str, Any]:
    bound = given.get("bound")
    if class_name(bound) in ("", "Average"):
        weights = {"weight": given.get("kl_weight", 1.0), "warmup_steps": given.get("kl_warmup_steps", 0)}
        return _object("objectives", "ELBO", kl=given.get("kl") or "auto", **weights, free_bits=0.0)
    return _object("objectives", "ImportanceWeighted", bound=renamed(bound))


def _optimizer(given: Mapping[str, Any]) -> Any:
    """None for Adam everywhere; settings of all parts; or settings by part, where 0.1.0 had several."""
    first = given.get("optimizer") or _ADAM
    own = {part: given.get(f"{part}_optimizer") for part in ("prior", "control")}
    if any(own.values()):
        return {part: dict(own.get(part) or first) for part in ("encoder", "decoder", "prior", "control")}
    return None if first == _ADAM else _object("models", "OptimizerSettings", **first, schedule=None)


def _object(room: str, name: str, /, **arguments: Any) -> dict[str, Any]:
    return {CLASS_PATH: f"reparam_suite.{room}.{name}", INIT_ARGS: arguments}
