"""Private names of jsonargparse: each does what `jsonargparse_internals` takes it to do."""

import gc
from collections.abc import Iterator

import pytest
import torch
from jsonargparse import ArgumentError, ArgumentParser, _typehints
from torch import nn

from reparam_suite.commands.classes import concrete_subclasses
from reparam_suite.commands.jsonargparse_internals import imports_only, one_path_per_class, option_strings, strict_files
from reparam_suite.commands.options import Options
from reparam_suite.models import GaussianVAE
from reparam_suite.running.export import decoder_of


def test_the_options_of_a_parser():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--a.b", "-b", type=int)
    assert {"--a.b", "-b", "--help"} <= set(option_strings(parser))


def test_imports_are_restricted_within_the_context_and_free_again_afterwards():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--cls", type=type[ArithmeticError])
    with imports_only(["reparam_suite"]), pytest.raises(ArgumentError):
        parser.parse_args(["--cls", "decimal.DecimalException"])
    assert parser.parse_args(["--cls", "decimal.DecimalException"]).cls.__name__ == "DecimalException"


def test_files_and_values_are_strict_within_the_context_and_free_again_afterwards(tmp_path):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--a", type=int)
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\na: 2")
    with strict_files(), pytest.raises(ArgumentError, match="expected every key once, got a in lines 1 and 2"):
        parser.parse_args([f"--config={file}"])
    assert parser.parse_args([f"--config={file}"]).a == 2


@pytest.fixture
def traced() -> Iterator[None]:
    """A model whose encoder has one module in two places has been exported, and nothing collected since."""
    layer = nn.Linear(3, 3)
    encoder = nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(3, 2))
    model = GaussianVAE(event_shape=(3,), latent_size=1, encoder=encoder, hidden_sizes=(2,)).eval()
    gc.disable()
    try:
        torch.export.export(decoder_of(model), (torch.zeros(2, 1),))
        yield
    finally:
        gc.enable()
        gc.collect()


def of_that_name() -> list[str]:
    """The paths that the parser knows for the class, without those of tests' subclasses."""
    return [path for path in _typehints.get_all_subclass_paths(GaussianVAE) if path.endswith(".GaussianVAE")]


def test_classes_that_tracing_leaves_behind_hide_no_short_name(traced):
    assert "GaussianVAE" in {cls.__name__ for cls in GaussianVAE.__subclasses__()}
    paths = ["reparam_suite.models.GaussianVAE", "reparam_suite.models.gaussian_vae.GaussianVAE"]
    assert of_that_name() == paths  # both of one class: else the mend is wanted no longer
    assert [cls for cls in concrete_subclasses(GaussianVAE) if cls.__name__ == "GaussianVAE"] == [GaussianVAE]
    with one_path_per_class():
        assert of_that_name() == paths[:1]
    assert Options.of(["--model", "GaussianVAE"]).values.model.class_path == paths[0]
    assert of_that_name() == paths
