import numpy as np
import pytest

from reparam_suite.data.kinds import Values, check_stated, is_colour, kind_of
from reparam_suite.runtime.errors import DataError

RNG = np.random.default_rng(8)
UNIT = RNG.random((30, 48))


def facts(*arrays):
    return {name: Values.of(np.asarray(array)) for name, array in zip(("train", "valid", "test"), arrays, strict=False)}


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([False, True]), Values("bool", 0.0, 1.0, is_whole=True, is_binary=True, num_values=2)),
        (np.array([0, 2], np.uint8), Values("uint8", 0.0, 2.0, is_whole=True, is_binary=False, num_values=2)),
        (np.array([-1, 1]), Values("integer", -1.0, 1.0, is_whole=True, is_binary=False, num_values=2)),
        (np.array([0.0, 1.0]), Values("float", 0.0, 1.0, is_whole=True, is_binary=True, num_values=2)),
        (np.array([0.0, 0.5]), Values("float", 0.0, 0.5, is_whole=False, is_binary=False, num_values=2)),
    ],
)
def test_facts(array, expected):
    assert Values.of(array) == expected


@pytest.mark.parametrize(
    ("event_shape", "colour"),
    [
        ((3, 8, 8), True),
        ((8, 8, 3), True),
        ((4, 8, 8), True),
        ((1, 8, 8), False),
        ((8, 8, 1), False),
        ((1, 8, 3), False),
        ((3, 8), False),
        ((2, 8, 8), False),
        ((3, 3, 8, 8), False),
    ],
)
def test_colour_has_three_or_four_channels(event_shape, colour):
    assert is_colour(event_shape) == colour
    light = (UNIT * 256).astype(np.uint8)
    assert kind_of(facts(light, light), event_shape, where="x") == ("colour" if colour else "grey")


@pytest.mark.parametrize(
    ("splits", "event_shape", "kind"),
    [
        ((UNIT, UNIT), (1, 6, 8), "grey"),
        ((UNIT, UNIT), (3, 4, 4), "colour"),
        ((UNIT, UNIT), (48,), "real"),
        ((UNIT, UNIT), (6, 8), "real"),
        ((UNIT * 3 - 1, UNIT * 3 - 1), (1, 6, 8), "real"),
        ((UNIT[:2], UNIT * 3 - 1), (1, 6, 8), "real"),
        ((UNIT[:2, :40], UNIT * 3 - 1), (40,), "real"),
        ((UNIT * 3 - 1, UNIT * 0), (48,), "real"),
        ((UNIT, UNIT * 0), (1, 6, 8), "grey"),
        ((UNIT * 0, UNIT > 0.5), (48,), "binary"),
        ((RNG.poisson(2, (9, 4)), RNG.integers(0, 2, (9, 4))), (4,), "count"),
        ((RNG.poisson(2, (9, 4)) - 1, RNG.poisson(2, (9, 4))), (4,), "real"),
        ((RNG.poisson(2, (9, 4)), RNG.poisson(2, (9, 4)) - 1), (4,), "real"),
    ],
)
def test_the_kind_is_decided_over_all_splits(splits, event_shape, kind):
    assert kind_of(facts(*splits), event_shape, where="x") == kind


@pytest.mark.parametrize(
    ("splits", "found"),
    [
        (
            (UNIT, UNIT * 3 - 1),
            r"values in \[0, 1\] in every split or in none, got train float from .*; valid float from",
        ),
        ((UNIT, UNIT, UNIT * 255), r"values in \[0, 1\] in every split or in none, got train float from"),
        (
            (UNIT * 255, UNIT),
            r"values in \[0, 1\] in every split or in none, got train float from .*; valid float from",
        ),
        ((UNIT * 255, UNIT[:2, :40]), r"intensities in \[0, 1\] in every split or in none, got train float from"),
        ((UNIT.round(), UNIT), "0 and 1 in every split or in none, got train float of 0 and 1; valid float from"),
        ((UNIT, UNIT.round()), "0 and 1 in every split or in none, got train float from .*; valid float of 0 and 1"),
    ],
)
def test_a_contradiction_names_every_split(splits, found):
    with pytest.raises(DataError, match=f"mine.npz: expected {found}"):
        kind_of(facts(*splits), (1, 6, 8), where="mine.npz")
    if "values" in found:
        with pytest.raises(DataError, match=f"mine.npz: expected {found}"):
            kind_of(facts(*splits), (48,), where="mine.npz")
    check_stated("real", facts(*splits), (1, 6, 8), where="mine.npz")


def test_a_stated_binary_kind_does_not_hide_a_contradiction():
    bits = UNIT.round().astype(np.uint8)
    check_stated("binary", facts(bits * 255, bits * 200), (48,), where="x")
    with pytest.raises(DataError, match="x: expected 0 and 1 in every split or in none"):
        check_stated("binary", facts(bits, bits * 255), (48,), where="x")


def test_rows_that_were_scaled_by_the_range_of_the_training_rows_are_real():
    train = np.linspace(0.0, 1.0, 400).reshape(50, 8)
    assert kind_of(facts(train, train * 1.2 - 0.1), (8,), where="x") == "real"


def test_integers_in_the_shape_of_colours_are_no_counts_beyond_a_byte():
    deep = RNG.integers(0, 2**16, (9, 48)).astype(np.uint16)
    with pytest.raises(DataError, match=r"^x: expected colours in uint8, or in \[0, 1\], got train integer from "):
        kind_of(facts(deep), (3, 4, 4), where="x")
    assert kind_of(facts(deep), (1, 6, 8), where="x") == "count"
    check_stated("count", facts(deep), (3, 4, 4), where="x")
