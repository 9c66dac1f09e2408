"""The exported model takes what a user has: numbers of any type, one datum or many, by MLflow and by its server."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.launching import mlflow_at

from reparam_suite.models import DiscreteVAE, GaussianVAE
from reparam_suite.running.export import decoder_of, sampler_of
from reparam_suite.tracking import Store
from reparam_suite.tracking.exported_model import save_model
from reparam_suite.tracking.quiet import load_mlflow
from reparam_suite.tracking.served_model import ServedModel

MODELS = {
    "vectors": lambda: GaussianVAE(event_shape=(6,), latent_size=2, hidden_sizes=(4,)),
    "images": lambda: GaussianVAE(event_shape=(2, 3, 3), latent_size=2, hidden_sizes=(4,), prior="learned"),
    "two layers": lambda: DiscreteVAE(event_shape=(6,), latent_size=3, num_layers=2, hidden_sizes=(4,)),
}


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    """A model and where it is exported."""
    torch.manual_seed(0)
    model = MODELS[request.param]().eval()
    path: Path = tmp_path_factory.mktemp("exported") / "model"
    load_mlflow()
    x = torch.zeros(2, *model.event_shape)
    z = model.prior().sample((2,))
    save_model(model, x, path, decode=(decoder_of(model), z), sample=(sampler_of(model), torch.zeros(2)))
    return model, path


@pytest.fixture
def served(exported, tmp_path):
    import mlflow

    with mlflow_at(f"sqlite:///{tmp_path}/mlflow.db"):
        yield mlflow.pyfunc.load_model(str(exported[1]))


def data(model, dtype, number=5):
    x = np.random.default_rng(0).integers(0, 2, size=(number, *model.event_shape))
    return x.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int64", "bool"])
def test_numbers_of_any_type_are_taken(exported, served, dtype):
    import mlflow

    model, path = exported
    x = data(model, dtype)
    with torch.no_grad():
        expected = model(torch.from_numpy(x.astype("float32")))
    found = served.predict(x)
    assert list(found) == list(expected)
    graph = mlflow.pytorch.load_model(str(path))(torch.from_numpy(x))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)
        np.testing.assert_allclose(graph[name].detach(), value, atol=1e-5)


def test_one_datum_is_taken_and_gives_one(exported, served):
    model, _ = exported
    x = data(model, "float64")
    rows, one = served.predict(x), served.predict(x[0])
    for name, value in one.items():
        np.testing.assert_allclose(value, rows[name][0], atol=1e-6)


def test_another_shape_is_refused_with_both(exported, served):
    model, _ = exported
    shape = list(model.event_shape)
    with pytest.raises(ValueError, match="x: expected shape") as error:
        served.predict(np.zeros((5, 7)))
    assert str(error.value) == f"x: expected shape {[-1, *shape]} or {shape}, got [5, 7]"
    with pytest.raises(ValueError, match="output: expected one of encode, decode, sample, got 'dream'"):
        served.predict(data(model, "uint8"), params={"output": "dream"})
    with pytest.raises(ValueError, match="num_samples: expected at least 1, got 0"):
        served.predict(data(model, "uint8"), params={"output": "sample", "num_samples": 0})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda x: x[:0], r"x: expected at least one row, got shape \[0, .*\]"),
        (lambda x: x * 1j, "x: expected real numbers, got complex128"),
        (lambda x: np.full_like(x, np.nan), "x: expected finite float32 numbers, got NaN or infinity"),
        (lambda x: np.full_like(x, 1e300), "x: expected finite float32 numbers, got NaN or infinity"),
        (lambda x: np.full(x.shape, "a"), "x: expected real numbers, got <U1"),
    ],
    ids=["empty", "complex", "NaN", "too large", "text"],
)
def test_what_is_no_datum_is_refused_in_one_line(exported, given, message):
    with pytest.raises(ValueError, match=rf"^{message}$"):
        ServedModel(exported[1] / "data").predict(given(data(exported[0], "float64")))


def test_latents_are_decoded(exported, served):
    model, _ = exported
    z = model.prior().sample((4,))
    with torch.no_grad():
        expected = model.decode(z).mean
    np.testing.assert_allclose(served.predict(z.numpy(), params={"output": "decode"}), expected, atol=1e-5)


def test_samples_are_those_of_the_model(exported, served):
    """The mean of 20,000 samples of the graph and of the model, in standard errors."""
    model, _ = exported
    n = 20_000
    asked = {"output": "sample", "num_samples": n, "seed": 3}
    x = data(model, "uint8", 1)
    found, own = served.predict(x, params=asked), model.sample(n).numpy()
    error = np.sqrt((found.var(0) + own.var(0)) / n) + 1e-7
    assert found.shape == (n, *model.event_shape)
    assert np.abs((found.mean(0) - own.mean(0)) / error).max() < 5.5
    assert np.array_equal(found, served.predict(x, params=asked)), "the same seed"
    assert not np.array_equal(found, served.predict(x, params=asked | {"seed": 4}))
    assert not np.array_equal(*(served.predict(x, params={"output": "sample"}) for _ in range(2))), "no seed"


def test_a_server_answers(exported, served):
    """The function behind /invocations of `mlflow models serve`."""
    from mlflow.pyfunc.scoring_server import invocations

    model, _ = exported
    x = data(model, "float64", 2)

    def post(**body):
        answer = invocations(json.dumps(body), "application/json", served, served.metadata.get_input_schema())
        assert answer.status == 200
        return json.loads(answer.response)["predictions"]

    for name, value in served.predict(x).items():
        np.testing.assert_allclose(post(inputs=x.tolist())[name], value, atol=1e-6)
        np.testing.assert_allclose(post(instances=x.astype(int).tolist())[name], value, atol=1e-6)
        np.testing.assert_allclose(post(inputs=x[0].tolist())[name], value[0], atol=1e-6)
    asked = {"output": "sample", "num_samples": 3}
    assert np.shape(post(inputs=[0], params=asked)) == (3, *model.event_shape)


def test_what_is_stored_needs_no_module_of_the_suite(exported):
    _, path = exported
    (code,) = (path / "code").glob("*.py")
    assert "import reparam_suite" not in code.read_text()
    assert "from reparam_suite" not in code.read_text()
    assert "reparam" not in (path / "requirements.txt").read_text()


@pytest.mark.slow
def test_the_lines_of_the_page_serve_it_in_a_fresh_process_and_leave_nothing_behind(settings):
    """Without the first of them MLflow would make a database of its own in the working directory."""
    model = MODELS["vectors"]().eval()
    run = Store.open(settings).start_run(name="run", parameters={}, tags={})
    sample = (sampler_of(model), torch.zeros(2))
    run.log_model(model, torch.zeros(2, 6), decode=(decoder_of(model), torch.zeros(2, 2)), sample=sample)
    run.close("FINISHED")
    page = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```\n(import mlflow\n.*?)^```", page, re.DOTALL | re.MULTILINE)
    program = f"import numpy\nrun_id, x = {run.run_id!r}, numpy.zeros(6)\n{lines}"
    folder, before = settings.root.parent, sorted(settings.root.parent.rglob("*.db"))
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert sorted(folder.rglob("*.db")) == before
    assert [path.name for path in folder.iterdir()] == ["mlruns"]
