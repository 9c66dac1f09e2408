"""Nothing in a file runs code: a module beside the files, named wherever a class may stand, is never imported."""

import copy
import itertools
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tests.launching import compare, fit
from tests.running.models import gaussian
from tests.running.resuming import Stopped

from reparam_suite import Run, load
from reparam_suite.data import Digits
from reparam_suite.models import GaussianVAE
from reparam_suite.runtime.errors import SuiteError
from reparam_suite.training import HEADER, CheckpointFiles, RecordSettings

TRAP = {"class_path": "trap.Trap", "init_args": {}}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Stopped:
    """A run of two steps."""
    record = RecordSettings(gradients_every=1_000, test_data=0)
    return Stopped.after(Run(gaussian, Digits(), max_steps=2, record=record), tmp_path_factory.mktemp("stopped"))


@pytest.fixture
def run(stopped, tmp_path) -> Stopped:
    return stopped.copy(tmp_path)


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module in the working directory, which is importable; it leaves a file wherever it is imported or called."""
    sprung = tmp_path / "sprung"
    (tmp_path / "trap.py").write_text(
        f"open({str(sprung)!r}, 'w').close()\n"
        "class Trap:\n    def __init__(self, *args, **kwargs): pass\n"
        "def trap(*args, **kwargs): pass\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield sprung
    sys.modules.pop("trap", None)


def placed(config: dict[str, Any], *keys: str | int, value: Any = TRAP) -> dict[str, Any]:
    """A copy of a configuration with `value` in a place."""
    changed = copy.deepcopy(config)
    inner: Any = changed
    for key, following in itertools.pairwise(keys):
        if not isinstance(inner[key] if not isinstance(inner, dict) else inner.get(key), dict | list):
            inner[key] = [None] if isinstance(following, int) else {}
        inner = inner[key]
    inner[keys[-1]] = value
    return changed


SCORE = {"class_path": "reparam_suite.estimators.ScoreFunction", "init_args": {"num_samples": 2, "baseline": TRAP}}
ELBO = {"class_path": "reparam_suite.objectives.ELBO", "init_args": {"weight": TRAP}}
STOPPING = {"class_path": "lightning.pytorch.callbacks.LambdaCallback", "init_args": {"on_fit_start": "trap.trap"}}
CLASSES = {
    "model": ("model",),
    "data": ("data",),
    **{
        name: ("model", "init_args", name)
        for name in ("posterior", "likelihood", "encoder", "decoder", "prior", "objective", "estimator", "optimizer")
    },
}
PLACES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    **{name: (lambda config, keys=keys: placed(config, *keys)) for name, keys in CLASSES.items()},
    "baseline": lambda config: placed(config, "model", "init_args", "estimator", value=SCORE),
    "within an objective": lambda config: placed(config, "model", "init_args", "objective", value=ELBO),
    "an argument of the data": lambda config: placed(config, "data", "init_args", "batch_size"),
    "a reference": lambda config: placed(config, "model", "init_args", "encoder", value={"reference": "trap.trap"}),
    "a class path alone": lambda config: placed(config, "model", "init_args", "estimator", value="trap.Trap"),
}
OF_A_FILE = {
    **PLACES,
    "callbacks": lambda config: placed(config, "trainer", "callbacks", 0),
    "a function of a callback": lambda config: placed(config, "trainer", "callbacks", 0, value=STOPPING),
    "logger": lambda config: placed(config, "trainer", "logger"),
    "profiler": lambda config: placed(config, "trainer", "profiler"),
    "plugins": lambda config: placed(config, "trainer", "plugins", 0),
    "strategy": lambda config: placed(config, "trainer", "strategy"),
    "a tag of YAML": lambda config: placed(config, "trainer", "callbacks", value="!!python/object/apply:trap.trap []"),
}


def kept(run: Stopped) -> Path:
    return run.root / "checkpoints" / run.run_id / "config.yaml"


@pytest.mark.parametrize("place", OF_A_FILE)
def test_a_configuration_beside_checkpoints_runs_no_code(run, trap, place):
    config = OF_A_FILE[place](yaml.safe_load(kept(run).read_text()))
    kept(run).write_text(
        yaml.safe_dump(config).replace("'!!python/object/apply:trap.trap []'", "!!python/name:trap.trap")
    )
    before = run.state()
    more = ["--trainer.max_steps", "3", "--allow_changes", "true"]
    ended = fit("--resume", run.run_id, *more, root=run.root)
    assert ended.code == 2, ended.err
    assert ended.err.count("\n") == 1
    assert not trap.exists()
    with pytest.raises((SuiteError, TypeError)):
        Run.resume(run.run_id, tracking=run.tracking, max_steps=3).fit()
    assert not trap.exists()
    assert run.state() == before


def changed_checkpoint(run: Stopped, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """The last checkpoint of a run with another header, and nothing wrong with its checksums."""
    path = run.root / "checkpoints" / run.run_id / "last.ckpt"
    content = torch.load(path, weights_only=True)
    content[HEADER] |= change({name: content[HEADER][name] for name in ("model", "data")})
    recorded = content[HEADER]["model"]
    if isinstance(recorded, dict):
        content[GaussianVAE.CHECKPOINT_HYPER_PARAMS_KEY] = {
            "_class_path": recorded.get("class_path"),
            "_instantiator": "trap.trap",
            **recorded.get("init_args", {}),
        }
    CheckpointFiles().save_checkpoint(content, path)
    return path


@pytest.mark.parametrize("place", PLACES)
def test_a_checkpoint_runs_no_code(run, trap, place):
    path = changed_checkpoint(run, PLACES[place])
    shutil.copyfile(path, path.parent / "best.ckpt")
    compared = compare("gradients", "--checkpoint", str(path), "--estimators", "Pathwise", root=run.root)
    assert compared.code == 2, compared.err
    attempts: list[Callable[[], Any]] = [lambda: load(run.run_id, tracking=run.tracking)]
    if place not in ("data", "an argument of the data"):
        attempts.append(lambda: GaussianVAE.load_from_checkpoint(path))
    for attempt in attempts:
        if place in ("data", "an argument of the data"):
            attempt()  # the data are not needed
            continue
        with pytest.raises((SuiteError, TypeError, ValueError, RuntimeError)):
            attempt()
    assert not trap.exists()


def test_an_instantiator_is_not_called(run, trap):
    path = changed_checkpoint(run, lambda header: header)
    model = GaussianVAE.load_from_checkpoint(path)
    assert model.latent_size == 3
    assert not trap.exists()


def test_a_module_that_is_allowed_is_imported(run, trap):
    """The way out that the refusal names; what it makes is then held to its type."""
    config = placed(yaml.safe_load(kept(run).read_text()), "model", "init_args", "estimator")
    kept(run).write_text(yaml.safe_dump(config))
    ended = fit("--resume", run.run_id, "--trainer.max_steps", "3", root=run.root)
    assert ended.err == (
        f"reparam_suite.fit: --resume: {kept(run)}: trap.Trap: expected a class of reparam_suite, "
        "lightning.pytorch.callbacks; allow its module if you trust it, with --allow_modules\n"
    )
    assert not trap.exists()
    ended = fit("--resume", run.run_id, "--trainer.max_steps", "3", "--allow_modules", "trap", root=run.root)
    assert ended.code == 2
    assert trap.exists()


def test_a_file_that_the_command_line_names_may_name_what_it_likes(trap, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump({"model": {"class_path": "trap.Trap"}}))
    ended = fit("--config", str(file), root=tmp_path / "mlruns")
    assert ended.code == 2
    assert trap.exists()
