"""Data replaced under the same name between runs that are averaged or compared."""

import numpy as np
import pytest
from tests.launching import fit
from tests.rows import ROWS, parts, rows_file

from reparam_suite.data import Arrays, Digits
from reparam_suite.running import fitting
from reparam_suite.running.same_data import key_of_data


@pytest.fixture
def path(tmp_path):
    return rows_file(tmp_path)


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


def test_order_and_batches_do_not_describe_the_content_of_data(path):
    assert key_of_data(parts(Arrays(path=path))) == key_of_data(parts(Arrays(path=path, seed=3, batch_size=7)))
    assert key_of_data(parts(Arrays(path=path))) != key_of_data(parts(Digits()))
    assert key_of_data(parts(Arrays.of(train=ROWS, valid=ROWS))) is None, "no description says which rows they are"
