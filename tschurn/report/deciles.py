"""DECILES → how often churn and stickers follow by a feature's value: those that tell most, and others to choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from tschurn.contracts import DECILE_WINDOWS
from tschurn.report.theme import BLUE, ORANGE, bounds_of, error_bars, finish, safe, ticks
from tschurn.report.values import Tables, number, records, table_of
from tschurn.report.words import brief

if TYPE_CHECKING:
    from tschurn.report.words import Texts

TARGETS = {"churn": (BLUE, "circle", -0.08), "sticker": (ORANGE, "diamond", 0.08)}
MOST_SHOWN, FIRST_SHOWN = 24, 6


def deciles_summary(tables: Tables, labels: Mapping[str, str]) -> dict[str, Any] | None:
    """Tables, names of features → the variables by spread of the churn rate (of the other target, where there is no
    churn), those that can be shown with their bins; null without any.

    windows: that were looked at, of so many training windows; top: the largest rate step, in words' numbers.
    """
    table = table_of(tables, "deciles")
    targets = [target for target in TARGETS if (table["target"] == target).any()]
    if not targets:
        return None
    leading = table[table["target"] == targets[0]].drop_duplicates("variable").sort_values("rank", kind="stable")
    variables = []
    for position, variable in enumerate(leading["variable"].head(MOST_SHOWN), start=1):
        about: dict[str, Any] = {"position": position, "variable": variable, "label": labels.get(variable, variable)}
        of_variable = table[table["variable"] == variable].sort_values("bin", kind="stable")
        about["targets"] = {
            target: {"spread": number(part["spread"].iloc[0], None), "rank": int(part["rank"].iloc[0]),
                     "bins": records(part.drop(columns=["target", "variable", "rank", "spread"]))}
            for target in targets if len(part := of_variable[of_variable["target"] == target])
        }  # fmt: skip
        variables.append(about)
    first = table[(table["target"] == targets[0]) & (table["variable"] == leading["variable"].iloc[0])]
    windows, training = int(first["windows"].sum()), int((table_of(tables, "windows")["split"] == "train").sum())
    return {
        "targets": targets,
        "variables": variables,
        "all": len(leading),
        "first": min(FIRST_SHOWN, len(variables)),
        "windows": windows,
        "training": training,
        "drawn": windows < training and training > DECILE_WINDOWS,
    }


def draw_deciles(summary: Mapping[str, Any] | None, texts: Texts) -> dict[str, go.Figure]:
    """→ a figure for each variable that can be shown, "decile-<position>"; all with the same scale."""
    if summary is None:
        return {}
    highest = max(bin_["high"] if bin_["high"] is not None else bin_["rate"] for about in summary["variables"]
                  for part in about["targets"].values() for bin_ in part["bins"])  # fmt: skip
    top = min(1.02, 1.06 * max(highest, 0.05))
    return {f"decile-{about['position']}": _figure(about, top, texts) for about in summary["variables"]}


def _figure(about: Mapping[str, Any], top: float, texts: Texts) -> go.Figure:
    """Rates of the targets with their intervals, bin by bin."""
    figure = go.Figure()
    bins = {row["bin"]: row for part in about["targets"].values() for row in part["bins"]}
    words = {word: texts.plain(f"deciles.{word}") for word in ("windows", "users")}
    hover = (f"%{{customdata[0]}}: %{{y:.1%}}<br>{words['windows']} %{{customdata[1]:,}} · {words['users']} "
             "%{customdata[2]:,}<extra>%{fullData.name}</extra>")  # fmt: skip
    place = {bin_: i for i, bin_ in enumerate(sorted(bins))}
    for target, part in about["targets"].items():
        colour, symbol, shift = TARGETS[target]
        rows = part["bins"]
        bounds = [bounds_of(row["rate"], row["low"], row["high"]) for row in rows]
        figure.add_scatter(
            x=[place[row["bin"]] + shift for row in rows], y=[round(row["rate"], 4) for row in rows],
            mode="lines+markers", line={"color": colour, "width": 1.6},
            marker={"color": colour, "symbol": symbol, "size": 7},
            error_y=error_bars([(round(up, 4), round(down, 4)) for up, down in bounds]),
            customdata=[[_span(row, texts), row["windows"], row["users"]] for row in rows],
            hovertemplate=hover, name=texts.plain(f"targets.{target}"),
        )  # fmt: skip
    names = [_span(bins[bin_], texts) for bin_ in place]
    figure.update_xaxes(ticks(names), title_text=safe(about["label"]), tickangle=-40 if len(names) > 4 else 0,
                        showgrid=False, range=[-0.5, len(names) - 0.5])  # fmt: skip
    figure.update_yaxes(title_text=texts.plain("deciles.rate"), tickformat=".0%", range=[0, top])
    return finish(figure, 300, legend=True)


def _span(row: Mapping[str, Any], texts: Texts) -> str:
    """The values of a bin, as people write them."""
    low, high = row["from"], row["to"]
    if low is None or high is None:
        return texts.plain("deciles.missing")
    low, high = brief(low), brief(high)
    return low if low == high else f"{low}–{high}"
