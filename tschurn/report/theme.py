"""How the report's figures look: colours, type, and names from a log made safe to stand in them."""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

# Okabe and Ito's colours, which people with colour-blindness can tell apart; blue is the report's accent.
BLUE, ORANGE, RED, SKY, GREEN = "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#009E73"
INK, GREY, LIGHT, RULE = "#2B3440", "#98A1AB", "#D5DAE0", "#E9ECEF"
PAPER, PALE = "#FFFFFF", "#F3F7FA"
VEIL = "rgba(255,255,255,0.85)"  # behind a name that stands on a figure
KIND_COLOURS = {"network": SKY, "average": GREEN, "baseline": GREY}
EFFECT_COLOURS = {"raises": RED, "lowers": BLUE, "mixed": GREY}
SEGMENT_COLOURS = {"priority": BLUE, "other_churners": ORANGE, "favourites": GREEN, "rest": LIGHT}
BLUES = [[0, PALE], [0.5, SKY], [1, BLUE]]

LINE_WIDTH = 26  # of a name in a figure, in characters of the Latin alphabet

THEME = go.layout.Template(
    layout={
        "font": {
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans KR', 'Noto Sans CJK KR', "
            "'Apple SD Gothic Neo', 'Malgun Gothic', sans-serif",
            "size": 12,
            "color": INK,
        },
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": [BLUE, ORANGE, GREEN, RED, SKY, GREY],
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": LIGHT, "font": {"color": INK, "size": 12}, "align": "left"},
        "legend": {
            "orientation": "h",
            "traceorder": "normal",
            "xref": "container",
            "x": 0,
            "xanchor": "left",
            "yref": "container",
            "y": 1,
            "yanchor": "top",
        },
        "xaxis": {
            "gridcolor": RULE,
            "zeroline": False,
            "ticks": "",
            "ticklabelstandoff": 4,
            "automargin": True,
            "title": {"standoff": 10},
        },
        "yaxis": {
            "gridcolor": RULE,
            "zeroline": False,
            "ticks": "",
            "ticklabelstandoff": 4,
            "automargin": True,
            "title": {"standoff": 8},
        },
    }
)


def safe(name: object, lines: int = 2) -> str:
    """A name from the log → text that Plotly shows as it is: at most so many lines, cut in the middle, escaped."""
    text = "".join(c if c.isprintable() else "\N{MIDDLE DOT}" for c in str(name)).strip()
    rows = _wrapped(text)
    if len(rows) > lines:
        head = _fitting(text, LINE_WIDTH * lines // 2 - 1)
        text = f"{text[:head]}…{text[::-1][: _fitting(text[::-1], LINE_WIDTH * lines // 2 - 2)][::-1]}"
        rows = _wrapped(text, at_spaces=False)
    return "<br>".join(html.escape(row, quote=False) for row in rows)  # Plotly leaves &quot; as it stands


def _wrapped(text: str, at_spaces: bool = True) -> list[str]:
    """Lines no wider than LINE_WIDTH; at spaces, and then about equally long, where that takes no more lines."""
    by_force = _broken(text, LINE_WIDTH, at_spaces=False)
    if not at_spaces or len(by_force) == 1:
        return by_force
    even = min(LINE_WIDTH, math.ceil(_width(text) / len(by_force)) + 4)
    tries = (_broken(text, width, at_spaces=True) for width in (even, LINE_WIDTH))
    return next((rows for rows in tries if len(rows) <= len(by_force)), by_force)


def _broken(text: str, width: int, at_spaces: bool) -> list[str]:
    rows = []
    while len(text) > (end := max(1, _fitting(text, width))):
        space = text.rfind(" ", 1, end + 1) if at_spaces else -1
        rows.append(text[: space if space > 0 else end].rstrip())
        text = text[space if space > 0 else end :].lstrip()
    return [*rows, text]


def _width(text: str) -> int:
    """In Latin characters; Korean, Chinese and Japanese ones are as wide as two of them."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _fitting(text: str, width: int) -> int:
    """How many of the first characters are no wider together."""
    total = 0
    for place, character in enumerate(text):
        total += _width(character)
        if total > width:
            return place
    return len(text)


def finish(figure: go.Figure, height: int, legend: bool = False) -> go.Figure:
    """The figure as the report places it, height in pixels; the page itself gives all figures THEME, light or dark."""
    margin = {"t": 46} if legend else {}
    look = {"template": "none", "height": height, "showlegend": legend, "margin": margin, "hovermode": "closest"}
    return figure.update_layout(look)


def ticks(names: Sequence[str]) -> dict[str, Any]:
    """An axis with names at the positions 0, 1, 2, …"""
    return {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": list(names), "type": "linear"}


def bounds_of(value: float, low: float | None, high: float | None) -> tuple[float, float]:
    """Distances of an interval's ends from its value; 0 where there is no interval."""
    return (max(0.0, high - value) if high is not None else 0.0, max(0.0, value - low) if low is not None else 0.0)


def error_bars(bounds: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Bars that reach so far up and down from each point."""
    up, down = ([b[i] for b in bounds] for i in (0, 1))
    return {
        "type": "data",
        "symmetric": False,
        "array": up,
        "arrayminus": down,
        "thickness": 1.2,
        "width": 0,
        "color": GREY,
    }


def short(values: Any, digits: int = 5) -> list[float | None]:
    """Numbers to so many significant digits, for a small file; what is not finite becomes null."""
    numbers = np.asarray(pd.Series(values).astype("float64"))
    return [float(f"{v:.{digits}g}") if math.isfinite(v) else None for v in numbers]


def settings(text: str) -> str:
    """The JSON of a trial's hyperparameters as lines of a hover text."""
    return safe(str(text).translate(str.maketrans("", "", '{}"')), 8)


def faint(colour: str) -> str:
    """#RRGGBB → the same, mostly transparent."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.28)"


# What stands in a colour's place where the page is dark, in small letters as the page looks them up: scales that
# darken with more on white then brighten with more.
_DARK = {
    BLUE: "#62B5E5", ORANGE: "#F0B429", RED: "#F07F3C", SKY: "#2F739B", GREEN: "#2FBF93",
    INK: "#E3E8ED", GREY: "#8794A1", LIGHT: "#3F4B57", RULE: "#2A333D", PAPER: "#1B232B", PALE: "#202A33",
}  # fmt: skip
DARK = {light.lower(): dark for light, dark in _DARK.items()} | {
    faint(light): faint(dark) for light, dark in _DARK.items()
}
DARK[VEIL] = "rgba(27,35,43,0.85)"
