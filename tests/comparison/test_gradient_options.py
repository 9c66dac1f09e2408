"""The options of `compare gradients`: what is out of range is named as it is typed."""

import pytest

from reparam_suite.comparison.gradient_options import GradientOptions, parser


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("batches", 0, "--batches: expected an integer of at least 1, got 0"),
        ("num_threads", 0, "--num_threads: expected at least 1, got 0"),
        ("memory_budget", 0, "--memory_budget: expected at least 1, got 0"),
        ("train_steps", -1, "--train_steps: expected at least 0, got -1"),
        ("seed", -1, "--seed: expected 0 to 4294967295, got -1"),
        ("seed", 2**32, "--seed: expected 0 to 4294967295, got 4294967296"),
        ("repeats", 24, "--repeats: expected a multiple of 8, at least 32, got 24"),
        ("repeats", 36, "--repeats: expected a multiple of 8, at least 32, got 36"),
    ],
)
def test_numbers_out_of_range_are_refused(option, value, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        GradientOptions(checkpoint="run", **{option: value})
    assert str(refused.value) == message


def test_the_ends_of_the_ranges_are_accepted():
    GradientOptions(
        checkpoint="run", batches=1, num_threads=1, memory_budget=1, train_steps=0, seed=2**32 - 1, repeats=32
    )


def test_the_command_line_has_every_option_and_takes_several_estimators():
    args = ["--checkpoint", "run", "--estimators", "DisARM", "REBAR(num_samples=2)", "--repeats", "40"]
    parsed = parser().parse_args([*args, "--tracking.root", "elsewhere"])
    options = {name: parsed[name] for name in GradientOptions.__dataclass_fields__}
    assert options["estimators"] == ["DisARM", "REBAR(num_samples=2)"]
    assert (options["repeats"], options["batches"], options["order_by"]) == (40, 4, None)
    assert str(parsed.tracking.root) == "elsewhere"
