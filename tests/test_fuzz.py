"""Odd options, values, files, databases, checkpoints: a command works, or is refused and leaves all as it was.

Seeded and in this process. What would train is made and checked, and nothing is trained: that a run works is the matter
of other tests.
"""

import copy
import hashlib
import io
import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
import yaml
from tests.launching import as_it_was
from tests.running.models import gaussian
from tests.running.resuming import Stopped

from reparam_suite import Run, compare, fit, study, sync
from reparam_suite.commands.jsonargparse_internals import option_strings
from reparam_suite.commands.schema import run_parser
from reparam_suite.data import Digits
from reparam_suite.running.assembly import assemble
from reparam_suite.running.resumed import check_resumption
from reparam_suite.tracking import Store
from reparam_suite.training import RecordSettings

COMMANDS = {"fit": fit.main, "compare": compare.main, "study": study.main, "sync": sync.main}

VALUES = [
    *("", " ", "-1", "0", "1e400", ".nan", "-.inf", "null", "true", "1e20", "2.5", "99999999999999999999"),
    *("[]", "{}", "[1, [2]]", "{a: 1, a: 2}", "{x: {y: [null]}}", "[" * 3_000, "&a [*a]", "*a", "a: b: c"),
    *("x" * 5_000, "a\0b", "é\x1b[31m", "[red]x[/red]", "../..", "/dev/null", "-", "--", "=", "%s%n"),
    *(
        "!!python/name:os.system",
        "os.system",
        "GradientEstimator",
        "DisARM",
        "DiscreteVAE",
        "nomodule.Mine",
        "json.dumps",
    ),
]
OF_CLASSES = [
    *(
        "latent_size",
        "hidden_sizes",
        "learning_rate",
        "optimizer",
        "objective",
        "objective.weight",
        "posterior",
        "prior",
    ),
    *("estimator", "estimator.num_samples", "estimator.baseline", "encoder", "likelihood", "activation", "event_shape"),
]
OPTIONS = [
    *(
        option
        for option in option_strings(run_parser())
        if not option.endswith(("help", "+")) and "print_" not in option
    ),
    *(f"--model.{name}" for name in OF_CLASSES),
    *("--data.batch_size", "--data.binarization", "--data.event_shape", "--data.seed", "--tags.a", "--lr", "--epochs"),
    *("--model.optimizer.name", "--model.optimizer.options", "--trainer.callbacks.monitor", "stray", "-x", "--"),
]
YAMLS = [
    *(b"", b"\x00\xff\xfe", b"- 1", b"a: b: c", b"seed: 1\nseed: 2", b"&a [*a]", b"[" * 50_000, b"# \xc3\xa9\nseed: x"),
    *(b"model: !!python/object/apply:os.system [x]", b"model: null", b"model: {class_path: 3}", b"trainer: [1]"),
    *(b"model: {class_path: GaussianVAE, init_args: [1]}", b"data: {class_path: Digits, init_args: {a: 1}}", b"{1: 2}"),
    *(
        b"tracking: {uri: 3, root: [a]}",
        b"? [1]\n: 2",
        b"seed: 2024-99-99",
        b"space: {x: {float: [1]}}",
        b"\xef\xbb\xbfseed: 3",
    ),
]
ODD_PARTS: list[Any] = [None, -1, "x", [], {}, float("nan"), 10**12, True, torch.zeros(3), {"a": None}, [None]]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Stopped:
    """A run of two steps."""
    record = RecordSettings(gradients_every=1_000, test_data=0)
    return Stopped.after(Run(gaussian, Digits(), max_steps=2, record=record), tmp_path_factory.mktemp("stopped"))


@pytest.fixture
def folder(stopped, tmp_path, monkeypatch) -> Path:
    """A working directory with a run, and odd files beside it."""
    copied = stopped.copy(tmp_path)
    Store.open(copied.tracking)  # a root that was copied is told so once
    for number, content in enumerate(YAMLS):
        (tmp_path / f"{number}.yaml").write_bytes(content)
    (tmp_path / "text.npz").write_bytes(b"PK no archive")
    np.savez(tmp_path / "empty.npz", x_train=np.zeros((0, 4)))
    np.savez(tmp_path / "objects.npz", x_train=np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "nan.npz", x_train=np.full((20, 4), np.nan))
    (tmp_path / "text.db").write_bytes(b"no database " * 100)
    optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/optuna.db")
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as connection:
        connection.execute("CREATE TABLE runs (a)")
    (tmp_path / "directory.ckpt").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _nothing_trains(monkeypatch):
    def fit_within(run, surroundings):
        parts = assemble(run, surroundings)
        if run.resumption is not None:
            check_resumption(parts, run.resumption, lambda _: None)
        Store.begin(run.tracking, lambda _: None)

    monkeypatch.setattr(Run, "fit_within", fit_within)
    monkeypatch.setattr("reparam_suite.studies.launch.check_trials", lambda *_, **__: None)
    monkeypatch.setattr("reparam_suite.studies.launch._Launch.run", lambda *_: None)


def state(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha1(path.read_bytes()).hexdigest() if path.is_file() else "directory"
        for path in sorted(folder.rglob("*"))
    }


def ending(folder: Path, command: str, args: list[str]) -> str:
    """How a command ends: it works, or it is refused; anything else is told."""
    before, out, err = state(folder), io.StringIO(), io.StringIO()
    with as_it_was(), redirect_stdout(out), redirect_stderr(err):
        try:
            code: Any = COMMANDS[command](args)
        except SystemExit as error:
            code = error.code
        except BaseException as error:  # noqa: BLE001 - that is what is looked for
            code = repr(error)[:300]
    if code in (0, None):
        return "works"
    lines = err.getvalue().splitlines()
    refused = code == 2 and 1 <= len(lines) <= 3 and lines[0].startswith(f"reparam_suite.{command}: ")
    changed = sorted(state(folder).items() ^ before.items())
    return "refused" if refused and not changed else f"{code}: {err.getvalue()[:300]} {changed[:4]}"


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places in a checkpoint, by their keys."""
    if path:
        yield path
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*path, key))


def damaged(content: dict[str, Any], generator: random.Random) -> dict[str, Any]:
    """A copy of a checkpoint in which a part is gone or another."""
    changed = copy.deepcopy(content)
    *parents, last = generator.choice(list(leaves(content)))
    inner: Any = changed
    for key in parents:
        inner = inner[key]
    if generator.random() < 0.3:
        del inner[last]
    else:
        inner[last] = generator.choice(ODD_PARTS)
    return changed


def with_options(draw: random.Random, folder: Path, run_id: str) -> tuple[str, list[str]]:
    args = []
    for option in draw.sample(OPTIONS, draw.choice((1, 1, 2))):
        value = draw.choice(VALUES)
        args += draw.choice(([option, value], [f"{option}={value}"]))
    return "fit", args


def with_files(draw: random.Random, folder: Path, run_id: str) -> tuple[str, list[str]]:
    name = f"{draw.randrange(len(YAMLS))}.yaml"
    array = draw.choice(("text.npz", "empty.npz", "objects.npz", "nan.npz", ".", "none.npz"))
    kept = folder / "mlruns/checkpoints" / run_id / "config.yaml"
    cases: list[tuple[str, list[str]]] = [
        ("fit", ["--config", name]),
        ("fit", ["--trainer", name]),
        ("study", ["--config", name]),
        ("fit", ["--data", "Arrays", "--data.path", array]),
        ("compare", ["gradients", "--checkpoint", run_id, "--estimators", name]),
    ]
    if draw.random() < 0.3:
        kept.write_bytes(draw.choice(YAMLS))
        return "fit", ["--resume", run_id, "--trainer.max_steps", "3"]
    return draw.choice(cases)


def with_databases(draw: random.Random, folder: Path, run_id: str) -> tuple[str, list[str]]:
    uri = draw.choice(
        [
            *(f"sqlite:///{name}" for name in ("text.db", "optuna.db", "foreign.db", "none/x.db", "mlruns", "x" * 300)),
            *("sqlite://", "sqlite:///", "http://[::1", "http://a:b", "postgresql://a:b@localhost:99999/x", "mlruns"),
            *("mysql://localhost:x", "file:///x", "sqlite:///:memory:", "databricks", "ftp://x", "://", "a\0b", "é"),
        ]
    )
    space = {"model.learning_rate": {"log_float": [1e-3, 1e-1]}}
    (folder / "base.yaml").write_text("seed: 1")
    (folder / "study.yaml").write_text(yaml.safe_dump({"name": "s", "base": "base.yaml", "space": space, "trials": 1}))
    cases: list[tuple[str, list[str]]] = [
        ("fit", ["--tracking.uri", uri]),
        ("fit", ["--resume", run_id, "--tracking.uri", uri]),
        ("sync", ["--tracking.uri", uri]),
        ("compare", ["runs", "--tracking.uri", uri]),
        ("compare", ["gradients", "--checkpoint", "x", "--tracking.uri", uri]),
        ("compare", ["runs", "--output", draw.choice(("text.db", "text.db/x", "\0", "x" * 300))]),
        ("compare", ["gradients", "--checkpoint", run_id, "--seed", draw.choice(VALUES)]),
        ("fit", ["--tracking.root", draw.choice(("text.db", "text.db/x", "x" * 300, "a\0b", "/proc/x"))]),
        *([("study", ["--config", "study.yaml", "--storage", uri])] * 3),
    ]
    return draw.choice(cases)


def with_checkpoints(draw: random.Random, folder: Path, run_id: str) -> tuple[str, list[str]]:
    path = folder / "mlruns/checkpoints" / run_id / "last.ckpt"
    shutil.rmtree(path.parent / "best.ckpt", ignore_errors=True)
    kind = draw.random()
    if kind < 0.1:
        path.unlink()
        path.mkdir()
    elif kind < 0.3:
        whole = bytearray(path.read_bytes())
        whole[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(whole[: draw.choice((len(whole), draw.randrange(len(whole))))])
    else:
        torch.save(damaged(torch.load(path, weights_only=True), draw), path)
    target = draw.choice((run_id, str(path), "directory.ckpt"))
    return draw.choice(
        [
            ("fit", ["--resume", target, "--trainer.max_steps", "3"]),
            ("compare", ["gradients", "--checkpoint", target, "--estimators", "NoneOfThese"]),
        ]
    )


KINDS: dict[str, tuple[Callable[[random.Random, Path, str], tuple[str, list[str]]], int]] = {
    "options": (with_options, int(os.environ.get("FUZZ_N", "40"))),
    "files": (with_files, int(os.environ.get("FUZZ_N", "25"))),
    "databases": (with_databases, int(os.environ.get("FUZZ_N", "20"))),
    "checkpoints": (with_checkpoints, int(os.environ.get("FUZZ_N", "20"))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_works_or_is_refused_and_nothing_has_changed(stopped, folder, kind):
    draw_case, number = KINDS[kind]
    original = folder / "mlruns/checkpoints" / stopped.run_id
    kept = {path: path.read_bytes() for path in original.iterdir()}
    endings: Counter[str] = Counter()
    wrong = []
    for seed in range(number):
        draw = random.Random(f"{kind} {os.environ.get('FUZZ_SEED', '')} {seed}")
        command, args = draw_case(draw, folder, stopped.run_id)
        ended = ending(folder, command, args)
        endings[ended if ended in ("works", "refused") else "wrong"] += 1
        if ended not in ("works", "refused"):
            wrong.append(f"{command} {[word[:60] for word in args]}: {ended}")
        shutil.rmtree(original)
        original.mkdir()
        for path, content in kept.items():
            path.write_bytes(content)
    print(dict(endings))
    assert wrong == [], "\n".join(wrong)
    assert endings["refused"] > number / 3, "else the cases are not odd"
    if kind == "options":
        assert endings["works"] > 0, "else nothing is tried to its end"
