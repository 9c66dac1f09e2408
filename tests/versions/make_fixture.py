"""Makes 0.1.0.tar.xz, a store of version 0.1.0 with what that version computed from it. Kept to say how it was made.

The code of that version, in an environment with the packages of constraints.txt:

    git worktree add --detach ../reparam_suite-0.1.0 b5c60a2
    cd /tmp && OMP_NUM_THREADS=1 PYTHONPATH=.../reparam_suite-0.1.0/src python .../tests/versions/make_fixture.py

It writes the archive beside this file. The names of the machine and its user are replaced.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
import tarfile
from pathlib import Path

import torch
from reparam_suite.variational import parameters

from reparam_suite import fit, study
from reparam_suite.comparison.checkpoint import Checkpoint, _content
from reparam_suite.objectives import held_out_bounds
from reparam_suite.training import StepRecord

ARCHIVE = Path(__file__).with_name("0.1.0.tar.xz")
HOME = Path("/tmp/reparam_suite_0.1.0")  # it is in the record, and names nobody
STOP, END = 20, 32
SMALL = (
    *("--model.latent_size", "2", "--model.hidden_sizes", "[4]", "--data.batch_size", "100"),
    *("--record.every", "8", "--record.gradients_every", "16", "--record.test_data", "0"),
    *("--trainer.max_steps", str(END), "--tracking.root", "mlruns"),
)
RUNS = {
    "gaussian": ("--model", "GaussianVAE", "--model.prior", "learned", "--model.kl_warmup_steps", "10"),
    "discrete": (
        *("--model", "DiscreteVAE", "--model.num_layers", "2", "--seed", "3"),
        *("--model.centre_input", "true", "--model.initialize_bias", "true"),
        *("--model.estimator", "ScoreFunction", "--model.estimator.baseline", "VarianceNormalized"),
        *("--model.estimator.baseline.baseline", "Learned", "--model.estimator.baseline.baseline.hidden_sizes", "[3]"),
        *("--model.control_optimizer.learning_rate", "0.01"),
    ),
}
BASE = """\
model:
  class_path: GaussianVAE
  init_args: {latent_size: 2, hidden_sizes: [4], posterior: DiagonalNormal}
trainer: {max_epochs: -1, max_steps: 16}
record: {test_data: 0}
"""
STUDY = """\
name: rates
base: base.yaml
options: {model.kl_weight: 0.5}
space:
  model.learning_rate: {log_float: [1.0e-3, 1.0e-1]}
trials: 3
"""


def stop_at(step: int) -> None:
    """Has every run stop as a signal stops it, after a step."""
    inner = StepRecord.on_train_batch_end

    def on_train_batch_end(self, trainer, *args, **options):
        inner(self, trainer, *args, **options)
        if trainer.global_step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    StepRecord.on_train_batch_end = on_train_batch_end


def new_run(root: Path, known: set[str]) -> str:
    (found,) = {path.name for path in (root / "checkpoints").iterdir()} - known
    return found


def computed(run_id: str) -> dict:
    """The parameters of q(z|x) and the bounds that the best weights give."""
    file = HOME / "mlruns" / "checkpoints" / run_id / "best.ckpt"
    model = Checkpoint("best", "best", _content(file, "best")).model().eval()
    x = (torch.arange(4 * 64).reshape(4, 64) * 7 % 11 > 5).float()
    with torch.no_grad():
        q = {name: value.tolist() for name, value in parameters(model.posterior_of(x)).items()}
        torch.manual_seed(0)
        bounds = {name: value.tolist() for name, value in held_out_bounds(model, x, 20).items()}
    return {"posterior": q, "bounds": bounds}


def continued(run_id: str) -> dict:
    """The weights and metrics that version 0.1.0 gives where it resumes."""
    copy = Path(f"copy-{run_id}")  # of its own: the process keeps its connection to the database
    shutil.copytree("mlruns", copy)
    shutil.copytree("mlruns/artifacts", "artifacts")  # the copy writes to the original's
    assert fit.main(["--resume", run_id, "--tracking.root", str(copy)]) == 0
    content = torch.load(copy / "checkpoints" / run_id / "last.ckpt", weights_only=True)
    curves = content["callbacks"]["StepRecord"]["journal"]["curves"]
    shutil.rmtree(copy)
    shutil.rmtree("mlruns/artifacts")
    os.rename("artifacts", "mlruns/artifacts")
    return {
        "weights": {name: tensor.tolist() for name, tensor in content["state_dict"].items()},
        "metrics": {name: values[-1].item() for name, (_, values) in curves.items() if name.startswith("val/")},
    }


def squeeze(database: Path) -> None:
    connection = sqlite3.connect(database)
    if database.name == "mlflow.db":
        connection.execute("update tags set value = 'host' where key = 'process.host'")
        connection.execute("update tags set value = 'user' where key = 'mlflow.user'")
        connection.execute("update runs set user_id = 'user'")
    connection.commit()
    connection.execute("vacuum")
    connection.close()


def main() -> None:
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    os.chdir(HOME)
    root, known, expected = Path("mlruns"), set(), {}
    Path("base.yaml").write_text(BASE)
    Path("study.yaml").write_text(STUDY)
    assert study.main(["--config", "study.yaml", "--trials", "2", "--tracking.root", "mlruns"]) == 0
    known = {path.name for path in (root / "checkpoints").iterdir()}
    unstopped = StepRecord.on_train_batch_end
    for name, options in RUNS.items():
        stop_at(STOP)
        assert fit.main([*options, *SMALL]) == 128 + signal.SIGTERM
        StepRecord.on_train_batch_end = unstopped
        run_id = new_run(root, known)
        known.add(run_id)
        expected[name] = {"run_id": run_id, **computed(run_id), "continued": continued(run_id)}
    trials = {path.name for path in (root / "checkpoints").iterdir()} - {each["run_id"] for each in expected.values()}
    expected["trials"] = {run_id: computed(run_id) for run_id in sorted(trials)}
    Path("expected.json").write_text(json.dumps(expected))
    for path in (*root.rglob("*.png"), *root.rglob("*.html"), *root.rglob("*.lock"), *root.rglob("previous.ckpt")):
        path.unlink()
    shutil.rmtree(root / "artifacts" / "models")
    for database in root.glob("*.db"):
        squeeze(database)
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for path in sorted(HOME.rglob("*")):
            if path.is_file():
                archive.add(path, path.relative_to(HOME), filter=without_owner)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size / 1024:.0f} kB")


def without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    sys.exit(main())
