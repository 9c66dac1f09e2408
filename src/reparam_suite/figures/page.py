"""One HTML page of tables and figures that can be turned and zoomed; it opens without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from reparam_suite.figures.bands import Band
from reparam_suite.figures.style import COLOURS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_STYLE = """
body { font: 15px/1.5 sans-serif; color: #333; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: 0.25em 0.9em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.note { color: #666; font-size: 13px; }
"""


def page(title: str, sections: Sequence[str]) -> str:
    """The page of some sections of HTML, the script that draws inside."""
    from plotly.offline import get_plotlyjs

    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    script = f"<script>{get_plotlyjs()}</script>"
    body = f"<h1>{escape(title)}</h1>{''.join(sections)}"
    return f"<!doctype html><html><head>{head}{script}</head><body>{body}</body></html>"


def table_section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> str:
    """A table under a heading."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows)
    remark = f"<p class='note'>{escape(note)}</p>" if note else ""
    return f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{body}</table>{remark}"


def curves_section(title: str, bands: Mapping[str, Band], *, quantity: str, logarithmic: bool = False) -> str:
    """Curves with bands of one standard error."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for position, (name, band) in enumerate(bands.items()):
        colour = COLOURS[position % len(COLOURS)]
        low, high = (band.mean - band.error).tolist(), (band.mean + band.error).tolist()
        around = [*band.step.tolist(), *band.step.tolist()[::-1]]
        figure.add_scatter(
            x=around,
            y=[*high, *low[::-1]],
            fill="toself",
            fillcolor=colour,
            opacity=0.15,
            line_width=0,
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            legendgroup=name,
        )
        figure.add_scatter(x=band.step, y=band.mean, name=name, legendgroup=name, mode="lines", line_color=colour)
    figure.update_yaxes(title=quantity, type="log" if logarithmic else "linear")
    figure.update_xaxes(title="step")
    return _section(title, figure)


def scatter_section(title: str, points: Mapping[str, tuple[float, float]], *, x: str, y: str) -> str:
    """A dot for each name, both axes logarithmic."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for position, (name, (across, up)) in enumerate(points.items()):
        figure.add_scatter(x=[across], y=[up], name=name, mode="markers", marker_color=COLOURS[position % len(COLOURS)])
    figure.update_traces(marker_size=10)
    figure.update_xaxes(title=x, type="log")
    figure.update_yaxes(title=y, type="log")
    return _section(title, figure)


def parallel_section(title: str, columns: Mapping[str, Sequence[float | str]], *, coloured_by: str) -> str:
    """A line for each run through its value in every column; names become places on their axis."""
    from plotly import graph_objects as go

    dimensions: list[dict[str, Any]] = []
    for name, values in columns.items():
        if all(isinstance(value, int | float) for value in values):
            dimensions.append({"label": name, "values": list(values)})
            continue
        places = {text: place for place, text in enumerate(dict.fromkeys(map(str, values)))}
        ticks = {"tickvals": list(places.values()), "ticktext": list(places)}
        dimensions.append({"label": name, "values": [places[str(value)] for value in values], **ticks})
    line = {"color": list(columns[coloured_by]), "colorscale": "Viridis", "showscale": True}
    figure = go.Figure(go.Parcoords(dimensions=dimensions, line=line))
    return _section(title, figure, left=200)  # for the names on the first axis


def _section(title: str, figure: Figure, left: int = 70) -> str:
    margin = {"l": left, "r": 40, "t": 60, "b": 50}
    figure.update_layout(template="simple_white", height=480, margin=margin, legend_orientation="h", legend_y=-0.2)
    drawn: str = figure.to_html(full_html=False, include_plotlyjs=False)
    return f"<h2>{escape(title)}</h2>{drawn}"
