"""The command line of `compare gradients`: what is refused, in one line and before anything is created."""

import re
import sys
from pathlib import Path

import pytest
import torch
from tests.comparison.small import QUICK, SMALL, best
from tests.launching import compare, fit

from reparam_suite.data import Digits
from reparam_suite.training import CheckpointFiles


@pytest.fixture
def refused(trained, tmp_path, monkeypatch):
    """The one line that a comparison is refused with; nothing is created."""
    monkeypatch.chdir(tmp_path)

    def refused(*args: str, checkpoint: str | None = None, root: Path | None = None) -> str:
        root = root or trained.root
        before = sorted([*root.rglob("*"), *tmp_path.rglob("*")])
        source = trained.run_ids[0] if checkpoint is None else checkpoint
        ended = compare("gradients", *(("--checkpoint", source) if source else ()), *args, root=root)
        assert ended.code == 2
        assert ended.out == ""
        assert sorted([*root.rglob("*"), *tmp_path.rglob("*")]) == before, "nothing is created"
        assert ended.err.count("\n") == 1, "one line, and so no traceback"
        return ended.err.removeprefix("reparam_suite.compare: ").removesuffix("\n")

    return refused


MESSAGES = [
    (("--estimators", "Pathwise"), "--estimators: Pathwise() does not fit the DiscreteVAE: Pathwise: "),
    (("--estimators", "DisARN"), "--estimators: expected ARM, ARMS, ARSM, "),
    (("--estimators", "DisARM(num_sample=4)"), "--estimators.num_sample: DisARM has no such option, did you mean "
     "num_samples?; it takes num_samples"),
    (("--estimators", "DisARM(num_samples=3)"), ""),
    (("--estimators", "[]"), "--estimators: expected one estimator or more, got an empty list"),
    (("--estimators", "DisARM(4)"), "--estimators: the arguments of DisARM are given by name, DisARM(name=value), got "
     "DisARM(4)"),
    (("--reference", "Quadrature"), "--reference: Quadrature() does not fit the DiscreteVAE: Quadrature: "),
    (("--reference", "Enumeration(max_states=20)"), "--reference: Enumeration(max_states=20) does not fit the "
     "DiscreteVAE: Enumeration"),
    (("--reference", "StraightThrough"), "--reference: expected an unbiased estimator, got StraightThrough()"),
    (("--reference", "all"), "--reference: expected best or one estimator, got all"),
    (("--order_by", "loc"), "--order_by: expected encoder, decoder or logits, got loc"),
    (("--batches", "0"), "--batches: expected an integer of at least 1, got 0"),
    (("--batches", "13"), "--batches: expected at most 12, the batches of 100 data in an epoch of Digits, got 13"),
    (("--batches", "many"), "--batches: expected int, got many"),
    (("--repeats", "36"), "--repeats: expected a multiple of 8, at least 32, got 36"),
    (("--seed", str(2**70)), f"--seed: expected 0 to 4294967295, got {2**70}"),
    (("--device", "tpu"), "--device: expected auto, cpu or cuda, got tpu"),
    (("--estimator", "DisARM"), "unknown option --estimator, did you mean --estimators?; --help lists all of them"),
    (("--data.bach_size", "7"), "--data.bach_size: Digits has no such option, did you mean batch_size?"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "message"), MESSAGES, ids=[" ".join(args) for args, _ in MESSAGES])
def test_a_bad_option_is_reported_in_one_line(refused, args, message):
    assert refused(*args).startswith(message)


def test_the_nearest_estimator_is_named(refused):
    assert refused("--estimators", "DisARN").endswith("got DisARN, did you mean DisARM?")


def test_a_memory_budget_that_is_too_small_names_the_smallest_that_works(refused, trained):
    args = ("--estimators", "DisARM", "LocalExpectation", "--repeats", "32", "--batches", "1")
    message = refused(*args, "--memory_budget", "1000")
    assert message.startswith("--memory_budget: ")
    (least,) = re.findall(r"memory_budget: expected at least ([\d,]+) bytes .*, got 1,000$", message)
    enough = int(least.replace(",", ""))
    assert f"expected at least {least} bytes" in refused(*args, "--memory_budget", str(enough - 1))
    args = (*args, "--memory_budget", str(enough))
    ended = compare("gradients", "--checkpoint", trained.run_ids[0], *args, root=trained.root)
    assert ended.code == 0, ended.err


def test_the_checkpoint_is_needed_and_must_be_there(refused, tmp_path):
    assert refused(checkpoint="") == "--checkpoint is needed: the id or the name of a run, or a .ckpt file"
    assert refused(checkpoint="none.ckpt") == "--checkpoint: there is no file none.ckpt"
    assert refused(checkpoint="f" * 32).startswith(f"--checkpoint: there is no file {'f' * 32}, and no run of that id")
    store = tmp_path / "elsewhere" / "mlflow.db"
    assert refused(checkpoint="f" * 32, root=store.parent) == (
        f"--checkpoint: there is no file and no run {'f' * 32}: the store {store} does not exist"
    )


@pytest.mark.usefixtures("undrawn")
def test_a_name_of_several_runs_is_refused_with_their_ids(refused, tmp_path_factory):
    root = tmp_path_factory.mktemp("twice")
    ended = fit("--model", "DiscreteVAE", *SMALL, "--trainer.max_steps", "1", root=root)
    again = fit("--model", "DiscreteVAE", *SMALL, "--trainer.max_steps", "1", root=root)
    message = refused(checkpoint=ended.run.info.run_name, root=root)
    assert message == (
        f"--checkpoint: 2 runs are called {ended.run.info.run_name}, name one by its id: "
        f"{again.run_ids[0]}, {ended.run_ids[0]}"
    )


def test_what_is_no_checkpoint_of_ours_is_refused(refused, trained, tmp_path):
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    assert refused(checkpoint="text.ckpt") == "--checkpoint text.ckpt: text.ckpt is damaged: File is not a zip file"
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    assert refused(checkpoint="other.ckpt") == (
        "--checkpoint other.ckpt: other.ckpt: expected a checkpoint of a run of reparam_suite, got another file"
    )
    torch.save({"hyper_parameters": Digits()}, tmp_path / "pickle.ckpt")
    assert refused(checkpoint="pickle.ckpt") == (
        "--checkpoint pickle.ckpt: pickle.ckpt is refused: it holds more than data, and would run code"
    )


def edited(trained, file, change):
    """A copy of the checkpoint of which `change` has altered the content."""
    content = torch.load(best(trained), weights_only=True)
    change(content)
    CheckpointFiles().save_checkpoint(content, file)
    return str(file)


def test_weights_of_another_architecture_are_refused(refused, trained, tmp_path):
    def change(content):
        content["reparam_suite"]["model"]["init_args"]["latent_size"] = 7

    edited(trained, tmp_path / "other.ckpt", change)
    assert refused(checkpoint="other.ckpt").startswith("--checkpoint other.ckpt is of another architecture: ")


def test_weights_that_are_nan_are_refused(refused, trained, tmp_path):
    def change(content):
        next(value for value in content["state_dict"].values() if value.dim() == 2)[0, 0] = torch.nan

    edited(trained, tmp_path / "nan.ckpt", change)
    assert refused(checkpoint="nan.ckpt").startswith(
        "--checkpoint nan.ckpt: model: expected finite weights, got NaN in "
    )


TRAPS = {
    "model": lambda parts: parts["model"].update(class_path="trap.Trap"),
    "argument of the model": lambda parts: parts["model"]["init_args"].update(encoder={"class_path": "trap.Trap"}),
    "a function": lambda parts: parts["model"]["init_args"].update(encoder={"reference": "trap.trap"}),
    "estimator": lambda parts: parts["model"]["init_args"]["estimator"].update(class_path="trap.Trap"),
    "objective": lambda parts: parts["model"]["init_args"].update(objective={"class_path": "trap.Trap"}),
    "data": lambda parts: parts["data"].update(class_path="trap.Trap"),
    "argument of the data": lambda parts: parts["data"]["init_args"].update(seed={"class_path": "trap.Trap"}),
}


@pytest.mark.parametrize("options", [(), ("--data.batch_size", "50")], ids=["as recorded", "an option of the data"])
@pytest.mark.parametrize("trap", TRAPS.values(), ids=list(TRAPS))
def test_nothing_in_a_file_runs_code(refused, trained, tmp_path, monkeypatch, trap, options):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "trap.py").write_text("raise SystemExit('the trap ran')")
    edited(trained, tmp_path / "trapped.ckpt", lambda content: trap(content["reparam_suite"]))
    message = refused(*options, checkpoint="trapped.ckpt")
    assert message.startswith("--checkpoint trapped.ckpt: ")
    assert "expected a class of reparam_suite" in message
    assert message.endswith("--allow_modules")
    assert "trap" not in sys.modules


def test_a_string_that_names_a_class_stays_a_string(refused, trained, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "trap.py").write_text("raise SystemExit('the trap ran')")
    edited(
        trained,
        tmp_path / "s.ckpt",
        lambda content: content["reparam_suite"]["data"]["init_args"].update(seed="trap.Trap"),
    )
    for options in ((), ("--data.batch_size", "50")):
        refused(*options, checkpoint="s.ckpt")
    assert "trap" not in sys.modules


def test_a_module_that_is_allowed_may_be_named(trained, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text("from reparam_suite.data import Digits\nclass Mine(Digits):\n    pass\n")
    file = edited(
        trained, tmp_path / "mine.ckpt", lambda content: content["reparam_suite"]["data"].update(class_path="mine.Mine")
    )
    args = ("--checkpoint", file, *QUICK, "--estimators", "DisARM", "--allow_modules", "mine")
    ended = compare("gradients", *args, root=tmp_path / "runs")
    assert ended.code == 0, ended.err


def test_data_that_were_replaced_are_refused_with_both_digests(refused, trained, tmp_path):
    edited(trained, tmp_path / "other.ckpt", lambda content: content["reparam_suite"].update(digest="ffff"))
    message = refused(checkpoint="other.ckpt")
    assert "expected the data that it was trained on, Digits of digest ffff, got digest " in message
    assert refused("--data", "Digits", "--batches", "99", checkpoint="other.ckpt").startswith("--batches")


def test_data_of_another_size_are_refused_by_both_sides(refused, trained, real_file):
    message = refused("--data", "Arrays", "--data.path", str(real_file))
    assert message == "--data: expected rows of shape (64,), the event_shape of DiscreteVAE, got (5,) from Arrays-line"


def test_a_file_that_does_not_know_its_data_asks_for_them(refused, trained, tmp_path):
    edited(trained, tmp_path / "bare.ckpt", lambda content: content["reparam_suite"].pop("data"))
    assert refused(checkpoint="bare.ckpt") == (
        "--checkpoint bare.ckpt does not say on which data it was trained: name them, as in --data Digits"
    )
    args = ("--checkpoint", str(tmp_path / "bare.ckpt"), "--data", "Digits", *QUICK, "--estimators", "DisARM")
    ended = compare("gradients", *args, root=tmp_path / "runs")
    assert ended.code == 0, ended.err
