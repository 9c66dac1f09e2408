"""The pages of --help: two screens first, everything on demand."""

import pytest

from reparam_suite.commands.help import first_page, help_page
from reparam_suite.commands.jsonargparse_internals import described_options, option_strings
from reparam_suite.commands.options import Options
from reparam_suite.commands.schema import run_parser
from reparam_suite.commands.short_options import SHORT_OPTIONS
from reparam_suite.runtime.errors import UsageError


@pytest.fixture(scope="module")
def parser():
    return run_parser()


def test_the_first_page_is_two_screens_of_what_matters(parser):
    lines = first_page(parser).splitlines()
    assert len(lines) <= 80
    assert max(map(len, lines)) <= 80
    options = [line.split()[0] for line in lines if line.startswith("  --")]
    assert options[:5] == ["--config", "--model", "--latent_size", "--learning_rate", "--estimator"]
    assert {f"--{name}" for name in SHORT_OPTIONS} <= set(options)
    of_the_parser = {*option_strings(parser), "--model", "--data", "--help", "--print_config"}
    for option in options:
        assert option in of_the_parser or option.removeprefix("--").partition(".")[0] in ("model", *SHORT_OPTIONS)


def test_it_tells_defaults_and_docstrings(parser):
    words = " ".join(first_page(parser).split())
    assert "D, number of latents (10)" in words
    assert "steps between measurements of the gradient's variance (200)" in words
    assert "of the weights, the noise and the order of the data" in words
    assert "categorical_vae, " in words


def test_all_has_every_option_and_no_list_of_foreign_classes(parser):
    page = help_page(parser, "all")
    for option in described_options(parser):
        assert f"--{option}" in page or option.endswith((".help", "+"))
    assert "--model.latent_size" in page
    assert "torch.nn.modules" not in page
    assert ".help" not in page
    assert len(page.splitlines()) < 600


def test_help_prints_the_page_that_is_named(capsys):
    for args, expected in {
        ("--help",): "usage: python -m reparam_suite.fit",
        ("-h", "estimators"): "estimators (--estimator):",
        ("--seed", "3", "--help", "DisARM"): "--estimator DisARM",
        ("--help", "--seed", "3"): "usage: python -m reparam_suite.fit",
    }.items():
        with pytest.raises(SystemExit) as ended:
            Options.of(list(args))
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(expected)


def test_another_topic_is_refused_with_those_that_there_are(parser):
    with pytest.raises(UsageError, match=r"^--help: expected all, estimators, .*, got estimator, did you mean estima"):
        help_page(parser, "estimator")
