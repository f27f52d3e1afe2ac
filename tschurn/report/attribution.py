"""ATTRIBUTION and its tables, LEVERS → what the model itself says of days and kinds of acts, and what would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tschurn.report.theme import BLUE, ORANGE, PAPER, RED, finish, safe, short, ticks
from tschurn.report.values import Tables, first, number, records, table_of
from tschurn.report.words import Texts

TARGETS = ("churn", "sticker")
TOLERANCE = 1e-3  # log-odds by which an attribution may miss what it explains before the report calls it wrong
USERS_SHOWN, CELLS_ROWS, LEVER_USERS = 20, 12, 10
DIVERGING = [[0, BLUE], [0.5, PAPER], [1, RED]]


def attribution_summary(tables: Tables, listed: Sequence[Any], language: str) -> dict[str, Any]:
    """Tables, users of the list in order → per target the games, the players, and users day by day; levers."""
    found = {}
    for target in TARGETS:
        games = {row.pop("game"): row for row in records(table_of(tables, "attribution_games", target))}
        if not games:
            continue
        players = table_of(tables, "players", target)
        players = players.assign(label=players[f"label_{language}"])
        found[target] = {
            "games": games,
            "holds": max(number(row[c], np.inf) for row in games.values() for c in ("gap", "unfaithful")) <= TOLERANCE,
            "past": _share_of_past(players),
            "players": {game: _players(players, game) for game in ("days", "groups")},
            "users": _by_day(table_of(tables, "attribution", target), players, listed),
            "levers": _levers(table_of(tables, "levers", target), language),
        }
    return found


def _players(players: pd.DataFrame, game: str) -> list[dict[str, Any]]:
    some = players[players["game"] == game]
    return records(some[["player", "label", "importance", "importance_probability", "mean"]])


def _share_of_past(players: pd.DataFrame) -> float | None:
    """The share of all that days and what came before them move which is due to what came before."""
    days = players[players["game"] == "days"].set_index("player")["importance"]
    return float(days["before"] / days.sum()) if "before" in days and days.sum() > 0 else None


def _by_day(attribution: pd.DataFrame, players: pd.DataFrame, listed: Sequence[Any]) -> dict[str, Any] | None:
    """The first users of the list, their attributions in probability by day; null where none was asked about."""
    order = [player for player, game in zip(players["player"], players["game"], strict=True) if game == "days"]
    days = attribution[(attribution["game"] == "days") & attribution["user_id"].isin(list(listed))]
    if days.empty:
        return None
    wide = days.pivot(index="user_id", columns="player", values="probability")[order]
    users = [user for user in listed if user in wide.index][:USERS_SHOWN]
    return {"users": [str(u) for u in users], "days": order,
            "values": [[float(v) for v in row] for row in wide.loc[users].to_numpy()]}  # fmt: skip


def _levers(levers: pd.DataFrame, language: str) -> list[dict[str, Any]]:
    """By event: for how many users it is under the usual, what the model then says, and whom it moves most."""
    found = []
    for event, part in levers.groupby("event", sort=True):
        change = part["p_moved"] - part["p"]
        most = part.assign(change=change).sort_values(["change", "user_id"], key=_by_size, kind="stable")
        found.append(
            {
                "event": event, "label": first(part)[f"label_{language}"], "users": len(part), "p": part["p"].mean(),
                "p_moved": part["p_moved"].mean(), "change": change.mean(), "lower": int((change < 0).sum()),
                "most": records(most.head(LEVER_USERS)[["user_id", "value", "typical", "p", "p_moved", "change"]]),
            }
        )  # fmt: skip
    return found


def _by_size(column: pd.Series) -> pd.Series:
    return -column.abs() if column.name == "change" else column.astype(str)


# --- figures --------------------------------------------------------------------------------------
def draw_attribution(tables: Tables, summary: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure]:
    """→ by target what days and groups weigh, users day by day, and cells, by id."""
    found = {}
    for target, about in summary.items():
        for game, players in about["players"].items():
            found[f"{game}-{target}"] = _weights_figure(players, game, texts)
        if about["users"]:
            found[f"user-days-{target}"] = _users_figure(about["users"], texts)
        cells = _cells_figure(table_of(tables, "attribution", target), about, texts)
        if cells is not None:
            found[f"cells-{target}"] = cells
    return found


def _weights_figure(players: Sequence[Mapping[str, Any]], game: str, texts: Texts) -> go.Figure:
    """Mean |Shapley value| of each player; days in their order, groups by their weight."""
    shown = list(players) if game == "days" else sorted(players, key=lambda p: -p["importance"])
    colours = [ORANGE if p["player"] == "before" else BLUE for p in shown]
    figure = go.Figure(
        go.Bar(
            x=short([p["importance"] for p in shown]), y=list(range(len(shown))), orientation="h",
            marker={"color": colours}, customdata=short([p["importance_probability"] for p in shown]),
            hovertemplate="%{x:.3f} (%{customdata:.1%})<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(ticks([safe(p["label"]) for p in shown]), autorange="reversed", showgrid=False)
    figure.update_xaxes(title_text=texts.plain("attribution.weight"), rangemode="tozero")
    return finish(figure, 90 + 26 * len(shown))


def _users_figure(users: Mapping[str, Any], texts: Texts) -> go.Figure:
    """Users (down) by days (across): what each day adds to the probability."""
    values = np.array(users["values"])
    most = float(np.abs(values).max(initial=0.0)) or 1.0
    figure = go.Figure(
        go.Heatmap(
            z=[short(row) for row in values], zmin=-most, zmax=most, colorscale=DIVERGING, xgap=2, ygap=2,
            text=[[f"{100 * v:+.0f}" if abs(v) >= 0.005 else "" for v in row] for row in values],
            texttemplate="%{text}", textfont={"size": 11},
            hovertemplate="%{y}, %{x}: %{z:+.1%}<extra></extra>", showscale=False,
        )
    )  # fmt: skip
    figure.update_xaxes(
        ticks(_short(users["days"], texts)), title_text=texts.plain("attribution.ago"), side="top", showgrid=False
    )
    figure.update_yaxes(ticks([safe(user, 1) for user in users["users"]]), autorange="reversed", showgrid=False)
    return finish(figure, 110 + 24 * len(values))


def _cells_figure(attribution: pd.DataFrame, about: Mapping[str, Any], texts: Texts) -> go.Figure | None:
    """Groups (down) by days (across): mean |Shapley value| of the users at the greatest risk, less what is chance."""
    cells = attribution[(attribution["game"] == "cells") & (attribution["player"] != "before")]
    if cells.empty:
        return None
    split = cells["player"].str.split("|", n=1, expand=True)
    cells = cells.assign(day=split[0], group=split[1], size=cells["log_odds"].abs())
    grid = cells.pivot_table(index="group", columns="day", values="size", aggfunc="mean")
    days = [p["player"] for p in about["players"]["days"] if p["player"] in grid.columns]
    grid = grid.loc[grid.sum(axis=1).sort_values(ascending=False, kind="stable").index[:CELLS_ROWS], days]
    labels = {p["player"]: p["label"] for game in about["players"].values() for p in game}
    figure = go.Figure(
        go.Heatmap(
            z=[short(row) for row in grid.to_numpy()], colorscale=[[0, PAPER], [1, BLUE]], xgap=2, ygap=2,
            text=[[f"{v:.2f}" if v >= 0.005 else "" for v in row] for row in grid.to_numpy()],
            texttemplate="%{text}", textfont={"size": 11},
            hovertemplate="%{y}, %{x}: %{z:.3f}<extra></extra>", showscale=False,
        )
    )  # fmt: skip
    figure.update_xaxes(
        ticks(_short(days, texts)), title_text=texts.plain("attribution.ago"), side="top", showgrid=False
    )
    figure.update_yaxes(ticks([safe(labels.get(g, g)) for g in grid.index]), autorange="reversed", showgrid=False)
    return finish(figure, 110 + 26 * len(grid))


def _short(days: Sequence[str], texts: Texts) -> list[str]:
    """Players of the game of days → what stands over a narrow column: "before", "−6", "0"."""
    return [
        texts.plain("attribution.before") if day == "before" else day.replace("-", "\N{MINUS SIGN}") for day in days
    ]
