"""The table of the clocks of several processes, and the smallest measurement of the command itself."""

import json
from types import SimpleNamespace

import pytest
import torch
from benchmarks.scaling import WARM_UP, Clocks, Cost, Load, batch_rows, compared, main, rows, run, write_noise

from benchmarks import scaling

CPU = torch.device("cpu")


def test_ratios_over_one_process_are_those_of_the_same_round():
    """The second round was slow for both."""
    found = compared({1: [Cost(4.0, 4.0), Cost(40.0, 5.0), Cost(4.0, 4.0)],
                      2: [Cost(2.5, 5.0), Cost(20.0, 7.0), Cost(2.0, 4.8)]})  # fmt: skip
    assert found[2]["throughput"] == {"median": 2.0, "low": 1.6, "high": 2.0, "of_fastest": 2.0}
    assert found[2]["efficiency"] == 1.0
    assert found[2]["cpu"]["median"] == pytest.approx(1.25)
    assert (found[1]["efficiency"], found[1]["cpu"]["median"]) == (1.0, 1.0)


def test_the_table_counts_data_of_the_global_batch():
    name = "Gaussian, 784-200-200-50, batch 100"
    _, two = rows({name: compared({1: [Cost(0.008, 0.008)], 2: [Cost(0.005, 0.01)]})})
    assert two == [name, "2", "5.00", "20,000", "1.60", "1.60 to 1.60", "80 %", "10.00", "1.25"]


def test_throughput_against_the_batch_is_over_the_smallest():
    assert batch_rows({100: [0.001, 0.002], 400: [0.002, 0.004]}) == [
        ["100", "1.500", "66,667", "1.00"],
        ["400", "3.000", "133,333", "2.00"],
    ]


def test_a_process_writes_what_the_steps_after_the_warm_up_took(tmp_path, monkeypatch):
    walls, cpus = iter([100.0, 103.0]), iter([7.0, 8.5])
    clock = SimpleNamespace(perf_counter=lambda: next(walls), process_time=lambda: next(cpus))
    monkeypatch.setattr(scaling, "time", clock)
    clocks, module = Clocks(folder=str(tmp_path), num_steps=10), SimpleNamespace(device=CPU)
    for step in range(1, WARM_UP + 12):
        clocks.on_train_batch_end(SimpleNamespace(global_step=step, global_rank=1), module)
    assert json.loads((tmp_path / "1.json").read_text()) == {"wall": 3.0, "cpu": 1.5}


def test_it_prints_a_table_and_writes_numbers(tmp_path, monkeypatch, capsys):
    """With runs that take given times."""
    asked = []

    def quick(load: Load, processes: int, num_steps: int, *_: object) -> Cost:
        asked.append((load.batch_size, processes, num_steps))
        return Cost(0.02 / processes, 0.02)

    monkeypatch.setattr(scaling, "run", quick)
    written = tmp_path / "scaling.json"
    main(["--rows=1000", "--rounds=2", f"--output={written}", "--device=cpu"])
    assert asked == [(100, 1, 10), (100, 2, 10), (100, 2, 10), (100, 1, 10),
                     (500, 1, 2), (500, 2, 2), (500, 2, 2), (500, 1, 2)]  # fmt: skip
    of_load = json.loads(written.read_text())["loads"]["Gaussian, 784-200-200-50, batch 100"]
    assert of_load["2"]["throughput"]["median"] == pytest.approx(2.0)
    printed = capsys.readouterr().out
    assert "2.00 to 2.00" in printed
    assert "on CUDA is absent" in printed


@pytest.mark.slow
def test_two_processes_of_the_command_are_timed(tmp_path):
    write_noise(tmp_path / "noise.npz", 400)
    small = {"class_path": "GaussianVAE", "init_args": {"latent_size": 2, "hidden_sizes": [5]}}
    cost = run(Load(small, 100), 2, 3, tmp_path, CPU)
    assert cost.wall > 0.0
    assert cost.cpu > 0.0


def test_a_run_that_fails_is_reported_with_what_it_wrote(tmp_path, monkeypatch):
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho no such model >&2\nexit 2\n")
    failing.chmod(0o755)
    monkeypatch.setattr(scaling.sys, "executable", str(failing))
    with pytest.raises(RuntimeError, match=r"reparam_suite\.fit .* ended with exit code 2: no such model"):
        run(Load({"class_path": "GaussianVAE"}, 100), 1, 3, tmp_path, CPU)
