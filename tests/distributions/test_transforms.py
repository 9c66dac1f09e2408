"""Transforms: their parts and tensors, and whether one may remember what it gave out."""

import torch
import torch.distributions as td
import torch.distributions.transforms as tr

from reparam_suite.distributions.transforms import has_constant_transforms, may_remember, parts_of, tensors_of

LOC, SCALE = torch.zeros(3), torch.ones(3)


def transformed(*transforms: tr.Transform) -> td.Distribution:
    return td.Independent(td.TransformedDistribution(td.Normal(LOC, SCALE), list(transforms)), 1)


def test_a_composed_transform_is_taken_apart():
    affine, tanh, exp = tr.AffineTransform(LOC, SCALE), tr.TanhTransform(), tr.ExpTransform()
    composed = tr.ComposeTransform([affine, tr.ComposeTransform([tanh, exp.inv])])
    assert parts_of(composed) == [affine, tanh, exp]
    assert parts_of(tr.IndependentTransform(affine, 1)) == [affine]
    assert parts_of(tr.StackTransform([tanh, exp])) == [tanh, exp]
    assert parts_of(exp) == [exp]


def test_tensors_are_named_by_place_where_there_are_several_parts():
    assert dict(tensors_of(tr.AffineTransform(LOC, SCALE))).keys() == {"loc", "scale"}
    composed = tr.ComposeTransform([tr.TanhTransform(), tr.AffineTransform(LOC, 2.0)])
    assert dict(tensors_of(composed)).keys() == {"1.loc"}


def test_transforms_are_constant_where_none_carries_a_gradient():
    learned = tr.AffineTransform(LOC, SCALE.clone().requires_grad_())
    assert has_constant_transforms(transformed(tr.TanhTransform(), tr.AffineTransform(LOC, SCALE)))
    assert not has_constant_transforms(transformed(tr.TanhTransform(), learned))
    assert not has_constant_transforms(td.Normal(LOC, SCALE))

    class Own(tr.TanhTransform):
        """May hold anything."""

    assert not has_constant_transforms(transformed(Own()))


def test_what_may_be_remembered():
    learned = tr.AffineTransform(LOC, SCALE.clone().requires_grad_())
    assert may_remember(td.Normal(LOC, SCALE))
    assert may_remember(transformed(tr.TanhTransform(cache_size=1)))
    assert not may_remember(transformed(learned))
    inner = td.TransformedDistribution(td.Normal(LOC, SCALE), [learned])
    assert not may_remember(td.TransformedDistribution(inner, [tr.TanhTransform(cache_size=1)]))
