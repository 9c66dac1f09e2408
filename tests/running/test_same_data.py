"""Data replaced under the same name between runs that are averaged or compared."""

from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from tests.launching import fit

from reparam_suite.data import Arrays, Digits
from reparam_suite.running import fitting
from reparam_suite.running.same_data import key_of_data
from reparam_suite.studies.reports import TrialObserver
from reparam_suite.sweeps import Sweep
from reparam_suite.sweeps.checks import check_data, replaced
from reparam_suite.tracking import RecordedRun

ROWS = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "rows.npz"
    np.savez(file, x_train=ROWS)
    return file


def parts(data) -> SimpleNamespace:
    return SimpleNamespace(given_data=data, data=data, run=SimpleNamespace(seed=0))


def test_seeds_of_one_command_are_not_averaged_over_other_data(path, tmp_path, monkeypatch):
    def finish(*_, **__):
        np.savez(path, x_train=ROWS[::-1])

    monkeypatch.setattr(fitting, "finish", finish)
    data = ["--data", "Arrays", "--data.path", str(path), "--trainer.max_steps", "1", "--record.test_data", "0"]
    ended = fit(*data, "--seeds", "3", "4", root=tmp_path / "mlruns")
    (run,) = ended.every_run()
    (first,) = [dataset.dataset.digest for dataset in run.inputs.dataset_inputs]
    now = Arrays(path=path).digest
    assert (ended.code, ended.err) == (
        2,
        f"reparam_suite.fit: --data: expected those of seed 3, of digest {first}, got Arrays-rows of digest {now}: "
        "they were replaced in between\n",
    )
    assert first != now
    assert run.info.status == "FINISHED"


def test_a_study_compares_trials_on_the_same_data_alone(path):
    study = optuna.create_study()
    search = SimpleNamespace(tests=False, name="small")
    TrialObserver(search, study, None).assembled(parts(before := Arrays(path=path)))
    TrialObserver(search, study, None).assembled(parts(Arrays(path=path, seed=7)))
    TrialObserver(search, study, None).assembled(parts(Digits()))
    digest = before.digest
    np.savez(path, x_train=ROWS[::-1])
    with pytest.raises(ValueError, match=f"expected those of the earlier trials of small, of digest {digest}, got Ar"):
        TrialObserver(search, study, None).assembled(parts(Arrays(path=path)))


def test_order_and_batches_do_not_describe_the_content_of_data(path):
    assert key_of_data(parts(Arrays(path=path))) == key_of_data(parts(Arrays(path=path, seed=3, batch_size=7)))
    assert key_of_data(parts(Arrays(path=path))) != key_of_data(parts(Digits()))
    assert key_of_data(parts(Arrays.of(train=ROWS, valid=ROWS))) is None, "no description says which rows they are"


def recorded(run_id: str, digest: str, value: str, **data: str) -> RecordedRun:
    tags = {"sweep.data": digest, "sweep.value.estimator": value, "sweep.cell": run_id}
    options = {f"data.{name}": text for name, text in data.items()}
    return RecordedRun(run_id, run_id, tags, {"seed": run_id, **options}, {})


def test_a_sweep_averages_and_compares_runs_on_the_same_data_alone():
    by_path = [recorded("1", "aa", "A", path="x"), recorded("2", "aa", "B", path="x"), recorded("3", "bb", "B")]
    assert replaced([*by_path, recorded("4", "cc", "A", path="y")]) is None
    told = "run 1 was trained on data of digest aa, run 4 on bb"
    assert replaced([*by_path, recorded("4", "bb", "A", path="x")]) == told
    # Arrays in memory have no description: they are told apart by the values of the sweep.
    in_memory = [recorded("1", "aa", "A", opaque="rows"), recorded("2", "bb", "B", opaque="rows")]
    assert replaced(in_memory) is None
    assert replaced([*in_memory, recorded("4", "bb", "A", opaque="rows")]) == told


def test_a_sweep_on_data_that_were_replaced_says_so(monkeypatch):
    sweep = Sweep(lambda estimator, seed: None, grid={"estimator": ["A"]}, seeds=[1, 2], name="s")
    keys = [cell.key for cell in sweep._cells]
    runs = {key: recorded(key[:4], digest, "A", path="x") for key, digest in zip(keys, ("aa", "bb"), strict=True)}
    with pytest.raises(
        ValueError, match=r"^data: expected the same for all runs of sweep s, got others .* aa, run .* bb"
    ):
        check_data("s", sweep._cells, runs)
    check_data("s", sweep._cells, {keys[0]: runs[keys[0]], "of another cell": runs[keys[1]]})
