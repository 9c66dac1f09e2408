"""Bad input: exit code 2, one line that names the option, what was given and what is accepted, and nothing created."""

import socket
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from tests.commands.bad_options import DISCRETE_OPTIONS, OPTIONS, OWN, names
from tests.launching import as_it_was

from reparam_suite import estimators, fit
from reparam_suite.data import MNIST


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """The one line that a command is refused with, in an empty directory that stays as it is."""
    monkeypatch.chdir(tmp_path)

    def refused(*args: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        with as_it_was():
            code = fit.main(list(args))
        out, err = capsys.readouterr()
        assert code == 2
        assert out == ""
        assert sorted(tmp_path.rglob("*")) == before, "nothing is created"
        prefix = "reparam_suite.fit: "
        assert err.startswith(prefix)
        assert err.endswith("\n")
        assert err.count("\n") == 1, "one line, and so no traceback"
        return err.removeprefix(prefix).removesuffix("\n")

    return refused


@pytest.mark.parametrize(("args", "message"), OPTIONS, ids=[args for args, _ in OPTIONS])
def test_a_bad_option_is_named_in_one_line(refused, args, message):
    options, brace, value = args.partition("{")
    assert refused(*options.split(), *([brace + value] if brace else [])) == message


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--model", "argument --model: expected one argument"),
        ("--config", "argument -c/--config: expected one argument"),
        ("--seeds", "argument --seeds: expected at least one argument"),
    ],
)
def test_an_option_without_its_value_is_named(refused, option, message):
    assert refused(option) == message


# -------------------------------------------------------------------------------------------------- configuration files

FILES = {
    "an unknown option": (
        "modle: {class_path: DiscreteVAE}",
        "unknown option --modle.class_path, did you mean --model?; --help lists all of them",
    ),
    "an unknown option of a group": (
        "trainer: {max_stepps: 4}",
        "unknown option --trainer.max_stepps, did you mean --trainer.max_steps?; --help lists all of them",
    ),
    "an unknown option of a class": (
        "model: {class_path: DiscreteVAE, init_args: {latent_sizes: 3}}",
        f"--model.latent_sizes: DiscreteVAE has no such option, did you mean latent_size?; it takes {DISCRETE_OPTIONS}",
    ),
    "an unknown option of a dataclass": (
        "model: {class_path: DiscreteVAE, init_args: {optimizer: {nam: SGD}}}",
        "--model.optimizer['nam']: expected OptimizerSettings, got str; "
        "settings for all parts are name, learning_rate, options, schedule",
    ),
    "an unknown class": (
        "model: {class_path: DiscreteVAE, init_args: {estimator: {class_path: MuProp, init_args: {baseline: Foo}}}}",
        f"--model.estimator.baseline: expected {names(estimators.Baseline)} {OWN}, got Foo",
    ),
    "another type": (
        "data: {class_path: Digits, init_args: {batch_size: x}}",
        "--data.batch_size: expected int, got x",
    ),
    "a key that is there twice": (
        "seed: 1\nname: a\nseed: 2",
        "--config: expected every key once, got seed in lines 1 and 3",
    ),
    "nothing": ("", "--config: expected options with their values, got an empty value"),
    "lists without end": ("a: &a [*a]", "--config: expected a value that ends, got *a within itself in line 1"),
    "lists within lists": ("[" * 9_999, "--config: expected at most 100 levels, got more in line 1"),
    "no mapping": ("- 1", "--config: expected options with their values, got - 1"),
    "no YAML": (
        "a: b: c",
        '--config: it is no YAML: mapping values are not allowed in this context in "<unicode string>", '
        "line 1, column 5",
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_a_bad_configuration_file_is_reported_as_the_command_line_is(refused, tmp_path, what):
    content, message = FILES[what]
    (tmp_path / "run.yaml").write_text(content)
    assert refused("--config", "run.yaml") == message


def test_a_file_that_is_no_text_is_refused(refused, tmp_path):
    (tmp_path / "run.yaml").write_bytes(b"\x00\xff\xfe")
    assert refused("--config=run.yaml") == (
        "--config: it is no YAML: 'utf-8' codec can't decode byte 0xff in position 1: invalid start byte"
    )


def test_a_file_is_read_as_utf_8_whatever_the_locale(refused, tmp_path, monkeypatch):
    """What jsonargparse itself opens is in the encoding of the locale."""
    (tmp_path / "run.yaml").write_bytes("# é\nname: ñ\nseed: x".encode())
    monkeypatch.setattr("jsonargparse._paths.open", partial(open, encoding="ascii"), raising=False)
    assert refused("--config", "run.yaml") == "--seed: expected int, got x"


def test_a_missing_configuration_file_is_refused(refused, tmp_path):
    assert refused("--config", "none.yaml") == f"--config: File does not exist: '{tmp_path}/none.yaml'"
    assert refused("-c", str(tmp_path)) == f"--config: Path is not a file: '{tmp_path}'"


# ----------------------------------------------------------------------------------------------------------------- data


def test_a_corrupt_data_file_is_named(refused, tmp_path):
    (tmp_path / "mine.npz").write_bytes(b"PK no archive")
    message = refused("--data", "Arrays", "--data.path", "mine.npz")
    assert message == "mine.npz cannot be read as an .npz file: File is not a zip file"


def test_an_array_of_a_wrong_kind_is_named(refused, tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=np.array(["a", "b"]))
    assert refused("--data", "Arrays", "--data.path", "mine.npz") == (
        "mine.npz: x_train: expected bool, integers or floating point, got <U1"
    )


def test_a_corrupt_archive_is_named_with_the_way_out(refused, tmp_path):
    (tmp_path / "mnist.npz").write_bytes(b"cut off")
    assert refused("--data", "MNIST", "--data.root", str(tmp_path)) == (
        f"{tmp_path}/mnist.npz cannot be read as an .npz file: File is not a zip file. "
        f"Delete {tmp_path}/mnist.npz to download it afresh"
    )


def test_a_missing_archive_that_cannot_be_downloaded_is_named(refused, tmp_path, monkeypatch, free_port):
    nowhere = f"http://127.0.0.1:{free_port}/"
    remotes = tuple(replace(remote, bases=(nowhere,)) for remote in MNIST.archive.remotes)
    monkeypatch.setattr(MNIST, "archive", replace(MNIST.archive, remotes=remotes))
    monkeypatch.setattr("builtins.print", lambda *_, **__: None)  # that it downloads
    (tmp_path / "data").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        told = []
        patch.setattr(fit, "_complain", lambda message, code: told.append((message, code)))
        with as_it_was():
            fit.main(["--data", "MNIST", "--data.root", "data"])
    ((message, code),) = told
    assert code == 2
    assert message.startswith("data/mnist.npz is missing, and train-images-idx3-ubyte.gz could not be downloaded. ")
    assert message.endswith("Try again later, or put mnist.npz there")
    assert "\n" not in message
    assert list((tmp_path / "data").iterdir()) == []


# ---------------------------------------------------------------------------------------------------------------- store


@pytest.fixture
def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_root_that_cannot_be_written_is_refused(refused, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert refused("--tracking.root", "file/mlruns") == (
        "--tracking.root: the directory file/mlruns cannot be written: Not a directory"
    )


@pytest.mark.parametrize("name", ["artifacts", "checkpoints", "spool"])
def test_a_file_where_a_run_has_a_directory_is_refused(refused, tmp_path, name):
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / name).touch()
    assert refused() == f"--tracking.root: expected a directory mlruns/{name}, got a file of this name"


@pytest.mark.parametrize("name", ["r" * 10_000, "r" * 10_000 + ".ckpt", "a\0b", "[red]x\x1b[31m", ""])
def test_a_run_of_an_odd_name_is_refused_in_a_short_line(refused, name):
    message = refused("--resume", name)
    assert message.startswith("--resume: ")
    assert len(message) < 500
    assert "\x1b" not in message


def test_a_server_that_does_not_answer_is_refused(refused, free_port):
    uri = f"http://127.0.0.1:{free_port}"
    message = refused("--tracking.uri", uri)
    assert message.startswith(f"--tracking.uri {uri} does not answer as an MLflow server: ")
    assert "Connection refused" in message


def test_a_file_that_is_no_database_is_refused(refused, tmp_path):
    (tmp_path / "notes.db").write_text("not a database, but longer than a hundred bytes " * 9)
    message = refused("--tracking.uri", "sqlite:///notes.db")
    assert message == (
        "--tracking.uri sqlite:///notes.db is no sqlite database that can be written: file is not a database"
    )


def test_a_gpu_that_is_not_there_is_refused(refused, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert refused("--trainer.accelerator", "gpu") == (
        "--trainer.accelerator: there is no GPU here, expected auto or cpu, got gpu"
    )
    assert refused("--trainer.accelerator", "warp").startswith(
        "--trainer: You selected an invalid accelerator name: `accelerator='warp'`. Available names are: auto, "
    )


def test_a_bad_seed_among_several_stops_all_of_them(refused):
    assert refused("--seeds", "0", "1", "-3") == "--seeds: expected 0 to 4294967295, got -3"
