"""Training steps in JAX, on the Gaussian models of `benchmarks.cases`: `jit`, and `scan` over many steps.

The loss, Adam and its constants are those of the bare loop, written out; parameters start at those of its networks.
"""

import itertools
import os
from typing import Any

import numpy as np
from benchmarks.cases import Case, Setting
from torch import nn

STEPS = 200  # in one call
_RATE, _DECAYS, _EPS = 1e-3, (0.9, 0.999), 1e-8


def jax_scan(case: Case, steps: int, setting: Setting) -> float:
    """Seconds per step, after a first call that compiles; steps are rounded up to whole calls.

    Batches of one shape alone: the last batch of an epoch, which is smaller, is left out.
    """
    os.environ.setdefault("JAX_PLATFORMS", "cuda" if setting.device.type == "cuda" else "cpu")
    # As all other sides: one thread.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    import jax
    import jax.numpy as jnp

    encoder, decoder = (_layers(network) for network in case.networks())

    def loss(parameters: Any, noise: Any, x: Any) -> Any:
        loc, raw = jnp.split(_passed(parameters[0], x, jax.nn.relu), 2, axis=-1)
        scale = jax.nn.softplus(raw)
        logits = _passed(parameters[1], loc + scale * noise, jax.nn.relu)
        log_likelihood = (x * logits - jax.nn.softplus(logits)).sum(-1)
        kl = 0.5 * (loc**2 + scale**2 - 1.0).sum(-1) - jnp.log(scale).sum(-1)
        return (kl - log_likelihood).mean()

    def step(state: Any, x: Any) -> Any:
        parameters, first, second, number, key = state
        key, own = jax.random.split(key)
        noise = jax.random.normal(own, (x.shape[0], case.sizes[-1]))
        value, gradients = jax.value_and_grad(loss)(parameters, noise, x)
        number += 1
        tree = jax.tree_util.tree_map
        first = tree(lambda old, new: _DECAYS[0] * old + (1.0 - _DECAYS[0]) * new, first, gradients)
        second = tree(lambda old, new: _DECAYS[1] * old + (1.0 - _DECAYS[1]) * new**2, second, gradients)
        rate, root = _RATE / (1.0 - _DECAYS[0] ** number), jnp.sqrt(1.0 - _DECAYS[1] ** number)
        parameters = tree(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + _EPS), parameters, first, second)
        return (parameters, first, second, number, key), value

    many = jax.jit(lambda state, xs: jax.lax.scan(step, state, xs))
    parameters = jax.tree_util.tree_map(jnp.asarray, (encoder, decoder))
    zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
    state = (parameters, zeros, zeros, jnp.zeros(()), jax.random.key(0))
    state, _ = jax.block_until_ready(many(state, _batches(case, setting)))
    calls = -(-steps // STEPS)
    chunks = [jnp.asarray(_batches(case, setting)) for _ in range(calls)]
    start = setting.now()
    for xs in chunks:
        state, values = many(state, xs)
    jax.block_until_ready((state, values))
    return (setting.now() - start) / (calls * STEPS)


def _layers(network: nn.Module) -> list[tuple[np.ndarray, np.ndarray]]:
    linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach().cpu().numpy().T, layer.bias.detach().cpu().numpy()) for layer in linear]


def _passed(layers: Any, x: Any, activation: Any) -> Any:
    *hidden, (weight, bias) = layers
    for own_weight, own_bias in hidden:
        x = activation(x @ own_weight + own_bias)
    return x @ weight + bias


def _batches(case: Case, setting: Setting) -> np.ndarray:
    full = (x for x in setting.batches(case) if len(x) == 100)
    return np.stack([x.cpu().numpy() for x in itertools.islice(full, STEPS)])
