"""Gradient statistics of a minibatch that lies on several ranks."""

from pathlib import Path

import pytest
import torch
from tests.diagnostics.cases import Case, data
from tests.statistics import LIMIT
from torch import distributed, multiprocessing

from reparam_suite.diagnostics import gradient_noise, gradient_sums
from reparam_suite.diagnostics.datumwise import datumwise_sums
from reparam_suite.diagnostics.measuring import measuring
from reparam_suite.estimators import DisARM

NUM_DATA = 30
SHARDS = (11, 19)


def model_and_data():
    return Case(DisARM(), "bits").model(), data(NUM_DATA)


def test_uneven_shards_add_up_to_the_whole():
    model, x = model_and_data()
    with torch.random.fork_rng(), measuring(model):
        torch.manual_seed(0)
        whole = datumwise_sums(model, x, 4)
        torch.manual_seed(0)
        shards = [datumwise_sums(model, part, 4) for part in x.split(SHARDS)]
    for name, expected in whole.items():
        metric = gradient_noise(expected)
        for shard in shards:
            metric.update(shard[name])
        merged = gradient_noise(expected)
        merged.update(shards[1][name])
        other = gradient_noise(expected)
        other.update(shards[0][name])
        merged.merge_state(other)
        statistics = expected.statistics()
        for figures in (metric.compute(), merged.compute()):
            for field, value in figures.items():
                torch.testing.assert_close(value, getattr(statistics, field))
        assert ("data_variance" in figures) == (statistics.data_variance is not None)


def test_other_sums_are_refused():
    model, x = model_and_data()
    sums = gradient_sums(model, x)
    metric = gradient_noise(sums["encoder"])
    with pytest.raises(ValueError, match=r"gradients of .* parameters, got"):
        metric.update(sums["decoder"])
    with pytest.raises(ValueError, match="sums of 4 repeats, got 5"):
        metric.update(gradient_sums(model, x, 5)["encoder"])


def measure_shard(rank: int, meeting_point: str, results: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{meeting_point}", rank=rank, world_size=2)
    model, x = model_and_data()
    torch.manual_seed(100 + rank)
    sums = gradient_sums(model, x.split(SHARDS)[rank], 50)
    figures = {}
    for name, of_part in sums.items():
        metric = gradient_noise(of_part)
        metric.update(of_part)
        figures[name] = {field: float(value) for field, value in metric.compute().items()}
    torch.save(figures, f"{results}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.usefixtures("warm_python")
def test_two_processes_agree_with_one_on_the_same_global_batch(tmp_path: Path):
    multiprocessing.start_processes(
        measure_shard, (str(tmp_path / "meeting"), str(tmp_path)), nprocs=2, start_method="spawn"
    )
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert first == second
    model, x = model_and_data()
    with torch.random.fork_rng():
        torch.manual_seed(7)
        alone = gradient_sums(model, x, 50)
    for name, sums in alone.items():
        one, two = sums.statistics(), first[name]
        error = (float(one.standard_error) ** 2 + two["standard_error"] ** 2) ** 0.5
        assert abs(float(one.variance) - two["variance"]) < LIMIT * error + 1e-12, name
        assert two["squared_norm"] == pytest.approx(float(one.squared_norm), rel=0.1), name
