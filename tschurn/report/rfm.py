"""RFM, RFM_TRANSITIONS → what the report says of who rose and who fell from one period to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from tschurn.report.theme import BLUE, GREEN, GREY, ORANGE, SKY, faint, finish
from tschurn.report.values import Tables, first, number, records, table_of

if TYPE_CHECKING:
    from tschurn.config import Experiment
    from tschurn.report.words import Texts

CLASSES = ("best", "good", "fair", "other", "absent")
CLASS_COLOURS = dict(zip(CLASSES, (BLUE, SKY, GREEN, GREY, ORANGE), strict=True))
HEIGHT, TOP, BOTTOM = 470, 44, 14  # of the figure and its margins, in pixels
GAP = 0.03  # of what is between them, between two classes
SHOWN = 3  # moves of the priority group that are told


def rfm_summary(tables: Tables, experiment: Experiment) -> dict[str, Any]:
    """Tables → the periods, the rule, the moves and where the priority group comes from; code: 'told', or why there
    are no periods: 'too_short' (the log) or 'nobody' (has activity in them)."""
    rule, days = experiment.rfm, number(first(table_of(tables, "log_summary")).get("days"), 0)
    scored = table_of(tables, "rfm")
    length = rule.days or int(days) // 2
    about = {
        "days": length, "log_days": days, "cuts": rule.cuts,
        "weights": {k: w / sum(rule.weights) for k, w in zip(("r", "f", "m"), rule.weights, strict=True)},
        "value": "own" if experiment.targets.sticker is None else "stickers",
    }  # fmt: skip
    if scored.empty:
        return about | {"code": "too_short" if 2 * length > days or length < 7 else "nobody"}
    moves = records(table_of(tables, "rfm_transitions"))
    called = [row | {"called": round(row["scored"] * number(row["priority"], 0.0))} for row in moves]
    group = sum(row["called"] for row in called)
    by_size = sorted((row for row in called if row["called"]), key=lambda row: -row["called"])
    periods = scored.groupby("period", sort=True)[["first_day", "last_day"]].first()
    sizes = scored.groupby(["period", "class"]).size()
    fell = sum(row["users"] for row in moves if row["from"] == "best" and row["to"] in ("other", "absent"))
    best = int(sizes.get((1, "best"), 0))
    return about | {
        "code": "told",
        "periods": records(periods),
        "users": scored["user_id"].nunique(),
        "moves": called,
        "sizes": {str(period): {name: int(sizes.get((period, name), 0)) for name in CLASSES} for period in (1, 2)},
        "best": best,
        "fell": fell,
        "fell_share": fell / best if best else None,
        "group": group,
        "group_from": [row | {"share_of_group": row["called"] / group} for row in by_size[:SHOWN]],
    }


def draw_rfm(summary: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure | None]:
    """Sankey of the moves between the classes of the two periods: id → figure."""
    return {"rfm": _sankey(summary, texts)} if summary["code"] == "told" else {}


def _sankey(summary: Mapping[str, Any], texts: Texts) -> go.Figure:
    names = {name: texts.plain(f"rfm.{name}") for name in CLASSES}
    sizes = [{c: n for c, n in summary["sizes"][period].items() if n} for period in ("1", "2")]
    nodes = [(side, name) for side in (0, 1) for name in sizes[side]]
    place = {node: i for i, node in enumerate(nodes)}
    moves = [row for row in summary["moves"] if row["users"]]
    colours = [CLASS_COLOURS[name] for _, name in nodes]
    figure = go.Figure(
        go.Sankey(
            arrangement="fixed",
            node={
                "label": [f"{names[name]} {sizes[side][name]:,}" for side, name in nodes],
                "x": [0.001 if side == 0 else 0.999 for side, _ in nodes],
                "y": [*_centres(list(sizes[0].values())), *_centres(list(sizes[1].values()))],
                "color": colours,
                "pad": round(GAP * (HEIGHT - TOP - BOTTOM)),
                "thickness": 14,
                "line": {"width": 0},
                "hovertemplate": "%{label}<extra></extra>",
            },
            link={
                "source": [place[0, row["from"]] for row in moves],
                "target": [place[1, row["to"]] for row in moves],
                "value": [int(row["users"]) for row in moves],
                "color": [faint(CLASS_COLOURS[row["from"]]) for row in moves],
                "customdata": [_told(row, names, texts) for row in moves],
                "hovertemplate": "%{customdata}<extra></extra>",
            },
        )
    )
    for x, anchor, period in zip((0, 1), ("left", "right"), summary["periods"], strict=True):
        span = f"{str(period['first_day'])[:10]} – {str(period['last_day'])[:10]}"
        figure.add_annotation(
            x=x, y=1, yshift=24, xref="paper", yref="paper", text=span, showarrow=False, xanchor=anchor
        )
    return finish(figure, HEIGHT).update_layout(margin={"l": 8, "r": 8, "t": TOP, "b": BOTTOM})


def _centres(sizes: Sequence[int]) -> list[float]:
    """Sizes of the classes of one side → the middles of their bars from the top, with a gap between two of them."""
    free, top, found = 1 - GAP * (len(sizes) - 1), 0.0, []
    for size in sizes:
        height = free * size / sum(sizes)
        found.append(min(0.999, max(0.001, top + height / 2)))
        top += height + GAP
    return found


def _told(row: Mapping[str, Any], names: Mapping[str, str], texts: Texts) -> str:
    """A move, for a hover text."""
    group = "" if number(row["priority"], None) is None else texts.plain("rfm.hover", share=f"{row['priority']:.1%}")
    return f"{names[row['from']]} → {names[row['to']]}<br>{row['users']:,} · {row['share_of_from']:.1%}<br>{group}"
