"""The answers of `fit` before its imports are those after them, and take none of them."""

import subprocess
import sys

import pytest
from tests.launching import fit

from reparam_suite.commands import early

COLD = sys.executable

PROGRAM = """
from tests.golden.surface import said_early
for file, text in said_early().items():
    assert file.read_text(encoding="utf-8") == text, f"make golden renews {file}"
"""


def test_the_texts_are_those_of_the_parser(warm_python):
    done = subprocess.run([warm_python, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["--epochs", "3"],
        ["--lr=1"],
        ["--seed", "1", "--modle.x", "2"],
        ["--bogus"],
        ["--seed", "one"],
        ["--seeds", "one", "2"],
        ["--estimator=Pathwis", "--max_steps", "1"],
        ["--model", "DiscreteVAE", "--model.estimator", "None_such"],
        ["--model", "GausianVAE"],
        ["--data", "Digit", "--config", "gaussian_vae"],
        ["--model.objective", "ELB"],
        ["--max_steps", "many", "--learning_rate", "x"],
        ["--learning_rate", "fast"],
        ["--trainer.gradient_clip_val", "low"],
        ["--compile", "maybe"],
    ],
)
def test_it_refuses_as_the_command_does(args, tmp_path):
    ended = fit(*args, root=tmp_path)
    assert ended.code == 2
    assert ended.err == f"reparam_suite.fit: {early.refusal(args)}\n"


def test_the_first_page_of_help_needs_no_more(tmp_path):
    assert (
        early.page(["--seed", "1", "--help"])
        == early.page(["-h", "--bogus"])
        == early.HELP.read_text("utf-8").rstrip("\n")
    )
    assert early.refusal(["--bogus", "--help"]) is None


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--help", "estimators"],
        ["--help=estimators", "--bogus"],
        ["--help", "DisARM"],
        ["--seed", "1", "--model.hidden_sizes", "[4]", "--estimator.num_samples=2", "--tags.a", "b", "--loggers+", "x"],
        ["--trainer.max_stepz", "3"],
        ["--seed", "1e3"],
        ["--seed", "null"],
        ["--compile", "yes"],
        ["--compile", "--seed", "1"],
        ["-c", "file"],
        ["--config", "own.yaml", "--learning_rate", "fast"],
        ["--model", "mine.Model", "--estimator", "Own"],
        ["--resume", "RUN_ID", "--estimator", "Own"],
        ["--estimator", "mine.Own"],
        ["--estimator", "{class_path: Own}"],
        ["--estimator", "DisARM", "--data", "Digits", "--latent_size", "x-1"],
        ["--trainer.precision", "bf16"],
        ["--trainer.callbacks", "EarlyStopping"],
        ["--model.help", "DisARM", "--bogus"],
    ],
)
def test_all_else_is_left_to_the_parser(args):
    assert early.page(args) is None
    assert early.refusal(args) is None


def test_a_further_process_says_nothing(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert early.page(["--help"]) is None
    assert early.refusal(["--bogus"]) is None


def test_no_library_that_takes_seconds_is_imported():
    program = (
        "import sys; from reparam_suite.commands import complaint, early\n"
        "assert early.page(['--help']) and early.refusal(['--bogus'])\n"
        "print({'torch', 'lightning', 'jsonargparse', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([COLD, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.parametrize(("args", "code"), [(["--help"], 0), (["--bogus"], 2)], ids=["help", "refusal"])
def test_the_command_answers_so(args, code):
    done = subprocess.run([COLD, "-m", "reparam_suite.fit", *args], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert (done.stdout, done.stderr) == (
        (early.HELP.read_text("utf-8"), "") if code == 0 else ("", f"reparam_suite.fit: {early.refusal(args)}\n")
    )


@pytest.mark.parametrize(
    ("args", "asks"),
    [
        (["--workers", "2"], True),
        (["--config", "FILE", "--workers=12", "--engine", "local"], True),
        (["--workers", "1"], False),
        (["--workers", "two"], False),
        (["--workers", "-2"], False),
        (["--workers"], False),
        (["--config", "FILE"], False),
        (["--workers", "2", "--engine=ray"], False),
        (["--workers", "2", "--dry_run"], False),
        (["--workers", "2", "--help"], False),
    ],
)
def test_workers_are_asked_for_where_there_are_several_on_this_machine(args, asks):
    assert early.asks_for_workers(args) == asks
