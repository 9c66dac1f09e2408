"""Sweeps that train."""

from types import SimpleNamespace

import pytest

from reparam_suite import Run, Sweep, runs
from reparam_suite.data import Digits
from reparam_suite.estimators import DisARM, ScoreFunction
from reparam_suite.models import DiscreteVAE
from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.ledger import Ledger
from reparam_suite.sweeps.plan import Plan, Watcher
from reparam_suite.sweeps.records import tags_of
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.workers import LocalEngine

GRID = {"estimator": [DisARM(num_samples=2), ScoreFunction(num_samples=2)], "learning_rate": [1e-3, 1e30]}
TRAINED = {"learning_rate": [1e-3]} | {"estimator": GRID["estimator"]}
SEEDS = range(2)


def small(estimator, learning_rate, seed, latent_size=4, **more):
    def make_model():
        return DiscreteVAE(
            event_shape=(64,),
            latent_size=latent_size,
            hidden_sizes=(8,),
            estimator=estimator,
            learning_rate=learning_rate,
        )

    return Run(make_model, Digits(batch_size=300), **{"max_steps": 6} | more, seed=seed)


def make_run(estimator, learning_rate, seed):
    return small(estimator, learning_rate, seed)


def wider(estimator, learning_rate, seed):
    return small(estimator, learning_rate, seed, latent_size=5)


def longer(estimator, learning_rate, seed):
    return small(estimator, learning_rate, seed, max_steps=7)


def named(estimator, learning_rate, seed):
    return small(estimator, learning_rate, seed, name="another name", tags={"a": "b"})


def breaking(estimator, learning_rate, seed):
    if learning_rate > 1:
        raise ValueError("too fast")
    return small(estimator, learning_rate, seed)


def partly_wrong(estimator, learning_rate, seed, wrong=None):
    if wrong is not None:
        raise ValueError("not this")
    return small(estimator, learning_rate, seed)


def sweep(make=make_run, **changes):
    return Sweep(make, **{"grid": GRID, "seeds": SEEDS, "name": "s"} | changes)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep of two workers, one of whose learning rates diverges."""
    folder = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        return SimpleNamespace(folder=folder, result=sweep(workers=2).run())


@pytest.fixture
def _there(swept, monkeypatch):
    monkeypatch.chdir(swept.folder)


def test_the_plan_has_a_row_for_each_run_and_creates_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = sweep().plan()
    assert list(plan.columns) == ["estimator", "learning_rate", "seed"]
    assert len(plan) == 8
    assert not list(tmp_path.iterdir())


def test_a_run_that_fails_ends_no_other(swept):
    frame = swept.result.frame
    assert len(frame) == 8
    assert swept.result.trained == 4
    good = frame[frame["learning_rate"] == 1e-3]
    assert list(good["status"]) == ["FINISHED"] * 4
    assert good["test/elbo"].notna().all()
    assert good["reason"].isna().all()
    failed = frame[frame["learning_rate"] == 1e30]
    assert list(failed["status"]) == ["FAILED"] * 4
    assert failed["reason"].str.contains("NonFiniteLoss").all()
    assert failed["test/elbo"].isna().all()


def test_its_runs_are_those_that_python_makes(swept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = swept.result.frame.iloc[1]
    again = make_run(DisARM(num_samples=2), 1e-3, 1).fit()
    assert again.metrics["test/elbo"] == row["test/elbo"]
    assert again.metrics["val/elbo_best"] == row["val/elbo_best"]


@pytest.mark.usefixtures("_there")
def test_a_second_call_trains_what_is_missing(swept):
    same = sweep(grid=TRAINED).run()
    assert same.trained == 0
    assert set(same.frame["run_id"]) == set(swept.result.frame["run_id"][swept.result.frame["status"] == "FINISHED"])
    more = sweep(grid=TRAINED, seeds=range(3)).run()
    assert more.trained == 2
    assert len(more.frame) == 6
    assert more.frame["test/elbo"].notna().all()
    assert sweep(named, grid=TRAINED, seeds=range(3)).run().trained == 0  # a name makes no other run


@pytest.mark.usefixtures("_there")
@pytest.mark.parametrize(
    ("make", "told"),
    [(wider, "model.init_args.latent_size was 4, is 5"), (longer, "trainer.max_steps was 6, is 7")],
)
def test_finished_runs_of_another_model_are_refused_and_not_counted(make, told):
    num_runs = len(runs())
    for seeds in (SEEDS, [7]):  # the runs on record are of others
        with pytest.raises(
            ValueError, match=r"sweep s has finished runs of learning_rate=0.001, estimator=DisARM\(\)"
        ) as raised:
            sweep(make, grid=TRAINED, seeds=seeds).run()
        assert told in str(raised.value)
    assert len(runs()) == num_runs


@pytest.mark.usefixtures("_there")
def test_runs_on_record_get_their_rows_in_a_file_of_results(tmp_path):
    ledger = Ledger(tmp_path / "kept.csv", ("test/elbo",))
    result = sweep(grid=TRAINED, results=ledger).run()
    assert result.trained == 0
    assert len(ledger.complete(sweep(grid=TRAINED)._cells)) == 4


def test_a_file_of_results_that_breaks_ends_no_training(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    ledger = Ledger(tmp_path / "kept.csv", ("test/elbo",))

    def breaks(estimator, learning_rate, seed):
        if seed == 1:
            ledger.file.write_text("<<<<<<< ours\n")
        return small(estimator, learning_rate, seed)

    monkeypatch.setattr(Sweep, "checked", lambda self, _: Plan("s", TrackingSettings(), self._cells, {}, {}))
    broken = Sweep(
        breaks, grid={"estimator": [DisARM()], "learning_rate": [1e-3]}, seeds=range(3), name="s", results=ledger
    )
    with pytest.raises(ValueError, match=r"results.file: .*kept.csv: expected a column seed, got <<<<<<< ours"):
        broken.run()
    assert "expected a column seed" in caplog.text
    assert sorted(runs()["seed"].astype(int)) == [0, 1, 2]
    ledger.file.unlink()
    assert broken.run().trained == 0
    assert len(ledger.complete(broken._cells)) == 3


@pytest.mark.usefixtures("_there")
def test_an_interrupted_run_is_resumed(monkeypatch):
    prepared = []
    monkeypatch.setattr(LocalEngine, "prepare", lambda self, num_tasks: prepared.append(num_tasks))
    grid = {"estimator": GRID["estimator"][:1], "learning_rate": [2e-3]}
    (cell,) = Grid(grid).with_seeds([0])
    interrupted = small(**cell.values, seed=0, tags=tags_of("s", cell)).fit()
    store = Store.open(TrackingSettings())
    store.resume_run(interrupted.run_id).close("KILLED")
    # Its training was over; what it missed was the end of its record.
    again = sweep(grid=grid, seeds=[0])
    assert again.checked(Watcher()).interrupted == {cell.key}
    result = again.run()
    assert (result.trained, prepared) == (1, [1])
    assert list(result.frame["run_id"]) == [interrupted.run_id]
    assert result.frame["test/elbo"][0] == interrupted.metrics["test/elbo"]


def test_values_of_which_no_run_can_be_made_are_refused_or_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = {"estimator": GRID["estimator"][:1], "learning_rate": [1e-3, 2.0]}
    with pytest.raises(ValueError, match="grid: expected values that fit each other") as raised:
        sweep(breaking, grid=grid, seeds=[0]).run()
    assert (
        "got 1 of 2 combinations that make no run: estimator=DisARM(), learning_rate=2.0: ValueError: too fast. "
        "skip_misfits leaves them out"
    ) in str(raised.value)
    assert not list(tmp_path.iterdir())
    result = sweep(breaking, grid=grid, seeds=[0], skip_misfits=True).run()
    assert result.trained == 1
    assert list(result.frame["status"]) == ["FINISHED", "SKIPPED"]
    assert result.frame["reason"][1] == "ValueError: too fast"
    result.frame.to_string()


def test_an_argument_that_fits_nothing_is_refused_however_misfits_are_treated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = Grid(
        {"estimator": GRID["estimator"][:1]}, cells=[{"learning_rate": 1e-3}, {"learning_rate": 1e-3, "wrong": 1}]
    )
    with pytest.raises(ValueError, match=r"grid: no run can be made with .*wrong=1: ValueError: not this"):
        sweep(partly_wrong, grid=grid, skip_misfits=True).run()


def test_what_cannot_be_sent_trains_here_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    grid = {"estimator": GRID["estimator"][:1], "learning_rate": [1e-3]}
    made = Sweep(
        lambda estimator, learning_rate, seed: small(estimator, learning_rate, seed),
        grid=grid,
        seeds=SEEDS,
        name="l",
        workers=2,
    )
    assert made.run().trained == 2
    assert "runs train in this process" in caplog.text


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"workers": 0}, ValueError, "workers: expected an integer of at least 1, got 0"),
        ({"name": ""}, ValueError, "name: expected a name"),
        ({"shard": "0/3"}, ValueError, "shard: expected I/N with I from 1 to N, got 0/3"),
        ({"grid": {"estimater": [1]}}, TypeError, "make_run: expected a function of estimater, seed"),
    ],
)
def test_what_cannot_be_used_is_refused_at_construction(changes, error, told):
    with pytest.raises(error) as raised:
        sweep(**changes)
    assert told in str(raised.value)
