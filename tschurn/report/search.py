"""EXPERIMENTS and TRIALS → which settings were tried, and whether the best of them was good or lucky."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tschurn.report.theme import BLUE, BLUES, GREEN, GREY, LIGHT, ORANGE, finish, safe, settings, short, ticks
from tschurn.report.values import Tables, first, parsed, records, table_of

if TYPE_CHECKING:
    from tschurn.report.words import Texts

_COLOURS = (BLUE, GREEN, GREY, ORANGE)


def experiments_summary(tables: Tables, target: str) -> dict[str, Any] | None:
    """EXPERIMENTS of a target → its cells, the best first: mean and spread of AP, how many fits; null without any.

    sd: between seeds, null for a pair that was fitted once.
    """
    table = table_of(tables, "experiments", target)
    if table.empty:
        return None
    cells = table.assign(chosen=table["chosen"].astype(bool)).groupby(["architecture", "scaling"], sort=True)
    cells = cells.agg(ap=("ap", "mean"), sd=("ap", "std"), auc=("auc", "mean"), fits=("ap", "size"),
                      chosen=("chosen", "any")).reset_index()  # fmt: skip
    cells = cells.sort_values(["fits", "ap"], ascending=False, kind="stable")
    return {"cells": records(cells), "seeds": int(cells["fits"].max()), "fits": len(table)}


def search_summary(tables: Tables, target: str) -> list[dict[str, Any]]:
    """TRIALS of a target → each tuned model, the best first: its trials, the chosen one, that one under other seeds.

    lead: of the best over the median of the trials; again: the AP of the best trial's settings under other seeds;
    kept: what is left of the lead there, on average; spread: between the seeds, the trial's own included.
    """
    table = table_of(tables, "trials", target)
    found = [_of_model(name, part.sort_values(["repeat", "trial"])) for name, part in table.groupby("model", sort=True)]
    return sorted(found, key=lambda one: -one["best_ap"])


def _of_model(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    trials, again = rows[rows["repeat"] == 0], rows[rows["repeat"] > 0]["ap"].tolist()
    chosen = first(trials[trials["chosen"].astype(bool)])
    best, median = float(trials["ap"].max()), float(trials["ap"].median())
    found = {
        "model": name,
        "trials": len(trials),
        "stopped": int(trials["stopped"].astype(bool).sum()),
        "best_ap": best,
        "median_ap": median,
        "lead": best - median,
        "again": again,
        "kept": float(np.mean(again)) - median if again else None,
        "spread": max([best, *again]) - min([best, *again]) if again else None,
        "chosen": {"trial": chosen["trial"], "ap": chosen["ap"], "settings": parsed(chosen["hyperparameters"], {})}
        if chosen
        else None,
    }
    return found | {"code": _code(found)}


def _code(found: dict[str, Any]) -> str:
    """How to read the best trial: a key of the texts [search].

    level: trials differ by no more than one setting does from seed to seed. stable: under other seeds at least half
    of the lead is left. lucky: less is.
    """
    if found["spread"] is None or found["trials"] < 3:
        return "unknown"
    if found["lead"] <= found["spread"]:
        return "level"
    return "stable" if found["kept"] >= found["lead"] / 2 else "lucky"


def experiments_figure(summary: dict[str, Any] | None, texts: Texts) -> go.Figure | None:
    """Mean AP on validation by scaling and architecture, with its spread between seeds; the chosen pair is framed."""
    if summary is None:
        return None
    cells = pd.DataFrame(summary["cells"])
    grid = cells.pivot(index="scaling", columns="architecture", values="ap")
    told = cells.assign(text=[_cell_text(row, texts) for row in summary["cells"]])
    texts_of = told.pivot(index="scaling", columns="architecture", values="text").fillna("")
    figure = go.Figure(
        go.Heatmap(
            z=[short(row) for row in grid.to_numpy()],
            text=texts_of.to_numpy().tolist(),
            texttemplate="%{text}",
            colorscale=BLUES,
            xgap=3,
            ygap=3,
            hovertemplate="%{y} · %{x}<br>%{z:.4f}<extra></extra>",
            showscale=False,
        )
    )
    for row in cells[cells["chosen"]].itertuples():
        x, y = grid.columns.get_loc(row.architecture), grid.index.get_loc(row.scaling)
        frame = {"x0": x - 0.48, "x1": x + 0.48, "y0": y - 0.47, "y1": y + 0.47}
        figure.add_shape(type="rect", line={"color": ORANGE, "width": 3}, **frame)
    names = [safe(c) for c in grid.columns], [safe(r) for r in grid.index]
    figure.update_xaxes(ticks(names[0]), title_text=texts.plain("figures.architecture"), showgrid=False)
    figure.update_yaxes(ticks(names[1]), title_text=texts.plain("figures.scaling"), showgrid=False)
    return finish(figure, 130 + 54 * len(grid))


def _cell_text(cell: dict[str, Any], texts: Texts) -> str:
    if cell["sd"] is None or not math.isfinite(cell["sd"]):
        return f"{cell['ap']:.3f}"
    return f"{cell['ap']:.3f} ± {cell['sd']:.3f}<br>{texts.plain('figures.seeds', n=cell['fits'])}"


def trials_figure(table: pd.DataFrame, texts: Texts) -> go.Figure | None:
    """AP on validation of every trial, model by model; the chosen ones, and these again under other seeds."""
    if table.empty:
        return None
    figure = go.Figure()
    for (name, rows), colour in zip(table.groupby("model", sort=True), _COLOURS, strict=False):
        trials, again = rows[rows["repeat"] == 0].sort_values("trial"), rows[rows["repeat"] > 0]
        stopped, chosen = (trials[column].astype(bool) for column in ("stopped", "chosen"))
        figure.add_scatter(
            x=[int(t) for t in trials["trial"]],
            y=short(trials["ap"].cummax()),
            mode="lines",
            line={"color": LIGHT, "width": 2, "shape": "hv"},
            hoverinfo="skip",
            showlegend=False,
        )
        for part, marker, label in (
            (trials[~stopped & ~chosen], {"symbol": "circle", "size": 8}, safe(name)),
            (trials[stopped & ~chosen], {"symbol": "circle-open", "size": 8}, ""),
            (trials[chosen], {"symbol": "diamond", "size": 13}, ""),
            (again, {"symbol": "x-thin-open", "size": 10}, ""),
        ):
            figure.add_scatter(
                x=[int(t) for t in part["trial"]],
                y=short(part["ap"]),
                mode="markers",
                marker={"color": colour, **marker},
                name=label,
                showlegend=bool(label),
                legendgroup=safe(name),
                text=[settings(value) for value in part["hyperparameters"]],
                hovertemplate="%{x}: %{y:.4f}<br>%{text}<extra></extra>",
            )
    figure.update_xaxes(title_text=texts.plain("figures.trial_number"))
    figure.update_yaxes(title_text=texts.plain("figures.ap_validation"))
    return finish(figure, 320, legend=True)
