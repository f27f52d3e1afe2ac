"""SUBGROUPS → what the report says of whom the models err more for, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from tschurn.report.theme import BLUE, GREY, ORANGE, bounds_of, error_bars, finish, safe, ticks
from tschurn.report.values import Tables, number, records, table_of

if TYPE_CHECKING:
    from tschurn.report.words import Texts

TARGETS, GAPS = ("churn", "sticker"), ("tpr", "fpr")
GAPS_TOLD, GROUPS_DRAWN = 3, 24
OFFSET = 0.16  # of the two dots of a group, in rows
FACT = "fact:"


def subgroups_summary(tables: Tables) -> dict[str, Any]:
    """Tables → by target: everybody's row, the groups, and the gaps whose interval does not hold zero, the largest
    first; without what is not in the run.

    code: 'gaps' (some such), 'none', or 'unknown' (too few users for any interval).
    """
    return {target: found for target in TARGETS if (found := _of_target(tables, target))}


def _of_target(tables: Tables, target: str) -> dict[str, Any] | None:
    rows = records(table_of(tables, "subgroups", target).drop(columns="target"))
    everybody = next((row for row in rows if row["attribute"] == "all"), None)
    if everybody is None:
        return None
    groups = [row for row in rows if row["attribute"] != "all"]
    measured = [_gap(row, rate, everybody) for row in groups for rate in GAPS]
    measured = [gap for gap in measured if gap["low"] is not None]
    standing = [gap for gap in measured if gap["low"] > 0 or gap["high"] < 0]
    standing.sort(key=lambda gap: -abs(gap["gap"]))
    return {
        "code": "gaps" if standing else "none" if measured else "unknown",
        "cut": everybody["cut"],
        "everybody": everybody,
        "groups": groups,
        "measured": len(measured),
        "standing": len(standing),
        "told": standing[:GAPS_TOLD],
    }


def _gap(row: Mapping[str, Any], rate: str, everybody: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "attribute": row["attribute"],
        "group": row["group"],
        "rate": rate,
        "value": row[rate],
        "everybody": everybody[rate],
        "gap": number(row[f"{rate}_gap"], None),
        "low": number(row[f"{rate}_gap_low"], None),
        "high": number(row[f"{rate}_gap_high"], None),
    }


def attribute_name(attribute: str, texts: Texts) -> str:
    """tenure, activity, value_28 in words; a fact by its own name."""
    return texts.words.get(f"subgroups.of_{attribute}", attribute.removeprefix(FACT))


def group_name(group: str, texts: Texts) -> str:
    """The folded rest and the unknown in words; any other group by its own name."""
    return texts.words.get(f"subgroups.group_{group}", group)


def draw_subgroups(subgroups: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure | None]:
    """`subgroups_summary` → id → figure."""
    return {f"subgroups-{target}": gaps_figure(about, texts) for target, about in subgroups.items()}


def gaps_figure(about: Mapping[str, Any], texts: Texts) -> go.Figure | None:
    """How far TPR and FPR of each group are from everybody's, with intervals that hold for all at once."""
    groups = [row for row in about["groups"] if any(row[f"{rate}_gap"] is not None for rate in GAPS)][:GROUPS_DRAWN]
    if not groups:
        return None
    names = [f"{attribute_name(row['attribute'], texts)}: {group_name(row['group'], texts)}" for row in groups]
    figure = go.Figure()
    for rate, colour, shift in (("tpr", BLUE, -OFFSET), ("fpr", ORANGE, OFFSET)):
        part = [(y, row) for y, row in enumerate(groups) if row[f"{rate}_gap"] is not None]
        figure.add_scatter(
            x=[row[f"{rate}_gap"] for _, row in part],
            y=[y + shift for y, _ in part],
            mode="markers",
            marker={"color": colour, "size": 9},
            error_x=error_bars(
                [bounds_of(r[f"{rate}_gap"], r[f"{rate}_gap_low"], r[f"{rate}_gap_high"]) for _, r in part]
            ),
            name=texts.plain(f"subgroups.{rate}"),
            text=[safe(names[y], 6) for y, _ in part],
            customdata=[row[rate] for _, row in part],
            hovertemplate="%{text}<br>%{customdata:.1%} (%{x:+.1%})<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    figure.update_yaxes(ticks([safe(name) for name in names]), range=[len(groups) - 0.5, -0.5], showgrid=False)
    figure.update_xaxes(title_text=texts.plain("subgroups.gap_axis"), tickformat="+.0%")
    return finish(figure, 120 + 34 * len(groups), legend=True)
