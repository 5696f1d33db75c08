"""A metric widget as a figure of plotly, or as numbers."""

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


def number(value):
    """Short enough for a tile: 1234567 is 1.23 M."""
    if value is None:
        return "–"
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= size:
            return f"{value / (1e3 if suffix == ' k' else size):.3g}{suffix}"
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def axis(settings, values):
    """An axis from zero up to the highest value; of whole numbers if they are few."""
    low, high = settings.get("min", 0), settings.get("max")
    # Room above a curve, and an axis for curves that are zero.
    top = high if high is not None else max([*values, 1]) * 1.08
    bottom = min([*values, low])
    is_count = top <= 6 and all(value == int(value) for value in values)
    return {
        "title": {"text": text(settings.get("label", "")), "font": {"size": 11}, "standoff": 6}, "range": [bottom, top],
        "gridcolor": GRID, "zerolinecolor": "#cbd5e1", "tickfont": {"size": 11}, "automargin": True, "nticks": 6,
        **({"dtick": 1} if is_count else {}),
    }


def layout(figure, widget, start, end, axes):
    properties = widget.properties
    sides = properties.get("yAxis", {})
    below = {"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0, "itemwidth": 30}
    beside = {"orientation": "v", "y": 1, "yanchor": "top", "x": 1.02}
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 6, "b": 4}, paper_bgcolor="white", plot_bgcolor="white", hovermode="x unified", font=FONT,
        legend={**(beside if len(figure.data) > MOST_BELOW else below), "font": {"size": 11}},
        showlegend=properties.get("legend", {}).get("position") != "hidden",
        xaxis={"range": [start, end], "gridcolor": GRID, "tickfont": {"size": 11}, "tickformat": "%H:%M", "hoverformat": "%d %b %H:%M UTC", "nticks": 9},
        yaxis=axis(sides.get("left", {}), axes["left"]),
    )
    if "right" in axes:
        figure.update_layout(yaxis2={**axis(sides.get("right", {}), axes["right"]), "overlaying": "y", "side": "right", "showgrid": False})
    for line in properties.get("annotations", {}).get("horizontal", []):
        for one in line if isinstance(line, list) else [line]:
            color = one.get("color", "#c0392b")
            figure.add_hline(y=one["value"], line={"color": color, "width": 1, "dash": "dash"},
                             annotation={"text": text(one.get("label", "")), "font": {"size": 10, "color": color}})


def time_series(widget, curves, start, end):
    figure = go.Figure()
    for place, curve in enumerate(curves):
        color = curve.color or COLORS[place % len(COLORS)]
        style = {"stackgroup": "one", "line": {"width": 1, "color": color}} if widget.properties.get("stacked") else {"line": {"width": 2, "color": color}}
        mode = "lines+markers" if len(curve.points) < 40 else "lines"
        figure.add_scatter(
            x=list(curve.points), y=list(curve.points.values()), name=text(curve.label), mode=mode, marker={"size": 4},
            yaxis="y2" if curve.axis == "right" else "y", **style)
    axes = {"left": []}
    for curve in curves:
        axes.setdefault(curve.axis, []).extend(curve.points.values())
    layout(figure, widget, start, end, axes)
    return figure


def shares(widget, curves):
    values = [curve.last for curve in curves]
    labels, colors = [text(curve.label) for curve in curves], [curve.color or COLORS[i % len(COLORS)] for i, curve in enumerate(curves)]
    if widget.view == "pie":
        figure = go.Figure(go.Pie(labels=labels, values=values, marker={"colors": colors}, hole=0.5))
    else:
        figure = go.Figure(go.Bar(y=labels, x=values, orientation="h", marker={"color": colors}, text=list(map(number, values))))
        figure.update_yaxes(autorange="reversed", automargin=True)
        figure.update_xaxes(gridcolor=GRID)
    figure.update_layout(margin={"l": 8, "r": 8, "t": 6, "b": 4}, paper_bgcolor="white", plot_bgcolor="white", font=FONT, showlegend=widget.view == "pie")
    return figure


def div(figure):
    return plotly.io.to_html(
        figure, full_html=False, include_plotlyjs=False, default_height="100%", default_width="100%",
        config={"displayModeBar": False, "responsive": True})


def tiles(curves):
    """The numbers of `singleValue`, `gauge` and `table`."""
    return [(curve.label, number(curve.last), curve.color or INK) for curve in curves]
