"""Several processes as a user starts them: one run in the store, each line once, and an end for all when one dies."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from tests.launching import Ended, as_it_was, fit
from tests.lives import Life

from reparam_suite.runtime.launchers import FIRST_PROCESS
from reparam_suite.tracking import Store, TrackingSettings

GLOO = ["--trainer", str(Path(__file__).parents[1] / "conf" / "trainer" / "ddp-gloo.yaml")]
SHORT = [*GLOO, "--trainer.max_steps", "15", "--record.every", "4", "--model.hidden_sizes", "[16]"]
SHORT += ["--record.test_data", "0"]
ENDLESS = [*SHORT, "--trainer.max_steps", "-1"]

# Every process tells at its end whether it has imported MLflow; one has a bug.
WITNESS = """
import atexit, os, sys
rank = os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0"))
folder = os.path.dirname(__file__)
if "reparam_suite.fit" in sys.orig_argv and "torch.distributed.run" not in sys.orig_argv:
    atexit.register(lambda: open(f"{folder}/{rank}", "w").write(str("mlflow" in sys.modules)))
"""
BUG = """
import os
from reparam_suite.estimators import Pathwise
from reparam_suite.estimators.base import GradientEstimator
class Buggy(GradientEstimator):
    bounds, differentiates_f, unbiased = Pathwise.bounds, True, True
    def __init__(self, *, num_samples: int = 1) -> None:
        super().__init__(num_samples=num_samples)
        self.pathwise, self.num_steps = Pathwise(), 0
    def estimate(self, target):
        self.num_steps += self.training
        if self.num_steps == 10 and os.environ.get("LOCAL_RANK") == "1":
            raise ZeroDivisionError("in process 1")
        return self.pathwise.estimate(target)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root: Path = tmp_path_factory.mktemp("runs") / "mlruns"
    with as_it_was():
        Store.open(TrackingSettings(root=root))  # before this process and a command look into it at once
    return root


@pytest.fixture
def path(tmp_path) -> dict[str, str]:
    """The environment in which processes find a witness and an estimator with a bug."""
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    (tmp_path / "buggy.py").write_text(BUG)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])}


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def started(*args: str, root: Path, launcher: tuple[str, ...] = (sys.executable,), **env: str) -> Ended:
    """The command as users start it, to its end."""
    done = subprocess.run(
        [*launcher, "-m", "reparam_suite.fit", "--tracking.root", str(root), *args],
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **env},
    )
    return finished(Ended(done.returncode, done.stdout, done.stderr, root))


def begin(*args: str, root: Path, directory: Path, name: str = "", num_further: int = 1, **env: str) -> Life:
    """The command and its further processes, which need not import everything."""
    given = ["--tracking.root", str(root), *args]
    return Life.begin(given, directory, None, {"COLUMNS": "200", **env}, name=name, num_further=num_further)


def finished(ended: Ended) -> Ended:
    assert (ended.code, ended.err) == (0, "")
    return ended


def is_one_run(ended: Ended) -> None:
    assert ended.run.info.status == "FINISHED"
    assert ended.run.data.tags["num_processes"] == "2"
    assert [step for step, _ in ended.curve("train/elbo")] == [1, 4, 8, 12, 15]
    assert [step for step, _ in ended.curve("val/elbo")] == [0, 13, 15]
    assert [step for step, _ in ended.curve("test/elbo")] == [15]
    for line in (r"Results \(bounds in nats\)", "test ELBO", "MLflow UI", ended.run.info.run_name):
        assert len(re.findall(rf"^.{{0,3}}{line}", ended.out, re.MULTILINE)) == 1, line


@pytest.mark.slow
def test_started_by_the_command_itself(root, path, tmp_path):
    root = tmp_path / "mlruns"  # a fresh store, which two processes that open it at once break for good
    many = ["--record.test_samples", "200", "--record.test_data", "400"]
    leftovers = {"LOCAL_RANK": "0", "RANK": "3", "WORLD_SIZE": "8", "NODE_RANK": "1", "MASTER_ADDR": "192.0.2.1"}
    ended = started(*SHORT, *many, root=root, **path, **leftovers)
    assert len(ended.every_run()) == 1
    is_one_run(ended)
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["True", "False"], "the first alone knows MLflow"
    recorded = ended.run.data.metrics
    assert recorded["test/bound_200"] > recorded["test/bound_100"] > recorded["test/elbo"]
    ratio = recorded["grad/encoder/variance_of_one_process"] / recorded["grad/encoder/variance"]
    assert ratio == pytest.approx(2.0, rel=0.05)
    names = {file.name for file in (ended.artifacts() / "checkpoints").iterdir()}
    assert names == {"best.ckpt", "last.ckpt"}
    assert (ended.artifacts() / "figures" / "curves.png").exists()
    assert (ended.root / "artifacts").exists()


@pytest.mark.slow
def test_started_by_torchrun_a_run_for_each_seed(root, path, tmp_path):
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", free_port())
    before = len(Ended(0, "", "", root).every_run())
    ended = started(*SHORT, "--seeds", "4", "5", root=root, launcher=torchrun, **path)
    assert len(ended.run_ids) == len(ended.every_run()) - before == 2
    four, five = (ended.curve("test/elbo", run_id) for run_id in ended.run_ids)
    assert four != five
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["True", "False"]


@pytest.mark.slow
def test_started_by_slurm(root, tmp_path):
    """As far as it goes without SLURM: its variables, and both processes at once."""
    job = {"JOB_ID": "77", "NTASKS": "2", "NTASKS_PER_NODE": "2", "NNODES": "1", "NODEID": "0", "NODELIST": "localhost"}
    slurm = {f"SLURM_{name}": value for name, value in job.items()} | {"MASTER_PORT": free_port()}
    lives = [
        begin(
            *SHORT,
            root=root,
            directory=tmp_path,
            name=rank,
            num_further=0,
            SLURM_PROCID=rank,
            SLURM_LOCALID=rank,
            **slurm,
        )
        for rank in ("1", "0")
    ]
    silent, ended = (finished(life.ended(root)) for life in lives)
    assert silent.out == ""
    is_one_run(ended)


@pytest.mark.slow
def test_several_seeds_are_runs_one_after_the_other_each_with_processes_of_its_own(root, tmp_path):
    life = begin(*SHORT, "--seeds", "4", "5", root=root, directory=tmp_path, num_further=2)
    ended = finished(life.ended(root))
    assert len(ended.run_ids) == 2
    four, five = (ended.curve("test/elbo", run_id) for run_id in ended.run_ids)
    assert four != five
    assert [ended.client.get_run(run_id).data.tags["num_processes"] for run_id in ended.run_ids] == ["2", "2"]


SCRIPT = """
import sys
import torch
from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.models import GaussianVAE
from reparam_suite.training import RecordSettings

def model():
    return GaussianVAE(event_shape=(64,), latent_size=3, hidden_sizes=(16,))

if __name__ == "__main__":
    print("begun")
    record = RecordSettings(every=4, gradients_every=6, test_data=0)
    trainer = {"accelerator": "cpu", "devices": 2}
    result = Run(model, Digits(), seed=2, max_steps=15, record=record, trainer=trainer).fit()
    print("run       ", result.run_id)
    print("steps     ", result.num_steps, "finite", result.metrics["test/elbo"] < 0.0)
    try:
        Run(model, Digits(), max_steps=1, record=record, trainer=trainer).fit()
    except ValueError as error:
        print(error)
"""


@pytest.mark.slow
def test_started_by_a_script_the_further_processes_end_with_the_run(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    script = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert (script.returncode, script.stderr) == (0, "")
    assert script.stdout.count("begun\n") == 2
    ended = Ended(0, script.stdout, "", tmp_path / "mlruns")
    assert len(ended.every_run()) == len(ended.run_ids) == 1
    assert (ended.run.info.status, ended.run.data.tags["num_processes"]) == ("FINISHED", "2")
    assert [step for step, _ in ended.curve("train/elbo")] == [1, 4, 8, 12, 15]
    assert "steps      15 finite True\n" in script.stdout
    refusal = (
        "trainer.devices: expected one, since further processes start the same program again, "
        "which has to be a file whose first run this is, got 2\n"
    )
    assert script.stdout.count(refusal) == 1


# ------------------------------------------------------------------------------------------------------------- failures


@pytest.fixture
def endless(root, tmp_path) -> tuple[Life, str]:
    """A run of two processes that trains and has a checkpoint, and its id."""
    life, runs = begin(*ENDLESS, root=root, directory=tmp_path), Ended(0, "", "", root)
    before = {run.info.run_id for run in runs.every_run()}
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        assert life.process.is_alive(), life.told()
        for run in runs.every_run():
            last = root / "checkpoints" / run.info.run_id / "last.ckpt"
            if run.info.run_id not in before and "train/elbo" in run.data.metrics and last.exists():
                return life, run.info.run_id
        time.sleep(0.1)
    raise AssertionError("the run has not begun to train")


def child_of(life: Life) -> int:
    (child,) = psutil.Process(life.process.pid).children()
    return child.pid


def is_gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":  # whoever inherited it has not looked yet
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_a_killed_process_ends_the_other_and_the_run_has_failed(root, endless, tmp_path):
    life, run_id = endless
    os.kill(child_of(life), signal.SIGKILL)
    assert life.end() == 1
    assert life.told() == (
        "reparam_suite.fit: process 1 of 2 was ended by SIGKILL; the run is recorded up to here, as FAILED\n"
    )
    assert Ended(0, "", "", root).client.get_run(run_id).info.status == "FAILED"
    assert not list((root / "spool").glob(f"{run_id}*")), "all of it was sent"
    last = torch.load(root / "checkpoints" / run_id / "last.ckpt", weights_only=True)["global_step"]
    steps = ("--trainer.max_steps", str(last + 40))
    ended = finished(begin("--resume", run_id, *steps, root=root, directory=tmp_path).ended(root))
    assert (ended.run.info.run_id, ended.run.info.status) == (run_id, "FINISHED")
    for name in ("train/elbo", "val/elbo"):
        recorded = [step for step, _ in ended.curve(name)]
        assert recorded == sorted(set(recorded)), "no step is there twice"
    assert recorded[-1] == last + 40
    whole = finished(begin(*ENDLESS, *steps, root=root, directory=tmp_path).ended(root))
    for name in ("train/elbo", "val/elbo", "test/elbo"):
        assert ended.curve(name) == whole.curve(name), "each process continues with its own noise, bitwise"


@pytest.mark.slow
def test_after_the_death_of_the_first_process_the_other_says_so(endless):
    life, _ = endless
    child = child_of(life)
    life.process.kill()
    assert life.end() == -signal.SIGKILL
    assert is_gone_within(child, 240.0)  # a process that is not seen to have died is waited for 300 s
    assert life.told() == "reparam_suite.fit: the first process has died; the next command marks the run\n"


@pytest.mark.slow
def test_an_error_in_one_process_fails_the_run_and_is_reported_once(root, path, tmp_path):
    life = begin(*SHORT, "--model.estimator", "buggy.Buggy", root=root, directory=tmp_path, **path)
    assert life.end() == 1
    err = life.told()
    assert err.count("Traceback") == err.count("ZeroDivisionError: in process 1") == 1
    last = err.splitlines()[-1]
    assert last.startswith("reparam_suite.fit: process 1 of 2 has failed with exit code 1; the run is recorded")
    run = Ended(1, "", "", root).every_run()[0]
    assert run.info.status == "FAILED"
    assert [step for step, _ in Ended(1, "", "", root).curve("train/elbo", run.info.run_id)] == [1, 4, 8]


def test_what_is_wrong_for_all_processes_is_reported_by_the_first_alone(tmp_path, monkeypatch):
    wrong = ["--trainer.max_steps", "0"]
    assert fit(*wrong, root=tmp_path).err != ""
    started = {FIRST_PROCESS: "1", "LOCAL_RANK": "1"}
    torchrun = {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "127.0.0.1"}
    for variables in (started, torchrun):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            ended = fit(*wrong, root=tmp_path)
        assert (ended.code, ended.out, ended.err) == (2, "", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trainer.strategy", "fsdp"], "--trainer.strategy: expected auto or ddp, got fsdp"),
        (
            ["--data.batch_size", "1284"],
            "batch_size 1284: expected batches of at least 2 rows, one per process, "
            "got a last batch of 1 of the 1285 training rows",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused_before_anything_is_made(options, message, tmp_path):
    ended = fit(*GLOO, *options, root=tmp_path / "mlruns")
    assert (ended.code, ended.err) == (2, f"reparam_suite.fit: {message}\n")
    assert list(tmp_path.iterdir()) == []
