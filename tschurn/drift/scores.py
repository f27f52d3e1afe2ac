"""REFERENCE tables and scores of now → DRIFT_FIGURES: probabilities, base rates, calibration, ranking, then and now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tschurn import contracts as c
from tschurn.drift import bins
from tschurn.drift.features import counts_of, shift
from tschurn.drift.ordinary import Ordinary, ordinary, spans
from tschurn.drift.outcomes import by_anchor, rate_error
from tschurn.drift.seen import Seen

WEEKLY = 0.05  # chance of an advice to act, per week, where nothing has changed
TESTS = 4  # by which a target can ask to act: level, slope, ranking, range
MATTERS = {"level": 0.01, "slope": 0.1, "auc": 0.02}  # the least worth acting on: of p, of the slope, of the AUC
LEAST = 10  # of each outcome, to say anything of ranking or calibration
_Z = 1.959963984540054
Ranking = Mapping[str, Mapping[str, float | None]]


def alpha(targets: int) -> float:
    """What the chance of a finding must be below to act on it: the weekly one, shared by all tests (Bonferroni)."""
    return WEEKLY / (TESTS * targets)


def figures(
    reference: dict[str, pd.DataFrame], now: Seen, moved: pd.DataFrame, rankings: Mapping[str, Ranking]
) -> pd.DataFrame:
    """REFERENCE tables, what is seen now, its DRIFT, and per target "auc" and "ap" with the interval of their
    difference (low, high), where known → DRIFT_FIGURES."""
    anchors = reference["reference_anchors"]
    targets = list(anchors["target"].unique())
    parts = []
    for target in targets:
        seen = now.scores[now.scores["target"] == target]
        then = anchors[anchors["target"] == target]
        newest = seen[seen["anchor_day"] == now.index["anchor_day"].max()]
        test = then[then["p_mean"].notna()]
        weeks, part = by_span(test, now.span), moved[moved["target"] == target]
        rows = _of_scores(reference["reference_bins"], target, weeks, newest, part)
        closed, ranking = seen[seen["y"].notna()], rankings.get(target, {})
        rows += _of_outcomes(then, weeks, closed, now.span, alpha(len(targets)), ranking)
        parts += [{"target": target, **row} for row in rows]
    columns = list(c.DRIFT_FIGURES.columns)
    found = pd.DataFrame(parts, columns=columns)
    return found.astype({name: "float64" for name, kind in c.DRIFT_FIGURES.columns.items() if kind == "float64?"})


def _of_scores(
    reference_bins: pd.DataFrame, target: str, test: pd.DataFrame, newest: pd.DataFrame, moved: pd.DataFrame
) -> list[dict[str, Any]]:
    """Of the newest anchor: p_mean, log_odds, score_psi, explained."""
    if not len(newest):
        return []
    rows = []
    for figure, column in (("p_mean", "p"), ("log_odds", "log_odds")):
        values = newest[column].to_numpy(np.float64)
        error = values.std() / np.sqrt(len(values))
        errors = np.sqrt(error**2 * len(values) / test["windows"].to_numpy())
        usual = ordinary(test[figure].to_numpy(), errors, np.array([error]))
        before, after = test[figure].mean(), values.mean()
        rows.append(_row(figure, before, after, len(values), usual, error))
    part = reference_bins[(reference_bins["kind"] == "score") & (reference_bins["name"] == target)]
    edges, counts = counts_of(part)
    found = shift(counts, bins.count(newest["p"].to_numpy(), edges))
    rows.append({
        "figure": "score_psi", "then": found["psi_expected"], "now": found["psi"],
        "difference": found["psi"] - found["psi_expected"], "ordinary": found["psi_ordinary"] - found["psi_expected"],
        "p": found["psi_p"], "beyond": bool(found["psi_p"] < WEEKLY), "windows": len(newest),
    })  # fmt: skip
    whole, parts = rows[1]["difference"], moved["move"].sum(min_count=1)
    if abs(whole) >= 0.02 and np.isfinite(parts):  # of no move there are no shares
        rows.append({"figure": "explained", "now": parts / whole, "beyond": False, "windows": len(newest)})
    return rows


def by_span(anchors: pd.DataFrame, span: int) -> pd.DataFrame:
    """Figures by anchor_day → their means over the anchors of each span."""
    if not len(anchors):
        return anchors
    values = anchors.drop(columns=["target", "anchor_day"], errors="ignore")
    return values.groupby(spans(anchors["anchor_day"], span)).mean()


def _of_outcomes(
    then: pd.DataFrame, test: pd.DataFrame, closed: pd.DataFrame, span: int, level: float, ranking: Ranking
) -> list[dict[str, Any]]:
    """Of the newest closed anchors: rate, predicted, level, slope, auc, ap."""
    if not len(closed):
        return []
    y, user = closed["y"].to_numpy(np.float64), closed["user_id"].to_numpy()
    n, p_mean, rate = len(y), closed["p"].mean(), y.mean()
    now = by_span(by_anchor(closed), span)
    known = by_span(then[then["labelled"] > 0], span)
    rates = (known["positives"] / known["labelled"]).to_numpy()
    sampling = np.sqrt(rates * (1 - rates) / known["labelled"].to_numpy())
    error = rate_error(y, user)
    usual = ordinary(rates, sampling, np.full(len(now), np.sqrt(max(rate * (1 - rate), 1e-9) / n * len(now))))
    rows = [
        _row("rate", rates.mean() if len(rates) else np.nan, rate, n, usual, error),
        _row("predicted", rate, p_mean, n, None, rate_error(y - closed["p"].to_numpy(), user)),
    ]
    enough = min(y.sum(), n - y.sum()) >= LEAST
    for figure, right in (("level", 0.0), ("slope", 1.0), ("auc", None)):
        usual = ordinary(*(test[name].to_numpy() for name in (figure, f"{figure}_se")), now[f"{figure}_se"].to_numpy(),
                         right)  # fmt: skip
        if usual is None or not enough:
            continue
        row = _row(figure, usual.centre, now[figure].mean(), n, usual, None, side=-1 if figure == "auc" else 0)
        worth = abs(p_mean - rate) if figure == "level" else abs(row["difference"])
        row["beyond"] = bool(row["p"] < level and worth >= MATTERS[figure])
        rows.append(row | {k: ranking.get(figure, {}).get(k) for k in ("low", "high")})
    if enough:
        row = _row("ap", test["ap"].mean(), now["ap"].mean(), n, None, None)
        rows.append(row | {k: ranking.get("ap", {}).get(k) for k in ("low", "high")})
    return rows


def _row(
    figure: str, then: float, now: float, windows: int, usual: Ordinary | None, error: float | None, side: int = 0
) -> dict[str, Any]:
    row = {"figure": figure, "then": then, "now": now, "difference": now - then, "windows": windows, "beyond": False}
    if error is not None:
        row |= {"low": now - then - _Z * error, "high": now - then + _Z * error}
    if usual is not None:
        chance = usual.chance(now, side)
        row |= {"ordinary": usual.limit, "p": chance, "beyond": chance < WEEKLY}
    return row
