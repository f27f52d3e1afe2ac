"""COMPARISON + MATCHING → what the report says of how the priority group differs, and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from tschurn.report.theme import BLUE, GREY, bounds_of, error_bars, finish, safe, ticks
from tschurn.report.values import Tables, first, number, records, table_of

if TYPE_CHECKING:
    from tschurn.report.words import Texts

SIGNIFICANT_Q = 0.05
VERSUS = ("others", "other_churners", "matched")
VARIABLES_SHOWN, BEYOND_SHOWN = 15, 5


def comparison_summary(tables: Tables, labels: Mapping[str, str]) -> dict[str, Any]:
    """Per comparison group: the variables, the largest |Hedges' g| first, and how many differ.

    Without the matched users where nobody was matched.
    """
    result = {}
    table = table_of(tables, "comparison")
    for versus in VERSUS:
        part = table[table["versus"] == versus]
        if part.empty or (versus == "matched" and not part["n_versus"].max()):
            continue
        part = part.assign(size=part["hedges_g"].abs()).sort_values(
            ["size", "variable"], ascending=[False, True], na_position="last", kind="stable"
        )
        rows = records(part.drop(columns=["size", "versus"]))
        for row in rows:
            row["label"] = labels.get(row["variable"], row["variable"])
            row["significant"] = None if number(row["q"], None) is None else bool(row["q"] < SIGNIFICANT_Q)
        free = part[~part["circular"].astype(bool)]
        result[versus] = {
            "n_priority": part["n_priority"].max(),
            "n_versus": part["n_versus"].max(),
            "variables": len(part),
            "circular": len(part) - len(free),
            "differing": int((free["q"] < SIGNIFICANT_Q).sum()),
            "tested": int(free["q"].notna().sum()),
            "rows": rows,
        }
    return result


def matching_summary(tables: Tables, comparison: Mapping[str, Any]) -> dict[str, Any] | None:
    """Tables and `comparison_summary` → what sets the group apart beyond its risk of churn; None without MATCHING.

    code: 'beyond' (some variables differ from users of the same p_churn), 'nothing' (none does), 'unmatched' (nobody
    could be matched). before, after: the difference in p_churn in standard deviations. shown: the variables that
    differ most, of which circular ones are none.
    """
    about = first(table_of(tables, "matching"))
    if not about:
        return None
    part = comparison.get("matched")
    differing = [row for row in part["rows"] if row["significant"]] if part else []
    return {
        **about,
        "code": "unmatched" if not part else "beyond" if differing else "nothing",
        "before": _balance(comparison.get("others")),
        "after": _balance(part),
        "shown": [{k: row[k] for k in ("variable", "label", "hedges_g")} for row in differing[:BEYOND_SHOWN]],
    }


def _balance(part: Mapping[str, Any] | None) -> Any:
    rows = part["rows"] if part else []
    return next((row["hedges_g"] for row in rows if row["variable"] == "p_churn"), None)


def draw_comparison(comparison: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure | None]:
    """`comparison_summary` → id → figure."""
    return {f"effects-{versus}": effects(part["rows"], texts) for versus, part in comparison.items()}


def effects(rows: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """Hedges' g of the variables that differ most, with intervals; hollow where the variable enters the score."""
    rows = [r for r in rows if r["hedges_g"] is not None][:VARIABLES_SHOWN]
    names = {r["variable"]: texts.words.get(f"variables.{r['variable']}", r["label"]) for r in rows}
    if not rows:
        return None
    rows.sort(key=lambda r: (-r["hedges_g"], r["variable"]))
    figure = go.Figure()
    for circular, symbol, colour in ((False, "circle", BLUE), (True, "circle-open", GREY)):
        part = [(y, r) for y, r in enumerate(rows) if r["circular"] is circular]
        figure.add_scatter(
            x=[r["hedges_g"] for _, r in part],
            y=[y for y, _ in part],
            mode="markers",
            marker={"color": colour, "size": 10, "symbol": symbol, "line": {"width": 2, "color": colour}},
            error_x=error_bars([bounds_of(r["hedges_g"], r["g_low"], r["g_high"]) for _, r in part]),
            name=texts.plain("figures.circular" if circular else "figures.not_circular"),
            text=[safe(names[r["variable"]], 6) for _, r in part],
            hovertemplate="%{text}<br>g = %{x:.2f}<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    figure.update_yaxes(
        ticks([safe(names[r["variable"]]) for r in rows]), range=[len(rows) - 0.5, -0.5], showgrid=False
    )
    figure.update_xaxes(title_text=texts.plain("figures.hedges_g"))
    return finish(figure, 120 + 34 * len(rows), legend=True)
