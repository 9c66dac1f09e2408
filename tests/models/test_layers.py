"""Several stochastic layers: bounds, gradients and samples against sums over every code of every layer."""

import itertools

import pytest
import torch
from tests.estimators.nesting import NESTING
from tests.models.small import bits, categorical, discrete, fit, seeded, validated
from tests.statistics import LIMIT
from torch import Tensor

from reparam_suite.data import Digits
from reparam_suite.diagnostics import latent_use
from reparam_suite.estimators import (
    DisARM,
    Enumeration,
    GradientEstimator,
    Learned,
    MovingAverage,
    ScoreFunction,
)
from reparam_suite.models import DiscreteVAE, held_out_bounds
from reparam_suite.models.held_out_bounds import divergence
from reparam_suite.objectives import ELBO, ImportanceWeighted


def layered(num_layers: int = 2, make=discrete, **options) -> DiscreteVAE:
    """A model with weights away from their symmetric start, so small that its codes can be counted."""
    chosen = {"latent_size": 2, "hidden_sizes": (5,), "prior": "learned", "event_shape": (6,), "activation": "tanh"}
    model = make(num_layers=num_layers, **(chosen | options)).double()
    with seeded(3):
        for parameter in model.parameters():
            parameter.data += 0.4 * torch.randn_like(parameter)
    return model


def states(model: DiscreteVAE) -> list[Tensor]:
    """Every value of one layer."""
    if len(model.prior.event_shape) == 1:
        codes = itertools.product([0.0, 1.0], repeat=model.latent_size)
        return [torch.tensor(code, dtype=torch.float64) for code in codes]
    classes = torch.eye(model.posterior.family.num_classes, dtype=torch.float64)
    return [torch.stack(rows) for rows in itertools.product(classes, repeat=model.latent_size)]


def log_probability(raw: Tensor, z: Tensor) -> Tensor:
    if z.dim() == 1:
        p = 1.0 / (1.0 + torch.exp(-raw))
        return (z * p.log() + (1.0 - z) * (1.0 - p).log()).sum()
    return (z * raw.view(z.shape).softmax(-1).log()).sum()


def paths(model: DiscreteVAE, x: Tensor):
    """For each state of all layers: log q, log p(z) and log p(x|z), of one datum, from the networks themselves."""
    networks = (
        [layer.posterior.network for layer in model.layers()],
        [layer.likelihood.network for layer in model.layers()],
    )
    top = model.layers()[-1].prior.logits
    for codes in itertools.product(states(model), repeat=model.num_layers):
        below = [x.unsqueeze(0), *(code.unsqueeze(0) for code in codes)]
        raw = [encoder(code)[0] for encoder, code in zip(networks[0], below, strict=False)]
        log_q = sum(log_probability(logits, z) for logits, z in zip(raw, codes, strict=True))
        decoded = [decoder(code)[0] for decoder, code in zip(networks[1], below[1:], strict=True)]
        log_p = sum(log_probability(logits, z) for logits, z in zip(decoded[1:], codes, strict=False))
        log_p = log_p + log_probability(top.flatten(), codes[-1])
        yield codes, log_q, log_p, log_probability(decoded[0], x)


def exact(model: DiscreteVAE, x: Tensor, kl_weight: float = 1.0) -> dict[str, Tensor]:
    """reconstruction, kl, elbo and log p(x) of one datum `[P]`."""
    terms = list(paths(model, x))
    log_q, log_p, log_likelihood = (torch.stack([term[i] for term in terms]) for i in (1, 2, 3))
    q = log_q.exp()
    torch.testing.assert_close(q.sum().item(), 1.0)
    reconstruction, kl = (q * log_likelihood).sum(), (q * (log_q - log_p)).sum()
    return {
        "reconstruction": reconstruction,
        "kl": kl,
        "elbo": reconstruction - kl_weight * kl,
        "evidence": (log_p + log_likelihood).logsumexp(0),
    }


def gradient(objective: Tensor, model: DiscreteVAE) -> Tensor:
    wanted = [parameter for name, group in model.parameter_groups().items() if name != "control" for parameter in group]
    found = torch.autograd.grad(objective, wanted, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in found])


def sizes(model: DiscreteVAE) -> list[int]:
    groups = model.parameter_groups()
    return [sum(parameter.numel() for parameter in groups[name]) for name in ("encoder", "decoder", "prior")]


def with_estimators(model: DiscreteVAE, *estimators: GradientEstimator) -> DiscreteVAE:
    for layer, estimator in zip(model.layers(), estimators, strict=True):
        layer.estimator = estimator.double()
    return model


# ------------------------------------------------------------------------------------------------------------ gradients


@pytest.mark.parametrize(
    ("make", "num_layers", "options"),
    [
        (discrete, 2, {}),
        (discrete, 3, {"latent_size": 1}),
        (categorical, 2, {"latent_size": 1}),
        (discrete, 2, {"objective": ELBO(weight=0.3)}),
    ],
)
def test_enumerating_every_layer_gives_the_elbo_and_its_gradient_exactly(make, num_layers, options):
    model, x = layered(num_layers, make, estimator=Enumeration(), **options), 0.2 + 0.5 * bits(6).double()
    weight = options["objective"].weight if "objective" in options else 1.0
    estimate = model.estimator(model.expectation(x.unsqueeze(0)))
    expected = exact(model, x, weight)["elbo"]
    torch.testing.assert_close(estimate.objective[0], expected)
    by_model, by_hand = gradient(estimate.objective[0], model), gradient(expected, model)
    torch.testing.assert_close(by_model, by_hand)
    assert by_hand.abs().min() > 0, "no parameter is without its part"


@pytest.mark.slow
@pytest.mark.parametrize(("lower", "upper"), [*itertools.product(NESTING, NESTING)])
def test_the_gradient_of_a_layered_model_is_unbiased_for_every_pair(lower, upper):
    """phi of both layers, theta of both and the prior, from 100 batches of 400 independent draws."""
    model, x = layered(), bits(6).double()
    with_estimators(model, NESTING[lower](), NESTING[upper]())
    expected = exact(model, x)["elbo"]
    draws, values = [], []
    with seeded():
        for _ in range(100):
            estimate = model.estimator(model.expectation(x.expand(400, -1)))
            values.append(estimate.objective.mean().detach())
            draws.append(gradient(estimate.objective.mean(), model))
    drawn, wanted = torch.stack(draws), gradient(expected, model)
    mean, error = drawn.mean(0), (drawn.std(0) / 10.0).clamp_min(1e-9)
    assert ((mean - wanted).abs() / error).max() < LIMIT
    planted = (1.1 * mean - wanted).abs() / error
    for name, part in zip(model.parameter_groups(), planted.split(sizes(model)), strict=False):
        assert part.max() > LIMIT, f"an error of a tenth would be seen in the {name}"
    value = torch.stack(values)
    assert (value.mean() - expected).abs() < LIMIT * (value.std() / 10.0).clamp_min(1e-9)


def test_every_layer_trains_its_own_estimator():
    model = layered(estimator=ScoreFunction(num_samples=2, baseline=Learned(hidden_sizes=(4,))))
    own = [list(layer.estimator.parameters()) for layer in model.layers()]
    assert all(own)
    assert {id(parameter) for parameter in model.parameter_groups()["control"]} == {
        id(parameter) for some in own for parameter in some
    }
    model.training_step(bits(4, 6).double(), 0)["loss"].backward()
    assert all(parameter.grad.abs().max() > 0 for some in own for parameter in some)


def test_a_learned_baseline_sees_one_hot_latents_flat():
    model = layered(make=categorical, estimator=ScoreFunction(baseline=Learned(hidden_sizes=(4,))))
    assert model.layers()[1].estimator.baseline.network[0].in_features == 2 * 4


def test_training_steps_raise_the_elbo():
    data = Digits(batch_size=300)
    model = discrete(num_layers=2, event_shape=(64,), estimator=DisARM(num_samples=2), learning_rate=0.02)
    data.setup()
    before = validated(model, data.val_dataloader())["val/elbo"]
    fit(model, data, max_steps=40)
    assert validated(model, data.val_dataloader())["val/elbo"] > before + 5.0


# ------------------------------------------------------------------------------------------------------ held-out bounds


@pytest.mark.parametrize(
    ("num_layers", "make", "size"), [(2, discrete, 2), (3, discrete, 1), (2, categorical, 1), (1, discrete, 2)]
)
def test_held_out_bounds_are_those_of_every_code(num_layers, make, size):
    model, x = layered(num_layers, make, latent_size=size), bits(6).double()
    wanted = {name: value.item() for name, value in exact(model, x).items()}
    with seeded():
        drawn = held_out_bounds(model, x.expand(12_000, -1), 50)
    for name in ("elbo", "reconstruction", "kl"):
        error = (drawn[name].std() / 12_000**0.5).clamp_min(1e-9).item()
        assert abs(drawn[name].mean().item() - wanted[name]) < LIMIT * error, name
        assert LIMIT * error < 0.02 * abs(wanted[name]), "2 % would show"
    gap = wanted["evidence"] - wanted["elbo"]
    assert gap > 0.05
    assert abs(drawn["bound"].mean().item() - wanted["evidence"]) < 0.05 * gap, "50 samples close the gap"
    assert drawn["bound"].mean() < wanted["evidence"]
    torch.testing.assert_close(drawn["elbo"], drawn["reconstruction"] - drawn["kl"])


def test_weights_are_those_of_the_evidence():
    """E[exp(bound)] is p(x) at any K: here at 1."""
    model, x = layered(), bits(6).double()
    with seeded():
        weight = held_out_bounds(model, x.expand(100_000, -1), 1)["bound"].exp()
    wanted = exact(model, x)["evidence"].exp()
    assert (weight.mean() - wanted).abs() < LIMIT * weight.std() / 100_000**0.5


def test_the_kl_of_a_step_is_that_of_every_code():
    model, x = layered(), bits(6).double()
    with seeded():
        drawn = divergence(model.posterior(x.expand(40_000, -1)), model.prior())
    assert (drawn.mean() - exact(model, x)["kl"]).abs() < LIMIT * drawn.std() / 200.0


def test_the_kl_of_a_step_is_measured_outside_of_the_training_noise():
    model, x = layered(), bits(50, 6).double()
    with seeded():
        outputs = model.training_step(x, 0)
        after = torch.get_rng_state()
    with seeded():
        model.estimator(model.expectation(x))
        assert torch.equal(torch.get_rng_state(), after)
    assert outputs["kl"].shape == ()
    assert outputs["kl"] > 0


# ---------------------------------------------------------------------------------------------------- samples and codes


def test_samples_of_the_prior_come_from_the_top():
    model = layered()
    wanted = torch.zeros(4, dtype=torch.float64)
    for codes, _, log_p, _ in paths(model, bits(6).double()):
        wanted[int(codes[0] @ torch.tensor([2.0, 1.0], dtype=torch.float64))] += log_p.exp().item()
    with seeded():
        z = model.prior().sample((40_000,))
    assert z.shape == (40_000, 2)
    found = torch.bincount((z @ torch.tensor([2.0, 1.0], dtype=torch.float64)).long(), minlength=4) / 40_000
    assert ((found - wanted).abs() < LIMIT * (wanted * (1.0 - wanted) / 40_000).sqrt()).all()


def test_the_posterior_of_a_layer_is_given_a_sample_of_the_layer_below():
    model, x = layered(3), bits(6).double()
    with seeded():
        first, second, third = model.posteriors(x.expand(20_000, -1))
    assert torch.equal(first.mean[0], model.posterior(x).mean)
    for q, layer in ((second, 1), (third, 2)):
        wanted = sum(log_q.exp() * codes[layer] for codes, log_q, *_ in paths(model, x))
        assert ((q.mean.mean(0) - wanted).abs() < LIMIT * q.mean.std(0) / 20_000**0.5).all()
        assert len(q.mean.unique(dim=0)) == 4, "one for each code below"


def test_use_of_the_top_layer_and_a_refusal_for_the_others():
    model, x = layered(), bits(6).double()
    metric = latent_use(model.posteriors(x)[-1], model.top_prior()).double()
    with seeded():
        posteriors = model.posteriors(x.expand(20_000, -1))
    metric.update(posteriors[-1], model.top_prior())
    top = [0.0, 0.0]
    prior = model.top_prior().mean
    for codes, log_q, *_ in paths(model, x):
        raw = model.layers()[1].posterior.network(codes[0].unsqueeze(0))[0].sigmoid()
        for d in range(2):
            p = raw[d] if codes[1][d] == 1.0 else 1.0 - raw[d]
            base = prior[d] if codes[1][d] == 1.0 else 1.0 - prior[d]
            top[d] += (log_q.exp() * (p / base).log()).item()
    assert metric.compute()["kl_per_latent"].tolist() == pytest.approx(top, rel=0.05)
    with pytest.raises(
        TypeError, match=r"expected .* with a prior of the same family, got Bernoulli and LayeredDistribution"
    ):
        metric.update(posteriors[0], model.prior())


def test_the_forward_pass_has_no_noise():
    model, x = layered(), bits(5, 6).double()
    assert list(model(x)) == ["logits", "reconstruction"]
    assert all(torch.equal(one, other) for one, other in zip(model(x).values(), model(x).values(), strict=True))


# -------------------------------------------------------------------------------------------------------- constructors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "num_layers: expected an integer of at least 1, got 0"),
        (
            {"num_layers": 2, "objective": ELBO(kl="analytic")},
            "kl: expected sampled or auto, since KL(Bernoulli || LayeredDistribution) has no closed form, got analytic",
        ),
        (
            {"num_layers": 3, "objective": ImportanceWeighted()},
            "objective: expected ELBO for a prior of several layers, since an estimate within the logarithm is no "
            "bound, got ImportanceWeighted",
        ),
    ],
)
def test_what_several_layers_cannot_do_is_refused_by_name(options, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        discrete(**options)
    assert str(refused.value) == message


def test_one_layer_is_the_model_without_layers():
    one, plain = discrete(num_layers=1), discrete()
    assert list(one.state_dict()) == list(plain.state_dict())
    assert one.layers() == [one]


def test_each_layer_has_a_state_of_its_own():
    model = layered(estimator=ScoreFunction(baseline=MovingAverage(decay=0.5)))
    with seeded():
        model.training_step(bits(4, 6).double(), 0)
    below, above = (layer.estimator.baseline.past.average for layer in model.layers())
    assert below != above
    assert above != 0
