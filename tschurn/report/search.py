"""EXPERIMENTS and TRIALS → which settings were tried, and whether the best of them was good or lucky."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tschurn.report.theme import BLUE, BLUES, GREY, INK, ORANGE, SKY, finish, safe, settings, short, ticks
from tschurn.report.values import Tables, first, parsed, records, table_of

if TYPE_CHECKING:
    from tschurn.report.words import Texts


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


def search_summary(tables: Tables, target: str, asked: int) -> list[dict[str, Any]]:
    """TRIALS of a target → each tuned model, the best first: its search, the best trial under other seeds, the choice.

    asked: trials of a search at most; those numbered from there on are tree sizes, tried after it. lead: of the best
    trial over the median of the search; again: its AP under other seeds; kept: what is left of the lead there, on
    average; spread: between the seeds, the trial's own included.
    """
    table = table_of(tables, "trials", target)
    parts = table.groupby("model", sort=True)
    found = [_of_model(name, part.sort_values(["repeat", "trial"]), asked) for name, part in parts]
    return sorted(found, key=lambda one: -one["best_ap"])


def _of_model(name: str, rows: pd.DataFrame, asked: int) -> dict[str, Any]:
    fitted, again = rows[rows["repeat"] == 0], rows[rows["repeat"] > 0]["ap"].tolist()
    trials = fitted[fitted["trial"] < asked]
    best, median = first(trials.sort_values("ap", ascending=False, kind="stable")), float(trials["ap"].median())
    found = {
        "model": name,
        "trials": len(trials),
        "stopped": int(trials["stopped"].astype(bool).sum()),
        "sizes": len(fitted) - len(trials),
        "best": best["trial"],
        "best_ap": best["ap"],
        "median_ap": median,
        "lead": best["ap"] - median,
        "again": again,
        "kept": float(np.mean(again)) - median if again else None,
        "spread": max([best["ap"], *again]) - min([best["ap"], *again]) if again else None,
        "chosen": _chosen(fitted, best["trial"], asked),
    }
    return found | {"code": _code(found)}


def _chosen(fitted: pd.DataFrame, best: int, asked: int) -> dict[str, Any] | None:
    """The trial that is used; code: 'best', 'first' or 'size' (what the finalists' comparison on all training windows
    ended with), 'only' where there was one finalist, since the search found nothing better than its first trial."""
    chosen = first(fitted[fitted["chosen"].astype(bool)])
    if not chosen:
        return None
    only = best == 0 and (fitted["trial"] < asked).all()
    code = "only" if only else "best" if chosen["trial"] == best else "first" if chosen["trial"] < asked else "size"
    values = parsed(chosen["hyperparameters"], {})
    return {"trial": chosen["trial"], "ap": chosen["ap"], "code": code, "settings": values}


def _code(found: dict[str, Any]) -> str:
    """How to read the best trial, which need not be the chosen one: a key of the texts [search].

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
            textfont={"size": 11},  # of no given size, Plotly makes it as small as the widest line wants
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
    return f"{cell['ap']:.3f}<br>± {cell['sd']:.3f}<br>{texts.plain('figures.seeds', n=cell['fits'])}"


def trials_figure(table: pd.DataFrame, searches: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """AP on validation of every trial, a panel for each model: the chosen one, and the best under other seeds."""
    if not searches:
        return None
    titles = [f"<b>{safe(one['model'])}</b>" for one in searches]
    gap = 0.3 / len(searches)
    figure = make_subplots(len(searches), 1, shared_xaxes=True, vertical_spacing=gap, subplot_titles=titles)
    for row, about in enumerate(searches, start=1):
        rows = table[table["model"] == about["model"]].sort_values("trial")
        fitted, again = rows[rows["repeat"] == 0], rows[rows["repeat"] > 0]
        stopped, chosen = (fitted[column].astype(bool) for column in ("stopped", "chosen"))
        searched = np.arange(len(fitted)) < about["trials"]
        figure.add_scatter(
            x=_numbers(fitted[searched]), y=short(fitted["ap"][searched].cummax()), mode="lines", hoverinfo="skip",
            line={"color": GREY, "width": 1.2, "shape": "hv"}, row=row, col=1,
        )  # fmt: skip
        for part, marker in (
            (fitted[searched & ~stopped & ~chosen], {"symbol": "circle", "size": 8, "color": BLUE}),
            (fitted[searched & stopped & ~chosen], {"symbol": "circle-open", "size": 8, "color": BLUE}),
            (fitted[~searched & ~chosen], {"symbol": "square", "size": 8, "color": SKY}),
            (fitted[chosen], {"symbol": "diamond", "size": 13, "color": ORANGE}),
            (again, {"symbol": "x-thin", "size": 8, "line": {"color": INK, "width": 1.6}}),
        ):
            figure.add_scatter(
                x=_numbers(part), y=short(part["ap"]), mode="markers", marker=marker,
                text=[settings(value) for value in part["hyperparameters"]],
                hovertemplate="%{x}: %{y:.4f}<br>%{text}<extra></extra>", row=row, col=1,
            )  # fmt: skip
    most = int(table["trial"].max()) + 1
    figure.update_annotations(x=0, xanchor="left", font={"size": 12})
    figure.update_xaxes(tick0=1, dtick=math.ceil(most / 8), range=[0.4, most + 0.6])
    figure.update_xaxes(title_text=texts.plain("figures.trial_number"), row=len(searches))
    figure.update_yaxes(title_text=texts.plain("figures.ap_validation"), nticks=5)
    return finish(figure, 80 + 150 * len(searches)).update_layout(margin={"t": 26})


def _numbers(trials: pd.DataFrame) -> list[int]:
    """As people count them: the first is 1."""
    return [int(number) + 1 for number in trials["trial"]]
