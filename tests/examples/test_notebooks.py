"""The notebooks, executed from top to bottom by one kernel."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from tests.examples.programs import EXAMPLES, shortened

pytestmark = pytest.mark.slow

NOTEBOOKS = EXAMPLES / "notebooks"


def read(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def client(folder):
    """A client with one kernel for all notebooks: importing the suite takes longer than most of them."""
    client = NotebookClient(
        nbformat.v4.new_notebook(), timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    with client.setup_kernel():
        yield client


@pytest.fixture
def outputs(client):
    """Executes a notebook, with other values of its constants, and returns what it shows, cell by cell."""

    def execute(name, **constants):
        notebook = read(name)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for constant, value in constants.items():
            (cell,) = [cell for cell in code if f"\n{constant} = " in cell.source]
            cell.source = shortened(cell.source, {constant: value})
        notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
        client.nb = notebook
        client.execute(reset_kc=False, cleanup_kc=False)
        return [cell.outputs for cell in code]

    return execute


def text_of(outputs):
    shown = [output for cell in outputs for output in cell]
    errors = [output["text"] for output in shown if output.get("name") == "stderr"]
    assert all("IProgress not found" in text for text in errors), errors  # tqdm, where ipywidgets is not installed
    texts = [output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in shown]
    return "\n".join(texts)


PLOTLY = "application/vnd.plotly.v1+json"


def num_figures(outputs):
    return sum("image/png" in output.get("data", {}) for cell in outputs for output in cell)


def with_slider(outputs):
    (figure,) = [output["data"][PLOTLY] for cell in outputs for output in cell if PLOTLY in output.get("data", {})]
    return figure


@pytest.mark.parametrize("name", [file.stem for file in sorted(NOTEBOOKS.glob("*.ipynb"))])
def test_a_notebook_is_stored_without_outputs(name):
    notebook = read(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_why_the_trick(outputs):
    shown = outputs("why_the_trick")
    text = text_of(shown)
    assert "z depends on mu in the graph: False" in text
    means = {name: float(value) for name, value in re.findall(r"(score function|pathwise): mean +(-?[\d.]+)", text)}
    assert means["pathwise"] == pytest.approx(-4.0, abs=0.1)
    assert means["score function"] == pytest.approx(-4.0, abs=0.6)
    assert "Pathwise: expected a q with reparameterized samples" in text
    variances = [float(value) for value in re.findall(r"variance ([\d.]+)", text)]
    assert variances == sorted(variances, reverse=True)
    assert len(variances) == 3
    assert num_figures(shown) == 2
    figure = with_slider(shown)
    frames = figure["frames"]
    assert [step["args"][0][0] for step in figure["layout"]["sliders"][0]["steps"]] == [each["name"] for each in frames]
    for frame in frames:
        score, pathwise, exact = frame["data"]
        mean = sum(x * y for x, y in zip(pathwise["x"], pathwise["y"], strict=True)) / sum(pathwise["y"])
        assert mean == pytest.approx(exact["x"][0], abs=0.1)
        assert sum(y > 0.0 for y in score["y"]) > sum(y > 0.0 for y in pathwise["y"]), "the wider one"


def test_compare_estimators(outputs):
    shown = outputs("compare_estimators", MAX_STEPS=60)
    text = text_of(shown)
    assert "Pathwise(num_samples=4): Pathwise: expected a q with reparameterized samples" in text
    assert num_figures(shown) == 1


def test_own_model(outputs):
    shown = outputs("own_model", MAX_STEPS=100)
    text = text_of(shown)
    first, longer = (float(value) for value in re.findall(r"hits: ([\d.]+)%", text))
    assert first > 30.0
    assert "200 steps" in text
    assert longer >= first
    assert num_figures(shown) == 2
