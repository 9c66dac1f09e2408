"""Views of MLflow's page: columns and charts in an order, as its own page stores them."""

import base64
import json
import zlib

from reparam_suite.tracking.views import View, views

METRICS = (
    *("val/elbo", "val/kl", "val/reconstruction", "val/elbo_best", "val/elbo_best_step", "train/elbo"),
    *("grad/encoder/variance", "grad/decoder/variance", "grad/encoder/snr", "grad_path/encoder/variance_per_element"),
    *("test/elbo", "time/ms_per_step", "cost/ms_per_gradient", "test/bound_9_standard_error"),
)


def view(key: str) -> View:
    (found,) = [view for view in views(METRICS) if view.key == key]
    return found


def cards(state, title: str) -> list[tuple[str, str]]:
    return [
        (card["type"], card.get("metricKey", ""))
        for card in state["compareRunCharts"]
        if card["metricSectionId"] == title
    ]


def test_curves_come_first_and_single_values_are_bars():
    state = view("curves").state
    assert [section["name"] for section in state["compareRunSections"] if section["display"]] == [
        "Training",
        "Results and costs",
    ]
    assert cards(state, "Training") == [
        ("LINE", "val/elbo"),
        ("LINE", "grad/encoder/variance"),
        ("LINE", "val/kl"),
        ("LINE", "val/reconstruction"),
        ("LINE", "grad/decoder/variance"),
        ("LINE", "grad_path/encoder/variance_per_element"),
    ]
    assert cards(state, "Results and costs") == [
        ("BAR", "cost/ms_per_gradient"),
        ("BAR", "test/elbo"),
        ("BAR", "time/ms_per_step"),
    ]
    assert cards(state, "grad/encoder") == [("LINE", "grad/encoder/snr")]
    assert "val/elbo_best" not in {card.get("metricKey") for card in state["compareRunCharts"]}
    assert state["groupBy"]["groupByKeys"] == [{"mode": "param", "groupByData": "estimator"}]


def test_parallel_coordinates_go_from_options_to_results():
    state = view("options").state
    assert state["groupBy"] is None
    assert cards(state, "Options against results") == [("PARALLEL", "")]
    (card,) = [card for card in state["compareRunCharts"] if card["type"] == "PARALLEL"]
    assert card["selectedParams"] == ["estimator", "latent_size", "learning_rate"]
    assert card["selectedMetrics"] == ["time/ms_per_step", "grad/encoder/variance", "val/elbo_best"]


def test_the_table_has_estimator_seed_and_results_in_this_order():
    state = view("table").state
    assert state["selectedColumns"] == state["columnOrder"]
    assert state["selectedColumns"] == [
        *(f"params.`{name}`" for name in ("estimator", "data", "seed", "latent_size", "learning_rate")),
        *(f"metrics.`{name}`" for name in ("val/elbo_best", "test/elbo", "grad/encoder/variance", "time/ms_per_step")),
    ]


def test_trainings_and_the_rest_are_apart():
    filters = {view.key: view.state["searchFilter"] for view in views(METRICS)}
    assert filters["curves"] == filters["table"] == filters["options"] == 'tags.kind = "training"'
    assert filters["others"] == 'tags.kind != "training"'


def test_a_tag_is_what_the_page_writes_itself():
    curves = view("curves")
    tag = json.loads(curves.tag())
    assert (tag["name"], type(tag["createdAt"])) == ("Training curves", int)
    packed = tag["state"].removeprefix("deflate;")
    assert json.loads(zlib.decompress(base64.b64decode(packed))) == curves.state
    assert len(curves.tag()) < 20_000  # MLflow's limit
    assert curves.address("7") == (
        "#/experiments/7/runs?workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey=curves"
    )
