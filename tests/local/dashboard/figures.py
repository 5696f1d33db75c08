"""A metric widget as a figure of plotly."""

import html

import plotly.graph_objects as go
import plotly.io

COLORS = ["#1f77b4", "#e6812b", "#2a9d5c", "#c0392b", "#7b5ea7", "#8c6d46", "#d3699b", "#5f6b7a", "#a8a326", "#1fa3b3"]
INK, GRID = "#334155", "#e8ecf1"
FONT = {"family": "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif", "size": 12, "color": INK}
# A legend of more curves than these would take the room below them.
MOST_BELOW = 5


def text(label):
    """plotly reads some tags of HTML in labels."""
    return html.escape(label, quote=False)


def axis(settings, values):
    """An axis from zero up to the highest value; of whole numbers if they are few."""
    # Room above a curve, and an axis for curves that are zero.
    top = max([*values, 1]) * 1.08
    is_count = top <= 6 and all(value == int(value) for value in values)
    return {
        "title": {"text": text(settings.get("label", "")), "font": {"size": 11}, "standoff": 6}, "range": [0, top],
        "gridcolor": GRID, "zerolinecolor": "#cbd5e1", "tickfont": {"size": 11}, "automargin": True, "nticks": 6,
        **({"dtick": 1} if is_count else {}),
    }


def layout(figure, widget, start, end, axes):
    sides = widget.properties["yAxis"]
    below = {"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0, "itemwidth": 30}
    beside = {"orientation": "v", "y": 1, "yanchor": "top", "x": 1.02}
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 6, "b": 4}, paper_bgcolor="white", plot_bgcolor="white", hovermode="x unified", font=FONT,
        legend={**(beside if len(figure.data) > MOST_BELOW else below), "font": {"size": 11}},
        showlegend=True,
        xaxis={"range": [start, end], "gridcolor": GRID, "tickfont": {"size": 11}, "tickformat": "%H:%M", "hoverformat": "%d %b %H:%M UTC", "nticks": 9},
        yaxis=axis(sides.get("left", {}), axes["left"]),
    )
    if "right" in axes:
        figure.update_layout(yaxis2={**axis(sides.get("right", {}), axes["right"]), "overlaying": "y", "side": "right", "showgrid": False})


def time_series(widget, curves, start, end):
    figure = go.Figure()
    for place, curve in enumerate(curves):
        mode = "lines+markers" if len(curve.points) < 40 else "lines"
        figure.add_scatter(
            x=list(curve.points), y=list(curve.points.values()), name=text(curve.label), mode=mode, marker={"size": 4},
            line={"width": 2, "color": curve.color or COLORS[place % len(COLORS)]}, yaxis="y2" if curve.axis == "right" else "y")
    axes = {"left": []}
    for curve in curves:
        axes.setdefault(curve.axis, []).extend(curve.points.values())
    layout(figure, widget, start, end, axes)
    return figure


def div(figure):
    return plotly.io.to_html(
        figure, full_html=False, include_plotlyjs=False, default_height="100%", default_width="100%",
        config={"displayModeBar": False, "responsive": True})
