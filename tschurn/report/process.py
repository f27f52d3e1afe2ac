"""The tables of contracts.process → what the report says and draws of how users move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tschurn.report.theme import (
    BLUE,
    BLUES,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PAPER,
    RED,
    RULE,
    SKY,
    faint,
    finish,
    safe,
    short,
    ticks,
)
from tschurn.report.values import Tables, first, parsed, records, table_of

if TYPE_CHECKING:
    from tschurn.report.words import Texts

VARIANTS_SHOWN, STEPS_SHOWN, SLOW_SHOWN, DIFFERENCES_SHOWN, TREE_SHOWN = 10, 14, 10, 6, 60
FREQUENT = 40  # edges among which the slow ones are looked for
NODES_SHOWN, LINKS_SHOWN = 12, 60
_START, _END = "\0start", "\0end"
_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


# --- what is said -----------------------------------------------------------------------------------
def process_summary(tables: Tables) -> dict[str, Any] | None:
    """Tables → the process map in numbers, null where the run has none.

    variants: by group, the most frequent ones; slow: of the most frequent edges those with the longest median time;
    differences: the edges by which churned differ most from stayed, of those that stand out of noise.
    """
    about = first(table_of(tables, "process_summary"))
    if not about:
        return None
    reasons = {"pm4py": "found", "not installed": "not_installed", "no cases": "no_cases"}
    why = next((code for words, code in reasons.items() if words in about["discovery"]), "other")
    differences = table_of(tables, "follows_difference")
    standing = differences[differences["stands"].astype(bool)]
    standing = standing.sort_values(["difference", "source", "target"], key=_largest, kind="stable")
    users = about["path_users_share"]
    tree = table_of(tables, "process_model").sort_values("node", kind="stable")
    return about | {
        "discovered": why,
        "sampled": None if pd.isna(users) or users >= 1 else users,
        "variants_of": {g: _variants(table_of(tables, "variants"), g) for g in ("all", "churned", "stayed")},
        "slow": _slow(table_of(tables, "directly_follows")),
        "differences": records(standing.head(DIFFERENCES_SHOWN)),
        "standing": len(standing),
        "compared": int(differences["low"].notna().sum()),
        "tree": records(tree.head(TREE_SHOWN)),
        "tree_more": max(0, len(tree) - TREE_SHOWN),
    }


def _largest(column: pd.Series) -> pd.Series:
    return -column.abs() if column.name == "difference" else column.fillna("")


def _variants(table: pd.DataFrame, group: str) -> dict[str, Any]:
    part = table[table["group"] == group]
    part = part.sort_values(["cases", "length", "steps"], ascending=[False, True, True], kind="stable")
    shown = records(part.head(VARIANTS_SHOWN))
    for row in shown:
        steps = parsed(row["steps"], [row["steps"]])
        row |= {"steps": steps[:STEPS_SHOWN], "more": max(0, len(steps) - STEPS_SHOWN)}
    return {"rows": shown, "share": float(part["share"].head(VARIANTS_SHOWN).sum())}


def _slow(graph: pd.DataFrame) -> list[dict[str, Any]]:
    """The slow ones of the most frequent edges, with the median of each group as a number and its unit."""
    known = graph[graph["median_seconds"].notna()]
    medians = known.set_index(["group", "source", "target"])["median_seconds"]
    frequent = known[known["group"] == "all"].sort_values(["n", "source", "target"], ascending=[False, True, True])
    slow = frequent.head(FREQUENT).sort_values("median_seconds", ascending=False, kind="stable").head(SLOW_SHOWN)
    rows = []
    for row in records(slow[["source", "target", "n", "median_seconds", "p90_seconds"]]):
        edge = row["source"], row["target"]
        groups = {group: duration(medians.get((group, *edge))) for group in ("churned", "stayed")}
        times = {"median": duration(row["median_seconds"]), "p90": duration(row["p90_seconds"])}
        rows.append({"source": edge[0], "target": edge[1], "n": row["n"], **times, **groups})
    return rows


def duration(seconds: float | None) -> dict[str, Any] | None:
    """Seconds → the number and unit ('days', 'hours', 'minutes', 'seconds') that people would say."""
    if seconds is None or pd.isna(seconds):
        return None
    unit, size = next((unit for unit in _UNITS if seconds >= unit[1]), _UNITS[-1])
    return {"unit": unit, "value": round(float(seconds) / size, 1)}


# --- what is drawn ----------------------------------------------------------------------------------
def draw_process(tables: Tables, about: Mapping[str, Any] | None, texts: Texts) -> dict[str, go.Figure | None]:
    """Tables and `process_summary` → the figures 'follows', 'follows-difference' and 'paths'."""
    states = bool(about) and about["case_kind"] == "day_states"
    graph = table_of(tables, "directly_follows")
    return {
        "follows": follows(graph, states, texts),
        "follows-difference": follows_difference(table_of(tables, "follows_difference"), graph, states, texts),
        "paths": paths(table_of(tables, "paths"), states, texts),
    }


def follows(graph: pd.DataFrame, states: bool, texts: Texts) -> go.Figure | None:
    """Directly-follows graph as a heatmap: of what follows a step (row), the share of each next step (column)."""
    edges = _ended(graph[graph["group"] == "all"])
    if edges.empty:
        return None
    rows, columns = _order(edges)
    shares, counts = (_wide(edges, value, rows, columns) for value in ("share", "n"))
    figure = go.Figure(
        go.Heatmap(
            z=[short(row) for row in shares],
            customdata=[short(row) for row in counts],
            text=[[f"{v:.0%}" if v >= 0.1 else "" for v in row] for row in np.nan_to_num(shares)],
            texttemplate="%{text}",
            textfont={"size": 11},
            colorscale=BLUES,
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            hoverongaps=False,
            hovertemplate="%{y} → %{x}<br>%{z:.1%} · %{customdata:,.0f}<extra></extra>",
            showscale=False,
        )
    )
    return _matrix(figure, rows, columns, states, texts)


def follows_difference(table: pd.DataFrame, graph: pd.DataFrame, states: bool, texts: Texts) -> go.Figure | None:
    """Shares before churn minus shares before activity in percentage points; grey: no more than noise."""
    edges = _ended(table)
    if edges.empty:
        return None
    rows, columns = _order(_ended(graph[graph["group"] == "all"]))
    edges = edges.assign(points=100 * edges["difference"].astype("float64"))
    stands = edges["stands"].astype(bool)
    columns_of = ("churned_share", "stayed_share", "low", "high")
    about = np.stack([_wide(edges, name, rows, columns) for name in columns_of], axis=-1)
    about[..., 2:] *= 100
    limit = float(edges.loc[stands, "points"].abs().max()) if stands.any() else 1.0
    words = {name: texts.plain(f"process.{name}") for name in ("points", "churned", "stayed")}
    hover = (
        "%{y} → %{x}<br><b>%{z:+.1f}</b> (%{customdata[2]:+.1f} … %{customdata[3]:+.1f}) "
        f"{words['points']}<br>"
        f"{words['churned']}: %{{customdata[0]:.1%}} · {words['stayed']}: %{{customdata[1]:.1%}}<extra></extra>"
    )
    figure = go.Figure()
    for kept, scale in ((stands, [[0, BLUE], [0.5, PAPER], [1, ORANGE]]), (~stands, [[0, RULE], [1, RULE]])):
        points = _wide(edges[kept], "points", rows, columns)
        figure.add_heatmap(
            z=[short(row) for row in points],
            customdata=[[short(cell) for cell in row] for row in about],
            text=[[_signed(v) for v in row] for row in points] if kept is stands else None,
            texttemplate="%{text}" if kept is stands else None,
            textfont={"size": 11},
            colorscale=scale,
            zmin=-limit,
            zmax=limit,
            xgap=2,
            ygap=2,
            hoverongaps=False,
            hovertemplate=hover,
            showscale=False,
        )
    return _matrix(figure, rows, columns, states, texts)


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(points) else ""


def _ended(edges: pd.DataFrame) -> pd.DataFrame:
    """Edges with a name for starts and ends."""
    return edges.assign(source=edges["source"].fillna(_START), target=edges["target"].fillna(_END))


def _order(edges: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Edges of all cases → rows and columns of a heatmap: the busiest steps, the start first, the end last."""
    flow = edges.groupby("source")["n"].sum().add(edges.groupby("target")["n"].sum(), fill_value=0).astype("float64")
    order = flow.sort_index().sort_values(ascending=False, kind="stable").index
    names = [name for name in order if name not in (_START, _END)][:NODES_SHOWN]
    return [_START, *names], [*names, _END]


def _wide(edges: pd.DataFrame, value: str, rows: list[str], columns: list[str]) -> np.ndarray:
    """→ one column of edges as an array [rows × columns], NaN where there is no edge."""
    filled = edges.set_index(["source", "target"])[value].astype("float64")
    return filled.reindex(pd.MultiIndex.from_product([rows, columns])).to_numpy().reshape(len(rows), len(columns))


def _matrix(figure: go.Figure, rows: list[str], columns: list[str], states: bool, texts: Texts) -> go.Figure:
    ends = {_START: texts.plain("figures.start"), _END: texts.plain("figures.end")}
    names = {name: ends.get(name) or step_name(name, states, texts, 1) for name in (*rows, *columns)}
    figure.update_xaxes(ticks([names[c] for c in columns]), tickangle=-40, showgrid=False)
    figure.update_yaxes(ticks([names[r] for r in rows]), autorange="reversed", showgrid=False)
    figure.update_layout(
        xaxis_title_text=texts.plain("figures.next_step"), yaxis_title_text=texts.plain("figures.step")
    )
    return finish(figure, 260 + 32 * len(rows))


def paths(table: pd.DataFrame, states: bool, texts: Texts) -> go.Figure | None:
    """Sankey of the main paths, position by position: links and blocks with their percent of the start, links with that
    of the step before as well."""
    if table.empty:
        return None
    links = table.assign(target=table["target"].fillna(_END))
    links = links.sort_values(["n", "step", "source", "target"], ascending=[False, True, True, True], kind="stable")
    links = links.head(LINKS_SHOWN).sort_values(["step", "source", "target"], kind="stable")
    weight = links[links["source"] != "other"].groupby("source")["n"].sum().sort_values(ascending=False, kind="stable")
    palette = (BLUE, ORANGE, GREEN, SKY, RED)
    colours = {name: palette[i] if i < len(palette) else GREY for i, name in enumerate(weight.index)}
    ends = {_END: texts.plain("figures.end"), "other": texts.plain("figures.other")}
    sources = list(zip(links["step"], links["source"], strict=True))
    targets = list(zip(links["step"] + 1, links["target"], strict=True))
    nodes = sorted({*sources, *targets})
    place = {node: i for i, node in enumerate(nodes)}
    reached = _reached(table)
    figure = go.Figure(
        go.Sankey(
            arrangement="snap",
            node={
                "label": [f"{ends.get(n) or step_name(n, states, texts)} {reached[at, n]:.0%}" for at, n in nodes],
                "color": [LIGHT if name in ends else colours.get(name, GREY) for _, name in nodes],
                "align": "left",
                "pad": 14,
                "thickness": 12,
                "line": {"width": 0},
                "hovertemplate": "%{label}<br>%{value:,.0f}<extra></extra>",
            },
            link={
                "source": [place[n] for n in sources],
                "target": [place[n] for n in targets],
                "value": [int(n) for n in links["n"]],
                "color": [faint(colours.get(name, GREY)) for name in links["source"]],
                "customdata": [_told(row, texts) for row in records(links)],
                "hovertemplate": "%{source.label} → %{target.label}<br>%{customdata}<extra></extra>",
            },
        )
    )  # fmt: skip
    return finish(figure, 460)


def _reached(table: pd.DataFrame) -> dict[tuple[int, str], float]:
    """PATHS → position and step → the share of all cases that stand there (of an end: that ended there)."""
    start = table[table["step"] == 1].groupby("source")["share_of_start"].sum()
    later = table.assign(target=table["target"].fillna(_END)).groupby(["step", "target"])["share_of_start"].sum()
    return {(1, name): share for name, share in start.items()} | {(at + 1, name): s for (at, name), s in later.items()}


def _told(row: Mapping[str, Any], texts: Texts) -> str:
    """What a link says of itself."""
    told = texts.plain(
        "process.link", n=f"{row['n']:,}", users=f"{row['users']:,}", start=f"{row['share_of_start']:.1%}",
        previous=f"{row['share_of_previous']:.1%}",
    )  # fmt: skip
    if pd.isna(row["churned_share"]):
        return told
    return told + "<br>" + texts.plain("process.link_churned", share=f"{row['churned_share']:.1%}")


def step_name(name: str, states: bool, texts: Texts, lines: int = 2) -> str:
    """The name of a step: an event's name as it is, a day state in the report's language."""
    return safe(texts.words.get(f"states.{name}", name) if states else name, lines)
