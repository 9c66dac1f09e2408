"""Each configuration under conf/ is a complete run: it is trained here for one batch."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from tests.launching import fit

from reparam_suite.commands.options import Options
from reparam_suite.running import Run
from reparam_suite.running.assembly import Assembly, assemble
from reparam_suite.running.record import configuration
from reparam_suite.running.surroundings import library_call
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.tracking.options import options_of

CONF = Path(__file__).parents[1] / "conf"
RUNS = sorted(CONF.glob("*.yaml"))
TRAINERS = sorted((CONF / "trainer").glob("*.yaml"))
DOWNLOADED = ("MNIST", "CIFAR10", "SVHN")
NARROW = {  # networks of images, with few channels
    "cifar10": ["--model.encoder.width", "4", "--model.encoder.depth", "1"],
    "colour_patches": ["--model.encoder.channels", "[4, 8]"],
    "svhn": ["--model.encoder.channels", "[4, 4, 8]"],
}
FEW_TEST_DATA = ["--record.test_data", "10"]  # of the bound of 5,000 samples, which takes longest by far


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs") / "mlruns"


def parse(*args: str) -> Run:
    return Options.of(list(args)).run()


def assembled(*args: str) -> Assembly:
    with unchanged_globals(), library_call(progress=False) as surroundings:
        return assemble(parse(*args), replace(surroundings, relaunch=["as the command"]))


@pytest.mark.parametrize("file", RUNS, ids=lambda path: path.stem)
def test_it_trains(file, root, small_root):
    content = yaml.safe_load(file.read_text())
    data = ["--data.root", str(small_root)] if content["data"]["class_path"] in DOWNLOADED else []
    data += NARROW.get(file.stem, [])
    ended = fit("--config", str(file), "--trainer.max_steps", "1", *FEW_TEST_DATA, *data, root=root)
    assert ended.code == 0, ended.err
    assert ended.run.info.status == "FINISHED"
    options = options_of(ended.run.data.tags)
    for name, value in content["model"]["init_args"].items():
        if not isinstance(value, dict | str):
            assert options[f"model.init_args.{name}"] == str(value)
    assert {step for step, _ in ended.curve("val/elbo")} == {0, 1}
    assert bool(ended.curve("val/bits_per_dim")) == (file.stem in NARROW)
    assert ended.run.data.tags["gradients.road"] == "layer by layer"


@pytest.mark.parametrize("file", RUNS, ids=lambda path: path.stem)
def test_it_says_what_it_is_and_stops_by_itself(file):
    first, *_ = file.read_text().splitlines()
    assert first.startswith("# ")
    trainer = yaml.safe_load(file.read_text())["trainer"]
    assert max(trainer["max_steps"], trainer["max_epochs"]) > 0


def test_there_are_the_files_that_the_pages_speak_of():
    pages = [CONF.parent / "README.md", *(CONF.parent / "docs").glob("*.md")]
    spoken_of = {name for page in pages for name in re.findall(r"conf/([\w/-]+\.yaml)", page.read_text("utf-8"))}
    assert len(spoken_of) >= 10
    assert [name for name in sorted(spoken_of) if not (CONF / name).is_file()] == []


def test_two_layers_learn_and_are_recorded_as_such(root):
    file = str(CONF / "discrete_two_layers.yaml")
    short = ["--trainer.max_steps", "60", "--record.gradients_every", "60", *FEW_TEST_DATA]
    ended = fit("--config", file, *short, root=root)
    assert ended.code == 0, ended.err
    (_, first), *_, (_, last) = ended.curve("val/elbo")
    assert last > first + 15.0
    for name in ("train/elbo", "train/kl", "grad/encoder/variance", "grad/decoder/variance", "test/bound_100"):
        assert ended.curve(name), name
    assert {path.stem for path in (ended.artifacts() / "figures").glob("code_use*")} == {"code_use", "code_use_2"}


def test_the_gaussian_one_is_what_no_option_at_all_does():
    named, default = assembled("--config", str(CONF / "gaussian_vae.yaml")), assembled()
    ours, theirs = configuration(named), configuration(default)
    for config in (ours, theirs):
        config["model"]["init_args"]["posterior"] = None  # which the file names
    assert ours == theirs
    assert type(named.model.posterior.family) is type(default.model.posterior.family)


def test_an_estimator_can_be_put_into_a_file():
    options = "--model.estimator ScoreFunction --model.estimator.num_samples 6 --model.estimator.baseline MovingAverage"
    model = parse("--config", str(CONF / "discrete_vae.yaml"), *options.split()).model()
    assert model.estimator.num_samples == 6
    assert type(model.estimator.baseline).__name__ == "MovingAverage"
    assert model.latent_size == 200


@pytest.mark.parametrize("file", TRAINERS, ids=lambda path: path.stem)
def test_a_trainer_file_goes_with_any_run(file):
    arguments = ["--config", str(CONF / "discrete_vae.yaml"), "--trainer", str(file)]
    accelerator = yaml.safe_load(file.read_text())["accelerator"]
    if accelerator == "gpu" and not torch.cuda.is_available():
        with pytest.raises(
            UsageError, match=r"^trainer.accelerator: there is no GPU here, expected auto or cpu, got gpu$"
        ):
            assembled(*arguments)
        return
    trainer = assembled(*arguments).trainer
    assert trainer.strategy.root_device.type == {"gpu": "cuda"}.get(accelerator, accelerator)
    assert trainer.max_steps == 5_000, "what the file does not name stays"
