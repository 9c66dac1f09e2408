"""The interactive page: what a browser finds in its tables and figures."""

import base64
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np

from reparam_suite.figures import Band
from reparam_suite.figures.page import curves_section, page, parallel_section, scatter_section, table_section


class Read(HTMLParser):
    """The text of each element, by its tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._open.append(tag)
        self.found.setdefault(tag, [])

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.found[self._open[-1]].append(data)


def drawn(section: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The traces and the layout that plotly's script is given."""
    (call,) = re.findall(r"Plotly\.newPlot\((.*)\)\s*[;}]", section, re.DOTALL)
    decoder, found, place = json.JSONDecoder(), [], 0
    for _ in range(3):  # the element's id, traces, layout
        place = re.compile(r"[\s,]*").match(call, place).end()
        value, place = decoder.raw_decode(call, place)
        found.append(value)
    return found[1], found[2]


def numbers(given: Any) -> list[float]:
    """Numbers of a trace: a list, or plotly's typed array."""
    if isinstance(given, dict):
        return np.frombuffer(base64.b64decode(given["bdata"]), given["dtype"]).tolist()
    return list(given)


def test_a_table_has_every_cell_as_text():
    section = table_section("A & B", ["name", "<value>"], [["x<y", "1"], ["z", "2 > 1"]], note="p < 0.05")
    found = Read(section).found
    assert found["h2"] == ["A & B"]
    assert found["th"] == ["name", "<value>"]
    assert found["td"] == ["x<y", "1", "z", "2 > 1"]
    assert found["p"] == ["p < 0.05"]
    assert "p" not in Read(table_section("A", ["a"], [["b"]])).found


def test_a_band_is_an_outline_of_one_error_either_side_under_its_curve():
    bands = {"one": Band(np.array([1.0, 5.0]), np.array([-3.0, 2.0]), np.array([0.5, 0.25]))}
    (outline, curve), layout = drawn(curves_section("Bound", bands, quantity="nats"))
    assert numbers(outline["x"]) == [1.0, 5.0, 5.0, 1.0]
    assert numbers(outline["y"]) == [-2.5, 2.25, 1.75, -3.5]
    assert (numbers(curve["x"]), numbers(curve["y"])) == ([1.0, 5.0], [-3.0, 2.0])
    assert (curve["name"], outline["showlegend"]) == ("one", False)
    assert outline["legendgroup"] == curve["legendgroup"], "they are switched off together"
    assert (layout["yaxis"]["type"], layout["yaxis"]["title"]["text"]) == ("linear", "nats")
    assert drawn(curves_section("Bound", bands, quantity="nats", logarithmic=True))[1]["yaxis"]["type"] == "log"


def test_names_have_a_dot_each_on_logarithmic_axes():
    traces, layout = drawn(scatter_section("Costs", {"a": (2.0, 30.0), "b": (5.0, 7.0)}, x="ms", y="variance"))
    assert [(trace["name"], *trace["x"], *trace["y"]) for trace in traces] == [("a", 2.0, 30.0), ("b", 5.0, 7.0)]
    assert (layout["xaxis"]["type"], layout["yaxis"]["type"]) == ("log", "log")
    assert (layout["xaxis"]["title"]["text"], layout["yaxis"]["title"]["text"]) == ("ms", "variance")


def test_words_of_a_column_are_places_on_its_axis_in_order():
    columns = {"estimator": ["B", "A", "B"], "rate": [0.1, 0.2, 0.3], "elbo": [-1.0, -3.0, -2.0]}
    (lines,), _ = drawn(parallel_section("Runs", columns, coloured_by="elbo"))
    words, rate, _ = lines["dimensions"]
    assert (words["label"], words["ticktext"], words["tickvals"]) == ("estimator", ["B", "A"], [0, 1])
    assert numbers(words["values"]) == [0, 1, 0]
    assert (numbers(rate["values"]), "ticktext" in rate) == ([0.1, 0.2, 0.3], False)
    assert numbers(lines["line"]["color"]) == [-1.0, -3.0, -2.0]


def test_the_page_is_one_file_that_asks_for_nothing_from_elsewhere():
    written = page("Runs of <me>", [table_section("A", ["a"], [["b"]]), "<p>more</p>"])
    without_scripts = re.sub(r"<script>.*?</script>", "", written, flags=re.DOTALL)
    found = Read(without_scripts).found
    assert (found["title"], found["h1"], found["p"]) == (["Runs of <me>"], ["Runs of <me>"], ["more"])
    assert not re.search(r"\b(src|href)=", without_scripts)
    assert "newPlot" in written, "plotly's script is inside"
