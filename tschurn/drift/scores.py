"""REFERENCE tables and scores of now → DRIFT_FIGURES: probabilities, base rates, calibration, ranking, then and now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
TESTS = 5  # by which a target can ask to act: level (two ways), slope, ranking, range
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
    """Of closed anchors rate, predicted, level, slope, auc, ap: of all since the run, which a slow change shows in, or
    of the newest span alone, which a sudden one does; of the two, the one that is less likely by chance."""
    if not len(closed):
        return []
    newest = closed[spans(closed["anchor_day"], span) == 0]
    if len(newest) == len(closed):
        return _judged(then, test, closed, span, level, ranking, looks=1)
    both = [_judged(then, test, part, span, level, known, looks=2) for part, known in ((closed, ranking), (newest, {}))]
    return min(both, key=lambda rows: min([r["p"] for r in rows if r["figure"] in MATTERS], default=1.0))


def _judged(
    then: pd.DataFrame, test: pd.DataFrame, closed: pd.DataFrame, span: int, level: float, ranking: Ranking, looks: int
) -> list[dict[str, Any]]:
    """looks: at how many parts of the closed anchors one has looked; chances to act on are as many times as large."""
    y, p = closed["y"].to_numpy(np.float64), closed["p"].to_numpy(np.float64)
    now = by_span(by_anchor(closed), span)
    rows = _rates(then, closed, span, len(now))
    expected = min(p.sum(), len(p) - p.sum()) >= LEAST  # that many of either outcome, so that none is news
    happened = min(y.sum(), len(y) - y.sum()) >= LEAST
    for figure, right, enough in (("level", 0.0, expected), ("slope", 1.0, happened), ("auc", None, happened)):
        values, errors, now_errors = test[figure], test[f"{figure}_se"], now[f"{figure}_se"]
        usual = ordinary(values.to_numpy(), errors.to_numpy(), now_errors.to_numpy(), right, steady=figure == "auc")
        if usual is None or not enough:
            continue
        if figure == "level":
            usual = min(usual, _level_of_rates(then, now, span), key=lambda one: one.chance(now["level"].mean()))
        row = _row(figure, usual.centre, now[figure].mean(), len(y), usual, None, side=-1 if figure == "auc" else 0)
        worth = abs(p.mean() - y.mean()) if figure == "level" else abs(row["difference"])
        chance = min(1.0, looks * row["p"])
        row |= {"p": chance, "beyond": bool(chance < level and worth >= MATTERS[figure])}
        rows.append(row | {k: ranking.get(figure, {}).get(k) for k in ("low", "high")})
    if happened:
        row = _row("ap", test["ap"].mean(), now["ap"].mean(), len(y), None, None)
        rows.append(row | {k: ranking.get("ap", {}).get(k) for k in ("low", "high")})
    return rows


def _level_of_rates(then: pd.DataFrame, now: pd.DataFrame, span: int) -> Ordinary:
    """How much levels differ from week to week as far as base rates tell, of which a run knows all weeks, not those of
    test alone: outcomes are as far from what is predicted at most as they are from their own mean."""
    errors = now["level_se"].to_numpy()
    weight = 1 / (now["labelled"] * now["level_se"] ** 2).mean()  # mean p(1 - p): rates per log-odds
    known = by_span(then[then["labelled"] > 0], span)
    rate, labelled = (known["positives"] / known["labelled"]).to_numpy(), known["labelled"].to_numpy()
    values, sampling = rate / weight, np.sqrt(rate * (1 - rate) / labelled) / weight
    spread = ordinary(values, sampling, errors)
    return replace(spread, centre=0.0)


def _rates(then: pd.DataFrame, closed: pd.DataFrame, span: int, weeks: int) -> list[dict[str, Any]]:
    """What happened against the run's closed anchors, and against what was predicted."""
    y, p, user = closed["y"].to_numpy(np.float64), closed["p"].to_numpy(np.float64), closed["user_id"].to_numpy()
    known = by_span(then[then["labelled"] > 0], span)
    rates = (known["positives"] / known["labelled"]).to_numpy()
    sampling = np.sqrt(rates * (1 - rates) / known["labelled"].to_numpy())
    rate, error = y.mean(), rate_error(y, user)
    weekly = np.sqrt(max(rate * (1 - rate), 1e-9) / len(y) * weeks)
    usual = ordinary(rates, sampling, np.full(weeks, weekly))
    return [
        _row("rate", rates.mean() if len(rates) else np.nan, rate, len(y), usual, error),
        _row("predicted", rate, p.mean(), len(y), None, rate_error(y - p, user)),
    ]


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
