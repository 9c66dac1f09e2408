"""Short options set the dotted ones, in the order of the command line, and errors name what was typed."""

import pytest
from tests.launching import as_it_was

from reparam_suite import fit
from reparam_suite.commands.options import Options

OWN_MODEL = """
from reparam_suite.models import GaussianVAE


class Fixed(GaussianVAE):
    def __init__(self, *, event_shape: list[int] = [64]) -> None:
        super().__init__(event_shape=event_shape)
"""


@pytest.fixture
def own_model(tmp_path, monkeypatch) -> str:
    (tmp_path / "fixed_model.py").write_text(OWN_MODEL)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "fixed_model.Fixed"


@pytest.fixture(autouse=True)
def _isolated():
    with as_it_was():
        yield


def test_each_of_them_sets_its_dotted_option():
    text = (
        "--model DiscreteVAE --estimator=DisARM --estimator.num_samples 4 --latent_size 6 --learning_rate 0.01 "
        "--batch_size 32 --max_steps 7 --max_epochs 2"
    )
    options = Options.of(text.split())
    values = options.values
    assert values.model.init_args.estimator.class_path == "reparam_suite.estimators.DisARM"
    assert values.model.init_args.estimator.init_args.num_samples == 4
    assert (values.model.init_args.latent_size, values.model.init_args.learning_rate) == (6, 0.01)
    assert values.data.init_args.batch_size == 32
    assert (values.trainer.max_steps, values.trainer.max_epochs) == (7, 2)
    run = options.run()
    assert (run.max_steps, run.max_epochs) == (7, 2)


@pytest.mark.parametrize(
    ("text", "latent_size"),
    [
        ("--latent_size 3 --model.latent_size 4", 4),
        ("--model.latent_size 4 --latent_size 3", 3),
        ("--latent_size 3 --config discrete_vae", 200),
        ("--config discrete_vae --latent_size 3", 3),
    ],
)
def test_the_later_one_counts(text, latent_size):
    assert Options.of(text.split()).values.model.init_args.latent_size == latent_size


def refusal(*args: str, capsys) -> str:
    assert fit.main(list(args)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.removeprefix("reparam_suite.fit: ").removesuffix("\n")


def test_errors_name_the_option_that_was_typed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert refusal("--latent_size", "x", capsys=capsys) == "--latent_size: expected int, got x"
    assert refusal("--max_steps", "0", capsys=capsys) == (
        "--max_steps: a run trains and tests, expected more than 0, got 0"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("args", ["--latent_size 3 --model OWN", "--model=OWN --learning_rate 0.1"])
def test_a_class_that_has_no_such_argument_is_named(args, own_model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    option = "--latent_size" if "--latent_size" in args else "--learning_rate"
    message = refusal(*args.replace("OWN", own_model).split(), capsys=capsys)
    assert message == f"{option}: Fixed has no such option; it takes event_shape"
