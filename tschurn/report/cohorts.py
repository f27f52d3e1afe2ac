"""COHORTS, SURVIVAL and CENSUS → who stays: retention by cohort, how long users stay, and in what state they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tschurn.contracts import CURRENT_DAYS, DORMANT_DAYS, GONE_DAYS, MIXED_DAYS
from tschurn.report.theme import BLUE, BLUES, GREEN, GREY, INK, LIGHT, ORANGE, RED, SKY, faint, finish, short, ticks
from tschurn.report.values import Tables, records, table_of

if TYPE_CHECKING:
    from tschurn.report.words import Texts

WEEK = 7
KINDS = ("classic", "rolling")
SURVIVAL_MARKED = (7, 28, 91, 182, 364)
STATES = {"current": BLUE, "new": GREEN, "returned": SKY, "at_risk": ORANGE, "dormant": LIGHT}
FLOWS = {"joined": GREEN, "came_back": SKY, "fell_dormant": RED}
GROUPS = {"all": (BLUE, "solid", 2.4), "early": (GREY, "dash", 1.6), "late": (ORANGE, "dash", 1.6)}
MOST_DAYS = 1_500  # beyond these the states are drawn by week
CELLS_NAMED = 14  # columns up to which a heatmap's cells have their percent sign


def cohorts_summary(tables: Tables) -> dict[str, Any]:
    """Tables → "cohorts", "survival" and "census", each null without its table's rows."""
    return {"cohorts": _cohorts(tables), "survival": _survival(tables), "census": _census(tables)}


def _cohorts(tables: Tables) -> dict[str, Any] | None:
    """The cohorts in numbers, and at a few ages the retention of those that came after the log's first weeks, all
    together (the users of a cohort that is too young for an age do not count there)."""
    table = table_of(tables, "cohorts")
    if table.empty:
        return None
    whole = table[table["age"] == 0]
    fresh = table[~table["mixed"].astype(bool)]
    ages = sorted(set(fresh["age"]) - {0})
    marked = [ages[i] for i in sorted({0, (len(ages) - 1) // 3, (len(ages) - 1) * 2 // 3})] if ages else []
    rows = []
    for age in marked:
        part = fresh[fresh["age"] == age]
        users = int(part["users"].sum())
        rows.append({"age": int(age), "days": int(age * table["period_days"].iloc[0]), "users": users,
                     "cohorts": len(part), "classic": part["active"].sum() / users,
                     "rolling": part["still"].sum() / users})  # fmt: skip
    return {
        "period_days": int(table["period_days"].iloc[0]),
        "cohorts": len(whole),
        "users": int(whole["users"].sum()),
        "mixed": int(whole["mixed"].sum()),
        "mixed_users": int(whole.loc[whole["mixed"].astype(bool), "users"].sum()),
        "mixed_days": MIXED_DAYS,
        "marked": rows,
        "ages": int(table["age"].max()),
    }


def _survival(tables: Tables) -> dict[str, Any] | None:
    """Of each group users, its first days, the shares still there at a few days, and the median stay (null: beyond
    the end of the curve)."""
    table = table_of(tables, "survival").sort_values(["group", "day"], kind="stable")
    groups = {}
    for name in GROUPS:
        part = table[table["group"] == name]
        if len(part):
            half = part.loc[part["share"] <= 0.5, "day"]
            marked = part[part["day"].isin(SURVIVAL_MARKED)]
            groups[name] = {
                "users": part["users"].iloc[0], "first_from": part["first_from"].iloc[0],
                "first_to": part["first_to"].iloc[0], "gone": int(part["gone"].sum()),
                "median": None if half.empty else int(half.iloc[0]), "last_day": int(part["day"].iloc[-1]),
                "marked": records(marked[["day", "at_risk", "share", "low", "high"]]),
            }  # fmt: skip
    return {"groups": groups, "gone_days": GONE_DAYS} if groups else None


def _census(tables: Tables) -> dict[str, Any] | None:
    """The states on the last day, and what became of users in the last four whole weeks."""
    table = table_of(tables, "census").sort_values("day", kind="stable")
    if table.empty:
        return None
    last = table.iloc[-1]
    flows = _flows(table)
    return {
        "day": last["day"],
        "known": int(last["known"]),
        "states": {state: {"users": int(last[state]), "share": last[state] / last["known"] if last["known"] else None}
                   for state in STATES},
        "current_days": CURRENT_DAYS,
        "dormant_days": DORMANT_DAYS,
        "mixed_days": MIXED_DAYS,
        "weeks": records(flows.tail(4)),
        "by_week": len(table) > MOST_DAYS,
    }  # fmt: skip


def _flows(table: pd.DataFrame) -> pd.DataFrame:
    """CENSUS → day (the last of it), joined, came_back and fell_dormant of each week after the log's first MIXED_DAYS,
    in which everybody is new; the weeks end with the log."""
    table = table.iloc[MIXED_DAYS:]
    table = table.iloc[len(table) % WEEK :]
    week = np.arange(len(table)) // WEEK
    sums = table.groupby(week)[list(FLOWS)].sum()
    sums.insert(0, "day", table.groupby(week)["day"].last())
    return sums


# --- figures --------------------------------------------------------------------------------------
def draw_cohorts(tables: Tables, summary: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure]:
    """→ heatmaps of retention, the survival curve, and the states with their flows, by id."""
    found: dict[str, go.Figure] = {}
    if summary["cohorts"] and summary["cohorts"]["ages"]:
        found |= {f"cohorts-{kind}": _heatmap(tables, kind, texts) for kind in KINDS}
    if summary["survival"]:
        found["survival"] = _survival_figure(tables, summary["survival"], texts)
    if summary["census"]:
        table = table_of(tables, "census").sort_values("day", kind="stable")
        found["census"] = _census_figure(table, texts)
        if len(flows := _flows(table)):
            found["flows"] = _flows_figure(flows, texts)
    return found


def _heatmap(tables: Tables, kind: str, texts: Texts) -> go.Figure:
    """Share of each cohort (down) that is there so many periods later (across); cohorts that mix are starred."""
    table = table_of(tables, "cohorts").sort_values(["cohort", "age"], kind="stable")
    cells = table[table["age"] > 0]  # at age 0 all are there, by definition
    first = table[(table["age"] == 0) & table["cohort"].isin(cells["cohort"])]
    cohorts, ages = list(first["cohort"]), list(range(1, int(cells["age"].max()) + 1))
    grids = {
        column: cells.pivot(index="cohort", columns="age", values=column).reindex(index=cohorts, columns=ages)
        for column in (kind, f"{kind}_low", f"{kind}_high")
    }
    sign = "%" if len(ages) <= CELLS_NAMED else ""
    hover = [[texts.plain("cohorts.cell", share=f"{v:.1%}", low=f"{low:.1%}", high=f"{high:.1%}") if v == v else ""
              for v, low, high in zip(*row, strict=True)]
             for row in zip(*(grid.to_numpy(float) for grid in grids.values()), strict=True)]  # fmt: skip
    figure = go.Figure(
        go.Heatmap(
            z=[short(row, 4) for row in grids[kind].to_numpy()], customdata=hover,
            text=[[f"{v * 100:.0f}{sign}" if v == v else "" for v in row] for row in grids[kind].to_numpy(float)],
            texttemplate="%{text}", textfont={"size": 11 if sign else 10}, colorscale=BLUES, xgap=2, ygap=2,
            zmin=0, zmax=max(0.01, float(grids[kind].max(axis=None))),
            hoverongaps=False, hovertemplate="%{y}<br>%{x}: %{customdata}<extra></extra>", showscale=False,
        )
    )  # fmt: skip
    stars = np.where(first["mixed"].astype(bool), " *", "")
    names = [
        f"{str(day)[2:10]} · {users:,}{star}" for day, users, star in zip(cohorts, first["users"], stars, strict=True)
    ]
    days = int(table["period_days"].iloc[0])
    title = texts.plain("cohorts.weeks_since" if days == WEEK else "cohorts.periods_since", days=days)
    figure.update_xaxes(ticks([str(age) for age in ages]), title_text=title, showgrid=False, tickangle=0)
    figure.update_yaxes(ticks(names), title_text=texts.plain("cohorts.cohort"), autorange="reversed", showgrid=False)
    return finish(figure, 110 + 24 * len(cohorts))


def _survival_figure(tables: Tables, about: Mapping[str, Any], texts: Texts) -> go.Figure:
    """Share that is still there day by day, with its band; the early and the late half beside it."""
    table = table_of(tables, "survival").sort_values("day", kind="stable")
    figure = go.Figure()
    for name in about["groups"]:
        curve = table[table["group"] == name]
        # a step is drawn by its ends: days on which nobody leaves say nothing new
        steps = curve[(curve["gone"] > 0) | curve["day"].isin((0, curve["day"].max()))]
        steps = steps.iloc[:: -(-len(steps) // MOST_DAYS)]
        days = [int(day) for day in steps["day"]]
        colour, dash, width = GROUPS[name]
        if name == "all":
            for column, fill in (("low", None), ("high", "tonexty")):
                figure.add_scatter(x=days, y=short(steps[column].fillna(steps["share"]), 4), mode="lines", fill=fill,
                                   line={"width": 0, "shape": "hv"}, fillcolor=faint(colour), hoverinfo="skip",
                                   showlegend=False)  # fmt: skip
        figure.add_scatter(
            x=days, y=short(steps["share"], 4), mode="lines", hovertemplate="%{x}: %{y:.1%}<extra></extra>",
            line={"color": colour, "width": width, "dash": dash, "shape": "hv"},
            name=texts.plain(f"cohorts.group_{name}"),
        )  # fmt: skip
    figure.update_xaxes(title_text=texts.plain("cohorts.days_since_first"), rangemode="tozero")
    figure.update_yaxes(title_text=texts.plain("cohorts.still_there"), tickformat=".0%", range=[0, 1.02])
    return finish(figure, 340, legend=True)


def _census_figure(table: pd.DataFrame, texts: Texts) -> go.Figure:
    """Known users by state, stacked, day by day (of a long log, at the end of each week)."""
    drawn = table.iloc[::-WEEK].iloc[::-1] if len(table) > MOST_DAYS else table
    days = [str(day)[:10] for day in drawn["day"]]
    figure = go.Figure()
    for state, colour in STATES.items():
        figure.add_scatter(
            x=days, y=[int(n) for n in drawn[state]], mode="lines", stackgroup="one", fillcolor=colour,
            line={"color": colour, "width": 0.5}, name=texts.plain(f"cohorts.state_{state}"),
            hovertemplate="%{x}: %{y:,}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_xaxes(type="date", tickformat="%y-%m-%d", hoverformat="%Y-%m-%d", nticks=8, tickangle=0)
    figure.update_yaxes(title_text=texts.plain("cohorts.known"), rangemode="tozero")
    return finish(figure, 340, legend=True)


def _flows_figure(flows: pd.DataFrame, texts: Texts) -> go.Figure:
    """Who came, came back and fell dormant, week by week, the last below the line; the line is the balance."""
    days = [str(day)[:10] for day in flows["day"]]
    figure = go.Figure()
    for name, colour in FLOWS.items():
        sign = -1 if name == "fell_dormant" else 1
        figure.add_bar(x=days, y=[sign * int(n) for n in flows[name]], marker_color=colour,
                       name=texts.plain(f"cohorts.flow_{name}"),
                       hovertemplate="%{x}: %{y:+,}<extra>%{fullData.name}</extra>")  # fmt: skip
    balance = flows["joined"] + flows["came_back"] - flows["fell_dormant"]
    figure.add_scatter(x=days, y=[int(n) for n in balance], mode="lines", line={"color": INK, "width": 1.6},
                       name=texts.plain("cohorts.balance"), hovertemplate="%{x}: %{y:+,}<extra></extra>")  # fmt: skip
    figure.update_layout(barmode="relative", bargap=0.15)
    figure.update_xaxes(type="date", tickformat="%y-%m-%d", hoverformat="%Y-%m-%d", nticks=8, tickangle=0)
    figure.update_yaxes(title_text=texts.plain("cohorts.users_per_week"))
    return finish(figure, 300, legend=True)
