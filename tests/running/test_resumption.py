"""`--resume`: which run, from which file, under which options; what is refused is named, before anything changes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.launching import Ended, fit, undrawn
from tests.test_fit import SHORT, finished

from reparam_suite.tracking.options import options_of
from reparam_suite.training import HEADER, CheckpointFiles, GradientRecord
from reparam_suite.training.checkpoint_files import FORMAT


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs") / "mlruns"


@pytest.fixture(scope="module", autouse=True)
def _undrawn() -> Iterator[None]:
    with undrawn():
        yield


@pytest.fixture(scope="module")
def whole(root) -> Ended:
    """Thirty steps at once."""
    return finished(fit(*SHORT, "--trainer.max_steps", "30", root=root))


@pytest.fixture(scope="module")
def short(root) -> Ended:
    """The first fifteen of them."""
    return finished(fit(*SHORT, root=root))


@pytest.fixture
def run(short, root):
    """The files of the short run, which a test may change."""
    directory = root / "checkpoints" / short.run_ids[0]
    copy = root / "copy"
    shutil.copytree(directory, copy)
    yield directory
    shutil.rmtree(directory)
    copy.rename(directory)


def refused(ended: Ended, message: str) -> None:
    assert (ended.code, ended.err) == (2, f"reparam_suite.fit: {message}\n")


def change(path: Path, **header) -> None:
    content = torch.load(path, weights_only=True)
    content[HEADER] |= header
    CheckpointFiles().save_checkpoint(content, path)


def test_a_run_that_is_done_says_so(short, root):
    (run_id,) = short.run_ids
    message = (
        f"run {run_id} is FINISHED, all of its 15 steps are done; more are made with a larger max_steps or max_epochs"
    )
    refused(fit("--resume", run_id, root=root), message)
    assert short.client.get_run(run_id).info.status == "FINISHED"


def test_an_unknown_run_or_file_is_named(root, short, tmp_path):
    refused(fit("--resume", "0" * 32, root=root), f"there is no run {'0' * 32} in sqlite:///{root}/mlflow.db")
    missing = str(tmp_path / "last.ckpt")
    refused(
        fit("--resume", missing, root=root),
        f"--resume: expected a run's id or a checkpoint, got {missing}, and there is no such file",
    )
    nowhere = tmp_path / "nowhere"
    ended = fit("--resume", "0" * 32, root=nowhere)
    refused(
        ended,
        f"--resume: there is no run {'0' * 32}, since there is no sqlite:///{nowhere}/mlflow.db; "
        "tracking.root says where",
    )
    assert not nowhere.exists()


def test_options_that_differ_are_listed_with_both_values_and_refused(short, root):
    (run_id,) = short.run_ids
    ended = fit("--resume", run_id, "--model.learning_rate", "0.01", "--record.every", "5", root=root)
    message = (
        f"run {run_id} had other options: --model.init_args.learning_rate was 0.001, is 0.01; "
        "--record.every was 4, is 5. Leave them out, or resume all the same with --allow_changes true"
    )
    refused(ended, message)


def test_a_run_stays_in_its_experiment(short, root):
    (run_id,) = short.run_ids
    ended = fit("--resume", run_id, "--tracking.experiment", "other", root=root)
    refused(ended, f"--tracking.experiment: expected that of run {run_id}, got other")
    assert short.client.get_experiment_by_name("other") is None


def test_several_seeds_are_refused(short, root):
    ended = fit("--resume", short.run_ids[0], "--seeds", "1", "2", root=root)
    refused(ended, "--seeds: a resumed run has the seed that it had")


def test_another_architecture_is_refused_by_name(short, root):
    (run_id,) = short.run_ids
    more = ["--model.hidden_sizes", "[8]", "--trainer.max_steps", "20", "--allow_changes", "true"]
    ended = fit("--resume", run_id, *more, root=root)
    message = (
        f"--resume: {root}/checkpoints/{run_id}/last.ckpt is of another architecture: "
        "posterior.network.0.weight is [16, 64] there, [8, 64] here"
    )
    refused(ended, message)


def test_data_that_were_replaced_are_refused_with_both_digests_and_the_run_is_as_it_was(root, tmp_path):
    rows = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    path = tmp_path / "rows.npz"
    np.savez(path, x_train=rows)
    first = finished(fit(*SHORT, "--data", "Arrays", "--data.path", str(path), root=root))
    (run_id,) = first.run_ids
    np.savez(path, x_train=rows[::-1])
    last = root / "checkpoints" / run_id / "last.ckpt"
    before = last.read_bytes()
    for options in ([], ["--allow_changes", "true"]):
        ended = fit("--resume", run_id, "--trainer.max_steps", "18", *options, root=root)
        (recorded,) = first.run.inputs.dataset_inputs
        found = torch.load(last, weights_only=True)[HEADER]["digest"]
        assert found == recorded.dataset.digest
        assert ended.code == 2
        assert ended.err.startswith(
            f"reparam_suite.fit: run {run_id}: expected the data that it was trained on, of digest {found}, "
            "got Arrays-rows of digest "
        )
        assert found not in ended.err.partition("got Arrays-rows")[2]
    assert last.read_bytes() == before
    assert first.client.get_run(run_id).info.status == "FINISHED"
    np.savez(path, x_train=rows)
    assert fit("--resume", run_id, "--trainer.max_steps", "18", root=root).code == 0


def test_a_checkpoint_of_another_run_or_version_is_refused_by_name(run, short, root):
    (run_id,) = short.run_ids
    change(run / "last.ckpt", run_id="f" * 32)
    refused(fit("--resume", run_id, root=root), f"--resume: {run}/last.ckpt is of run {'f' * 32}, not of {run_id}")
    change(run / "last.ckpt", run_id=run_id, format=9, version="2.0")
    refused(
        fit("--resume", run_id, root=root),
        f"--resume: {run}/last.ckpt: expected format {FORMAT}, got 9, written by reparam_suite 2.0",
    )
    change(run / "last.ckpt", format=FORMAT)
    change(run / "last.ckpt", model={"class_path": "reparam_suite.models.DiscreteVAE", "init_args": {}})
    refused(fit("--resume", run_id, root=root), f"--resume: {run}/last.ckpt is of a DiscreteVAE, this is a GaussianVAE")


def test_a_given_file_that_is_damaged_or_foreign_is_refused(run, root):
    path = run / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-100])
    ended = fit("--resume", str(path), root=root)
    assert ended.code == 2
    assert ended.err.startswith(f"reparam_suite.fit: --resume: {path} is damaged: ")
    torch.save({"weights": 1}, path)
    refused(
        fit("--resume", str(path), root=root),
        f"--resume: {path}: expected a checkpoint of a run of reparam_suite, got another file",
    )


def test_weights_that_cannot_be_read_again_are_not_tested(root, monkeypatch):
    """The best checkpoint is damaged while the run continues; it fails, and another try begins at its end."""

    def spoil(self, trainer, *_):
        best = root / "checkpoints" / trainer.logger.version / "best.ckpt"
        best.write_bytes(best.read_bytes()[:-100])

    with monkeypatch.context() as patch:
        patch.setattr(GradientRecord, "on_train_end", spoil)
        ended = fit(*SHORT, root=root)
    run = ended.every_run()[0]
    assert (ended.code, run.info.status) == (1, "FAILED")
    assert ended.err.startswith(f"reparam_suite.fit: {root}/checkpoints/{run.info.run_id}/best.ckpt is damaged: ")
    assert "test/elbo" not in run.data.metrics
    again = fit("--resume", run.info.run_id, root=root)
    assert again.code == 0, again.err
    assert [step for step, _ in again.curve("test/elbo", run.info.run_id)] == [15]


def test_damaged_files_are_passed_over_with_a_warning_and_the_run_is_the_same(run, short, whole, root):
    """The last file is cut off, the one before has a flipped bit: what validated best is the oldest state."""
    (run_id,) = short.run_ids
    content = bytearray((run / "last.ckpt").read_bytes())
    content[len(content) // 2] ^= 1
    (run / "previous.ckpt").write_bytes(content)
    (run / "last.ckpt").write_bytes((run / "last.ckpt").read_bytes()[:1_000])
    ended = fit("--resume", run_id, "--trainer.max_steps", "30", root=root)
    assert ended.code == 0, ended.err
    for name in ("last", "previous"):
        assert f"{run}/{name}.ckpt is damaged: " in ended.err
    assert ended.err.count("the one before it is taken") == 2
    assert ended.run_ids == [run_id]
    for metric in ("train/elbo", "val/elbo", "test/elbo", "grad/encoder/variance"):
        ours = ended.curve(metric, run_id)
        extra = {(step, value) for step, value in ours if step == 15}  # where the short run ended
        assert set(whole.curve(metric)) - extra <= set(ours), metric
        assert set(ours) - set(whole.curve(metric)) <= extra, metric
        assert len({step for step, _ in ours}) == len(ours), metric


def test_changes_that_are_allowed_are_reported_and_recorded_beside_the_parameters(root):
    first = finished(fit(*SHORT, root=root))
    (run_id,) = first.run_ids
    more = ["--trainer.max_steps", "18", "--model.learning_rate", "0.01", "--allow_changes", "true", "--name", "later"]
    ended = fit("--resume", run_id, *more, root=root)
    assert ended.code == 0
    assert ended.err == "reparam_suite.fit: --model.init_args.learning_rate was 0.001, is 0.01\n"
    run = ended.client.get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "later")
    assert run.data.params["learning_rate"] == "0.001"
    assert run.data.tags["changed.learning_rate"] == "0.01"
    assert run.data.tags["changed.max_steps"] == "18"
    assert options_of(run.data.tags)["model.init_args.learning_rate"] == "0.01"
    refused_now = fit("--resume", run_id, "--model.learning_rate", "0.001", "--trainer.max_steps", "20", root=root)
    assert "--model.init_args.learning_rate was 0.01, is 0.001" in refused_now.err
