"""probabilities and labels → metrics, with two-way bootstrap intervals and paired comparisons.

All users share the weeks, so both users and anchors are resampled: a window's weight in a replicate
is (times its user was drawn) × (times its anchor was drawn) (the "pigeonhole" bootstrap, Owen 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

METRIC_NAMES = (
    *("base_rate", "accuracy", "ap", "micro_ap", "auc"),
    *("brier", "brier_reliability", "brier_resolution", "brier_uncertainty", "brier_within"),
    *("ece", "ece_perfect", "lift_10", "lift_20"),
)
_NEWTON_STEPS = 12
BINS = 10
REPLICATES = 300
_CHUNK = 25  # replicates evaluated at once: bounds memory to _CHUNK × windows


@dataclass(frozen=True)
class Ranking:
    """Scores sorted from high to low once, so that many weightings can be evaluated.

    order: positions by falling score. last: for each distinct score, the place of its last window.
    """

    order: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray) -> Ranking:
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        return cls(order, np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)))


def average_precision(y: np.ndarray, scores: np.ndarray) -> float:
    """Average precision of the positive class, ties as one step; NaN without a positive."""
    return float(_ranked(Ranking.of(scores), y, np.ones((1, len(y))))["ap"][0])


def auc(y: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve; NaN with one class only."""
    return float(_ranked(Ranking.of(scores), y, np.ones((1, len(y))))["auc"][0])


def log_loss(y: np.ndarray, log_odds: np.ndarray) -> float:
    """Mean negative log likelihood of labels given log-odds."""
    return float(np.mean(np.logaddexp(0, log_odds) - y * log_odds))


def expected_calibration_error(y: np.ndarray, p: np.ndarray) -> float:
    """Mean over windows of |mean p − rate| of their bin, 10 bins of equal mass."""
    return float(_ece(_equal_mass_bins(p), y, p, np.ones((1, len(y))))[0])


def calibrated_log_loss(y: np.ndarray, log_odds: np.ndarray) -> float:
    """The log loss that is left after the best straight line through the log-odds, fitted to the same windows: what a
    ranking is worth where the base rate has moved (Platt 1999). Infinite for log-odds that are not finite."""
    if not np.isfinite(log_odds).all():
        return np.inf
    spread = log_odds.std()
    x = (log_odds - log_odds.mean()) / spread if spread > 0 else np.zeros(len(y))
    design = np.stack([x, np.ones(len(y))], axis=1)
    line = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ line, -30, 30)))
        curvature = design.T @ (design * (p * (1 - p))[:, None]) + 1e-6 * np.eye(2)
        line += np.clip(np.linalg.solve(curvature, design.T @ (y - p)), -2, 2)
    line[0] = max(line[0], 0.0)  # a ranking that is worse than none is not turned round
    return log_loss(y, design @ line)


def metrics(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Labels [n] and probabilities [n], weights [replicates × n] → each metric [replicates].

    accuracy at p ≥ 0.5; micro_ap: AP of both classes' indicator columns pooled; ece over 10 bins of
    equal mass; lift_10, lift_20: positive rate of the top 10 % and 20 % over the base rate. Metrics
    that a replicate leaves undefined (one class only) are NaN. The Brier score by its parts (Murphy 1973) over the
    bins of ece: brier = brier_reliability − brier_resolution + brier_uncertainty + brier_within, the last being
    what bins add: the mean of (p − mean p)² − 2·(p − mean p)·(y − rate) within them (Stephenson, Coelho &
    Jolliffe 2008).
    """
    n = len(y)
    weights = np.ones((1, n)) if weights is None else weights
    ranking, pooled = Ranking.of(p), Ranking.of(np.concatenate([p, 1 - p]))
    pooled_y = np.concatenate([y, 1 - y])
    bins = _equal_mass_bins(p)
    parts: list[dict[str, np.ndarray]] = []
    for start in range(0, len(weights), _CHUNK):
        w = weights[start : start + _CHUNK]
        total = w.sum(axis=1)
        ranked = _ranked(ranking, y, w)
        found = {
            "base_rate": w @ y / total,
            "accuracy": w @ ((p >= 0.5) == (y == 1)) / total,
            "ap": ranked["ap"],
            "micro_ap": _ranked(pooled, pooled_y, np.concatenate([w, w], axis=1))["ap"],
            "auc": ranked["auc"],
            "brier": w @ (p - y) ** 2 / total,
            **_brier_parts(bins, y, p, w),
            "ece": _ece(bins, y, p, w),
            "lift_10": ranked["lift_10"],
            "lift_20": ranked["lift_20"],
        }
        parts.append(found)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def resampled(y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Labels [n], scores [n], weights [replicates × n] → "ap", "auc", "lift_10", "lift_20", [replicates] each."""
    ranking = Ranking.of(scores)
    parts = [_ranked(ranking, y, weights[start : start + _CHUNK]) for start in range(0, len(weights), _CHUNK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def ece_of_perfect_model(p: np.ndarray, seed: int, draws: int = 200) -> float:
    """The mean ECE that a model with exactly right probabilities p would show on as many windows."""
    random = np.random.default_rng([seed, 3])
    bins = _equal_mass_bins(p)
    ones = np.ones((1, len(p)))
    return float(np.mean([_ece(bins, (random.random(len(p)) < p).astype(float), p, ones)[0] for _ in range(draws)]))


def two_way_weights(user: np.ndarray, anchor: np.ndarray, seed: int, replicates: int = REPLICATES) -> np.ndarray:
    """Users and anchors of n windows → bootstrap weights [replicates × n], float32."""
    random = np.random.default_rng([seed, 4])
    weights = np.ones((replicates, len(user)), dtype=np.float32)
    for groups in (user, anchor):
        ids, place = np.unique(groups, return_inverse=True)
        drawn = random.multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=replicates)
        weights *= drawn[:, place]
    return weights


def interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """Replicates of a metric → its 95 % percentile interval; None where too few are defined."""
    defined = values[np.isfinite(values)]
    if len(defined) < 20:
        return None, None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def reliability(y: np.ndarray, p: np.ndarray, p_low: np.ndarray, p_high: np.ndarray) -> list[dict[str, float]]:
    """Labels, probabilities and the ends of their intervals, [n] each → one row per equal-mass bin of p: windows, the
    means of p, p_low and p_high, the observed rate with its Wilson 95 % interval."""
    from scipy.stats import binomtest

    rows = []
    bins = _equal_mass_bins(p)
    for b in np.unique(bins):
        here = bins == b
        bounds = binomtest(int(y[here].sum()), int(here.sum())).proportion_ci(method="wilson")
        rows.append({"bin": int(b), "windows": int(here.sum()), "p_mean": float(p[here].mean()),
                     "p_low": float(p_low[here].mean()), "p_high": float(p_high[here].mean()),
                     "y_mean": float(y[here].mean()), "low": bounds.low, "high": bounds.high})  # fmt: skip
    return rows


def _ranked(ranking: Ranking, y: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Weights [replicates × n] → AP, AUC, lift at 10 % and 20 %, [replicates] each."""
    w = weights[:, ranking.order].astype(np.float64)
    seen = np.cumsum(w, axis=1)[:, ranking.last]
    hits = np.cumsum(w * y[ranking.order], axis=1)[:, ranking.last]
    positives = hits[:, -1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(seen > 0, hits / seen, 0.0)
        gained = np.diff(hits, axis=1, prepend=0) / positives
        misses = seen - hits
        false_rate = np.diff(misses, axis=1, prepend=0) / misses[:, -1:]
        true_rate = hits / positives
        found = {
            "ap": (precision * gained).sum(axis=1),
            # trapezoid: a group of ties counts half
            "auc": (false_rate * (true_rate - gained / 2)).sum(axis=1),
        }
        for name, share in (("lift_10", 0.1), ("lift_20", 0.2)):
            caught = [
                np.interp(share * t[-1], np.append(0, t), np.append(0, h)) for t, h in zip(seen, hits, strict=True)
            ]
            found[name] = np.array(caught) / share / positives[:, 0]
    found["ap"] = np.where(positives[:, 0] > 0, found["ap"], np.nan)
    return found


def _equal_mass_bins(p: np.ndarray) -> np.ndarray:
    """→ bin of each window, 0 .. 9, by quantiles of p; equal values share a bin."""
    edges = np.quantile(p, np.arange(1, BINS) / BINS)
    return np.searchsorted(np.unique(edges), p, side="right")


def _brier_parts(bins: np.ndarray, y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """→ the four parts of the Brier score, [replicates] each."""
    member = np.zeros((len(bins), bins.max() + 1))
    member[np.arange(len(bins)), bins] = 1
    n, sum_p, sum_y = (weights @ (member * values[:, None]) for values in (np.ones(len(y)), p, y))
    mean_p, rate = (np.divide(s, n, out=np.zeros_like(n), where=n > 0) for s in (sum_p, sum_y))
    total = n.sum(axis=1)
    base_rate = sum_y.sum(axis=1) / total
    between = (n * mean_p * (mean_p - 2 * rate)).sum(axis=1)
    return {
        "brier_reliability": (n * (mean_p - rate) ** 2).sum(axis=1) / total,
        "brier_resolution": (n * (rate - base_rate[:, None]) ** 2).sum(axis=1) / total,
        "brier_uncertainty": base_rate * (1 - base_rate),
        "brier_within": (weights @ (p * (p - 2 * y)) - between) / total,
    }


def _ece(bins: np.ndarray, y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Expected calibration error: mean over windows of |mean p − rate| of their bin."""
    member = np.zeros((len(bins), bins.max() + 1))
    member[np.arange(len(bins)), bins] = p - y
    return np.abs(weights @ member).sum(axis=1) / weights.sum(axis=1)
