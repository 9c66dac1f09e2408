"""What version 0.1.0 has recorded: its runs load and resume, its study resumes, and the rest is refused by name."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from tests.launching import as_it_was, compare, fit, study, undrawn
from tests.versions.recorded import Recorded

from reparam_suite import Run, load, runs
from reparam_suite.distributions import parameters
from reparam_suite.models import DiscreteVAE, held_out_bounds
from reparam_suite.training import read_checkpoint
from reparam_suite.versions import WAY_OUT
from reparam_suite.versions.weights import Names

X = (torch.arange(4 * 64).reshape(4, 64) * 7 % 11 > 5).float()
NAMES = ["gaussian", "discrete"]


def computed(model: Any) -> dict[str, dict[str, list[Any]]]:
    with torch.no_grad(), torch.random.fork_rng():
        q = {name: value.tolist() for name, value in parameters(model.encode(X)).items()}
        torch.manual_seed(0)
        bounds = {name: value.tolist() for name, value in held_out_bounds(model, X, 20).items()}
    return {"posterior": q, "bounds": bounds}


def assert_as_before(found: Any, expected: Any) -> None:
    for group in ("posterior", "bounds"):
        assert found[group].keys() == expected[group].keys()
        for name, values in expected[group].items():
            torch.testing.assert_close(torch.tensor(found[group][name]), torch.tensor(values), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_loads_with_the_encodings_and_bounds_that_it_had(recorded, name):
    model = load(recorded.run_id(name), tracking=recorded.tracking)
    assert model.steps_taken == 13
    assert_as_before(computed(model), recorded.expected[name])


def test_the_trials_of_a_study_load_with_the_encodings_and_bounds_that_they_had(recorded):
    for run_id, expected in recorded.expected["trials"].items():
        assert_as_before(computed(load(run_id, tracking=recorded.tracking)), expected)


def test_the_best_weights_on_record_are_taken_where_the_files_are_gone(own):
    run_id = next(iter(own.expected["trials"]))
    shutil.rmtree(own.root / "checkpoints" / run_id)
    assert_as_before(computed(load(run_id, tracking=own.tracking)), own.expected["trials"][run_id])


def test_a_checkpoint_loads_by_the_class(recorded):
    model = DiscreteVAE.load_from_checkpoint(recorded.checkpoint("discrete", "best.ckpt")).eval()
    assert_as_before(computed(model), recorded.expected["discrete"])


def assert_continued(own: Recorded, name: str, before: dict[str, Any]) -> None:
    """The weights and validations of a resumed run are those of version 0.1.0, within rounding."""
    expected = own.expected[name]["continued"]
    names = Names(before["hyper_parameters"])
    content = read_checkpoint(own.checkpoint(name))
    weights, curves = content["state_dict"], content["callbacks"]["StepRecord"]["journal"]["curves"]
    compared = 0
    for earlier, values in expected["weights"].items():
        if (present := names.of(earlier)) is not None:
            compared += 1
            torch.testing.assert_close(weights[present], torch.tensor(values), rtol=1e-5, atol=1e-6)
    assert compared == len(weights) - 1  # all but the number of steps
    for metric, value in expected["metrics"].items():
        assert curves[metric][1][-1].item() == pytest.approx(value, rel=1e-5), metric


def test_a_run_resumes_from_python_with_the_numbers_that_it_would_have_had(own):
    before = own.content("gaussian")
    with undrawn(), as_it_was():
        run = Run.resume(own.run_id("gaussian"), tracking=own.tracking)
        result = run.fit()
    assert result.num_steps == 32
    assert_continued(own, "gaussian", before)
    record = MlflowClient(f"sqlite:///{own.root}/mlflow.db").get_run(result.run_id)
    assert record.info.status == "FINISHED"
    assert (record.data.tags["kind"], record.data.tags["monitor"]) == ("training", "val/elbo")
    best = MlflowClient(f"sqlite:///{own.root}/mlflow.db").get_metric_history(result.run_id, "val/elbo_best")
    assert [point.step for point in best] == [13, 26, 32]


def test_a_run_resumes_from_the_command_line_with_the_numbers_that_it_would_have_had(own):
    """An estimator with a moving average and a learned baseline, two layers, optimizers of different settings."""
    file = own.checkpoint("discrete").with_name("config.yaml")
    before, content = file.read_bytes(), own.content("discrete")
    refused = fit("--resume", own.run_id("discrete"), "--model.latent_size", "3", root=own.root)
    assert refused.code == 2
    assert "had other options: --model.init_args.latent_size was 2, is 3. Leave them out" in refused.err
    assert file.read_bytes() == before
    with undrawn():
        ended = fit("--resume", own.run_id("discrete"), root=own.root)
    assert ended.code == 0, ended.err
    assert f"run {own.run_id('discrete')} was begun by version 0.1.0, which does not read what this" in ended.err
    assert "had other options" not in ended.err
    assert_continued(own, "discrete", content)
    assert Run.resume(own.run_id("discrete"), tracking=own.tracking, max_steps=40).resumption.step == 32


def test_a_study_resumes_to_its_third_trial(own, monkeypatch):
    monkeypatch.chdir(own.home)
    file = Path("study.yaml")
    option = "--model.kl_weight: GaussianVAE has no such option, did you mean --model.objective.weight?"
    assert option in study("--config", str(file), root=own.root).err
    file.write_text(file.read_text().replace("kl_weight: 0.5", "objective.weight: 0.6"))
    refused = study("--config", str(file), root=own.root)
    assert refused.code == 2
    assert "differs: options.model.objective.weight there is 0.5, here 0.6. Give this one another" in refused.err
    assert refused.err.strip().endswith(WAY_OUT)
    file.write_text(file.read_text().replace("objective.weight: 0.6", "objective.weight: 0.5"))
    with undrawn():
        ended = study("--config", str(file), root=own.root)
    assert ended.code == 0, ended.err
    assert "3 trials" in ended.out
    best = next(line for line in ended.out.splitlines() if line.startswith("best  trial "))
    tested = next(line for line in ended.out.splitlines() if line.startswith("test ELBO"))
    # Of trained weights, which are those of version 0.1.0 if its trial is the best.
    assert float(tested.split()[2]) > float(best.split("val/elbo ")[1].split()[0]) - 1.0


def test_runs_and_comparisons_read_the_record(own):
    table = runs(tracking=own.tracking)
    assert list(table["estimator"]) == ["ScoreFunction-VarianceNormalized", "Pathwise"]
    assert table["val/elbo"].notna().all()
    ended = compare("runs", "--study", "rates", root=own.root)
    assert ended.code == 0, ended.err
    assert ended.out.count("Pathwise (learning_rate=") == 2
    with undrawn():
        asked = ("--checkpoint", own.run_id("gaussian"), "--repeats", "32", "--estimators", "Pathwise")
        ended = compare("gradients", *asked, root=own.root)
    assert ended.code == 0, ended.err


def test_a_configuration_of_version_0_1_0_is_refused_with_the_way_out(own):
    ended = fit("--config", str(own.checkpoint("gaussian").with_name("config.yaml")), root=own.root)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "whose names docs/versions.md lists, got a configuration that version 0.1.0 wrote; " in ended.err
    assert ended.err.strip().endswith(WAY_OUT)


@pytest.mark.parametrize(
    ("keys", "value", "told"),
    [
        (("hyper_parameters", "_class_path"), "trap.Trap", "model: expected GaussianVAE or DiscreteVAE of version 0.1"),
        (("hyper_parameters", "bits"), 3, "model: expected options of GaussianVAE of version 0.1.0, got bits"),
        (("callbacks", "StepRecord"), None, "expected a checkpoint as version 0.1.0 wrote it, got TypeError"),
    ],
    ids=["model", "option", "part"],
)
def test_what_has_no_counterpart_is_refused_with_the_way_out(own, keys, value, told):
    content = own.content("gaussian")
    content[keys[0]][keys[1]] = value
    torch.save(content, own.checkpoint("gaussian"))
    ended = fit("--resume", own.run_id("gaussian"), root=own.root)
    assert ended.code == 2
    assert told in ended.err
    assert ended.err.strip().endswith(WAY_OUT)


def test_moments_of_another_shape_are_refused(own):
    content = own.content("gaussian")
    content["optimizer_states"][0]["model"]["state"][1]["exp_avg"] = torch.zeros(1)
    torch.save(content, own.checkpoint("gaussian"))
    ended = fit("--resume", own.run_id("gaussian"), root=own.root)
    assert ended.code == 2
    assert "is another one than these options make: exp_avg: expected shape [4], got [1]" in ended.err


@pytest.mark.parametrize("key", ["estimator", "posterior", "bound"])
def test_nothing_in_a_checkpoint_runs_code(own, monkeypatch, key):
    sprung = own.home / "sprung"
    (own.home / "trap.py").write_text(f"open({str(sprung)!r}, 'w').close()\nclass Trap: pass\n")
    monkeypatch.syspath_prepend(own.home)
    trap = {"class_path": "trap.Trap", "init_args": {}}
    for file in ("best.ckpt", "last.ckpt"):
        content = own.content("gaussian")
        content["hyper_parameters"][key] = trap
        torch.save(content, own.checkpoint("gaussian", file))
    config = own.checkpoint("gaussian").with_name("config.yaml")
    text = config.read_text()
    begun = text.index(f"    {key}:\n")
    rest = text[begun:].splitlines(keepends=True)
    rest[1] = "      class_path: trap.Trap\n"
    config.write_text(text[:begun] + "".join(rest))
    with pytest.raises(ValueError, match="expected a class of reparam_suite"):
        load(own.run_id("gaussian"), tracking=own.tracking)
    ended = fit("--resume", own.run_id("gaussian"), root=own.root)
    assert ended.code == 2
    assert "trap" not in sys.modules
    assert not sprung.exists()
