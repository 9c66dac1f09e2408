"""Weights of version 0.1.0 and the states of their optimizers, under their present names and in their present order."""

from collections.abc import Mapping
from typing import Any, final

from reparam_suite.versions.classes import class_name

_FAMILIES_OF_BITS = ("FactorizedBernoulli",)
_FAMILIES_OF_CLASSES = ("FactorizedCategorical",)  # one-hot: networks flatten them first

# Optimizers of version 0.1.0: the parts of the model that each steps, and the option with its settings.
_PARTS = {
    "model": ("encoder, decoder", "optimizer"),
    "prior": ("prior", "prior_optimizer"),
    "control": ("control", "control_optimizer"),
}


@final
class Names:
    """The present names of the tensors of a model.

    Args:
        options: of the model, as version 0.1.0 wrote them.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        family = class_name(options.get("posterior"))
        self._centred = bool(options.get("centre_input"))
        self._signed = self._centred and family in _FAMILIES_OF_BITS
        self._shift = int(family in _FAMILIES_OF_CLASSES)
        self._from_mean = bool(options.get("initialize_bias"))
        self._prior_is_kept = options.get("prior") == "learned" or family in _FAMILIES_OF_BITS + _FAMILIES_OF_CLASSES

    def of(self, name: str) -> str | None:
        """The present name; None where the present model has no such tensor."""
        root, _, rest = name.partition(".")
        if name == "input_mean":
            return "posterior.network.0.mean" if self._centred else None
        if root == "encoder":
            return f"posterior.network.{'1.' if self._centred else ''}{rest}"
        if root == "decoder":
            return self._of_latents("likelihood", rest, within="0." if self._from_mean else "")
        if root == "likelihood":
            return f"likelihood.family.{rest}"
        return self._of_prior(rest) if root == "prior_network" else name

    def _of_prior(self, name: str) -> str | None:
        root, _, rest = name.partition(".")
        if root == "natural":
            return f"prior.{rest}" if self._prior_is_kept else None
        if root == "prior_network":
            above = self._of_prior(rest)
            return None if above is None else f"prior.{above}"
        if root in ("encoder", "decoder"):
            part = {"encoder": "posterior", "decoder": "likelihood"}[root]
            return f"prior.{self._of_latents(part, rest)}"
        return f"prior.{name}"

    def _of_latents(self, part: str, name: str, within: str = "") -> str:
        # Of a network that latents go into.
        number, _, rest = name.partition(".")
        moved = int(number) + self._shift if number.isdecimal() else number
        return f"{part}.network.{'1.' if self._signed else ''}{within}{moved}.{rest}"

    def of_arrays(self, tensors: Mapping[str, Any]) -> dict[str, str]:
        """The present names of arrays that are recorded for each parameter, `PART/NAME`, by their earlier ones.

        Args:
            tensors: of the model, by their earlier names.
        """
        parts = {"encoder": ["encoder"], "decoder": ["decoder"], "likelihood": ["decoder"]}
        of_prior = ["encoder", "decoder", "prior"]
        found: dict[str, str] = {}
        for name in tensors:
            if (present := self.of(name)) is None:
                continue
            root, _, rest = name.partition(".")
            within = present.partition(".")[2]
            found |= {f"{part}/{rest}": f"{part}/{within}" for part in parts.get(root, of_prior)}
        return found


def optimizer_state(state: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The state of the optimizer of a model: of one, or of one for each of different settings.

    Version 0.1.0 had one for encoder and decoder, and one each for a prior and for an estimator that are learned.

    Args:
        state: as version 0.1.0 wrote it.
        options: of the model, likewise.
    """
    if "param_groups" in state:
        return dict(state)
    together: list[tuple[Any, list[str], dict[str, Any]]] = []
    for part, (names, key) in _PARTS.items():
        if part not in state:
            continue
        settings = options.get(key) or options.get("optimizer")
        same = next((entry for entry in together if entry[0] == settings), None)
        if same is None:
            together.append((settings, [names], dict(state[part])))
        else:
            same[1].append(names)
            same[2].update(_joined(same[2], state[part]))
    if len(together) == 1:
        return together[0][2]
    return {", ".join(names): joined for _, names, joined in together}


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    # One group with the parameters of both.
    (first,), (second,) = one["param_groups"], other["param_groups"]
    offset = len(first["params"])
    moved = {number + offset: moments for number, moments in other["state"].items()}
    params = [*first["params"], *(number + offset for number in second["params"])]
    return {"state": {**one["state"], **moved}, "param_groups": [{**first, "params": params}]}
