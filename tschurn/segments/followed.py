"""priority group and everybody scored, and LIST_OUTCOMES → what happened: calibration, lift, effect of contact."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from tschurn.config import Experiment
from tschurn.segments import effect

# Shares of leavers that contact may keep, for which it is said how long one would have to wait; with [costs] also
# the one that is hoped for there.
KEPT = (0.1, 0.25, 0.5)
_EXACT = 2_000  # windows up to which the number expected has its exact distribution
_BINS, _BIN_WINDOWS = 5, 20
_DRAWS = 1_000
_EDITED = 0.001  # p of an imbalance that chance does not make
LABELS = {"churn": ("churned", "p_churn"), "sticker": ("sticker", "p_sticker")}


def results(group: pd.DataFrame, everybody: pd.DataFrame, experiment: Experiment) -> dict[str, Any]:
    """Closed windows of the group and of everybody scored (may be empty), with churned, sticker and contacted →
    `lists` (one a week), `pooled`, `reasons`, as JSON-able values."""
    weeks = sorted(group["anchor_day"].unique())
    lists = [
        {"anchor_day": day} | _part(*(part[part["anchor_day"] == day] for part in (group, everybody)), experiment)
        for day in weeks
    ]
    return {
        "lists": lists,
        "pooled": _part(group, everybody, experiment) if len(group) else None,
        "reasons": reasons(group, experiment),
    }


def _part(group: pd.DataFrame, everybody: pd.DataFrame, experiment: Experiment) -> dict[str, Any]:
    held = group["holdout"].to_numpy(bool)
    found: dict[str, Any] = {
        "users": group["user_id"].nunique(),
        "windows": len(group),
        "weeks": group["anchor_day"].nunique(),
        "contact": contact(group),
        "balance": balance(group),
        "calibration": {},
        "lift": {},
        "effect": {},
    }
    for target, (label, p) in LABELS.items():
        if group[label].isna().all():
            continue
        stays = target == "sticker" and experiment.targets.sticker and experiment.targets.sticker.given == "stays"
        parts = {"group": group, "held_out": group[held], "everybody": everybody}
        counted = {name: part[(part["churned"] == 0) if stays else np.ones(len(part), bool)]
                   for name, part in parts.items()}  # fmt: skip
        found["calibration"][target] = {name: calibration(part, label, p) for name, part in counted.items()}
        found["lift"][target] = lift(group, everybody, label, experiment.experiment.seed)
        found["effect"][target] = _effect(group, label, p, experiment)
    return found


def calibration(part: pd.DataFrame, label: str, p: str) -> dict[str, Any] | None:
    """Windows → how many had the outcome against how many the scores promised; null for none.

    low, high: of the number, if the scores were right and windows independent (Poisson-binomial, 95 %); rate_low,
    rate_high: of the rate seen (Wilson, returning users counted as such); off: the promised rate lies outside of it.
    """
    part = part[part[p].notna() & part[label].notna()]
    if part.empty:
        return None
    y, promised, user = (part[label].to_numpy(np.float64), part[p].to_numpy(np.float64), part["user_id"].to_numpy())
    seen, low, high = effect.rate(y, user)
    return {
        "windows": len(part),
        "observed": int(y.sum()),
        "expected": float(promised.sum()),
        **dict(zip(("low", "high"), _poisson_binomial(promised), strict=True)),
        "rate": seen,
        "rate_low": low,
        "rate_high": high,
        "promised": float(promised.mean()),
        "off": bool(not low <= promised.mean() <= high),
        "bins": _bins(y, promised, user),
    }


def _poisson_binomial(p: np.ndarray) -> tuple[float, float]:
    """Probabilities → the central 95 % of how many come true.

    Exact, by the Fourier transform of the characteristic function (Hong 2013, Comput. Stat. Data Anal. 59); of many
    windows by the normal distribution. SciPy's own takes 63 probabilities at most.
    """
    n = len(p)
    if n > _EXACT:
        low, high = stats.norm(p.sum(), np.sqrt((p * (1 - p)).sum())).ppf([0.025, 0.975])
        return float(max(0, np.floor(low))), float(min(n, np.ceil(high)))
    turns = np.exp(2j * np.pi * np.arange(n + 1) / (n + 1))
    characteristic = np.ones(n + 1, dtype=complex)
    for part in np.array_split(p, -(-n // 100)):  # as many at a time as memory likes
        characteristic *= np.prod(1 + part[:, None] * (turns - 1), axis=0)
    so_far = np.cumsum(np.fft.fft(characteristic).real / (n + 1))
    low, high = np.searchsorted(so_far, [0.025, 0.975])
    return float(low), float(min(high, n))


def _bins(y: np.ndarray, p: np.ndarray, user: np.ndarray) -> list[dict[str, Any]]:
    """Bins of equal numbers of windows by promised probability: promised and seen, with its interval."""
    order = np.argsort(p, kind="stable")
    found = []
    for rows in np.array_split(order, max(1, min(_BINS, len(p) // _BIN_WINDOWS))):
        seen, low, high = effect.rate(y[rows], user[rows])
        found.append({"windows": len(rows), "promised": float(p[rows].mean()), "rate": seen, "low": low, "high": high})
    return found


def lift(group: pd.DataFrame, everybody: pd.DataFrame, label: str, seed: int) -> dict[str, Any] | None:
    """How much more often the outcome happened in the group than among everybody scored in the same weeks.

    Only weeks whose scores are known; interval: users drawn anew. found: the group's share of all such outcomes.
    """
    weeks = everybody["anchor_day"].unique()
    group = group[group["anchor_day"].isin(weeks)]
    everybody = everybody[everybody["anchor_day"].isin(group["anchor_day"])]
    if group.empty or not everybody[label].eq(1).any():
        return None
    tally = pd.DataFrame({
        "hits": group.groupby("user_id")[label].sum(), "listed": group.groupby("user_id").size(),
        "all_hits": everybody.groupby("user_id")[label].sum(), "all": everybody.groupby("user_id").size(),
    }).fillna(0).to_numpy(np.float64)  # fmt: skip
    random = np.random.default_rng([seed, 12])
    draws = np.array([np.bincount(random.integers(0, len(tally), len(tally)), minlength=len(tally)) @ tally
                      for _ in range(_DRAWS)])  # fmt: skip
    hits, listed, all_hits, all_ = tally.sum(axis=0)
    usable = draws[(draws[:, 1] > 0) & (draws[:, 2] > 0)]
    low, high = np.quantile((usable[:, 0] / usable[:, 1]) / (usable[:, 2] / usable[:, 3]), [0.025, 0.975])
    return {"lift": float(hits / listed / (all_hits / all_)), "low": float(low), "high": float(high),
            "found": float(hits / all_hits), "share": float(listed / all_)}  # fmt: skip


def contact(group: pd.DataFrame) -> dict[str, int]:
    """How many of the assigned were contacted in their outcome, how many of the held-out were all the same."""
    held, reached = group["holdout"].to_numpy(bool), group["contacted"].to_numpy(bool)
    return {
        "assigned": int((~held).sum()),
        "assigned_contacted": int((~held & reached).sum()),
        "held_out": int(held.sum()),
        "held_out_contacted": int((held & reached).sum()),
        "other_days": int((group["contacted_on"].notna() & ~reached).sum()),
        "edited": int(group["edited"].sum()),
    }


def balance(group: pd.DataFrame) -> dict[str, Any]:
    """Whether the held-out are as likely to leave as the assigned, as a random draw makes them.

    suspicious: the ranks of p_churn differ by more than chance makes in one of a thousand lists.
    """
    held = group["holdout"].to_numpy(bool)
    p = group.groupby("anchor_day")["p_churn"].rank(pct=True).to_numpy()
    means = [float(group["p_churn"][rows].mean()) if rows.any() else None for rows in (~held, held)]
    if min(held.sum(), (~held).sum()) == 0 or np.ptp(p) == 0:
        return {"assigned": means[0], "held_out": means[1], "p": None, "suspicious": False}
    p_value = float(stats.mannwhitneyu(p[held], p[~held]).pvalue)
    return {"assigned": means[0], "held_out": means[1], "p": p_value, "suspicious": p_value < _EDITED}


def _effect(group: pd.DataFrame, label: str, p: str, experiment: Experiment) -> dict[str, Any]:
    """The difference as assigned, what could be detected (of churn a fall, of stickers a rise), and a verdict."""
    found, base = _difference(group, label), _base(group, label, p)
    sizes, weeks = found.pop("effective"), found["weeks"]
    found |= {"base": base, "detectable": None, "needed": [], "verdict": found["why"]}
    if sizes is None:
        return found
    hoped = [experiment.costs.success] if experiment.costs else []
    if base is not None:
        found["detectable"] = effect.detectable(base if label == "churned" else 1 - base, *sizes)
    if base is not None and label == "churned":
        found["needed"] = [
            {"kept": kept, "points": kept * base, "hoped": kept in hoped,
             "weeks": effect.weeks_needed(base, kept, sizes[0] / weeks, sizes[1] / weeks)}
            for kept in sorted({*KEPT, *hoped})
        ]  # fmt: skip
    found["verdict"] = _verdict(found, hoped[0] if hoped else KEPT[1])
    return found


def _base(group: pd.DataFrame, label: str, p: str) -> float | None:
    """The rate without contact: as promised by the scores, unless the held-out say that these are off; then theirs, as
    if four more had been held out and half of them had the outcome (Agresti and Coull), since 0 of 4 is not never."""
    found = calibration(group[group["holdout"].to_numpy(bool)], label, p)
    if found is None:
        return None
    return (found["observed"] + 2) / (found["windows"] + 4) if found["off"] else float(group[p].mean())


def _difference(group: pd.DataFrame, label: str, level: float = effect.LEVEL) -> dict[str, Any]:
    return effect.difference(
        group[label].to_numpy(np.float64), ~group["holdout"].to_numpy(bool), group["anchor_day"].to_numpy(),
        group["user_id"].to_numpy(), level,
    )  # fmt: skip


def _verdict(found: dict[str, Any], kept: float) -> str:
    """'fewer', 'more' (the interval excludes 0), 'too_small' (an effect worth having would be missed), or 'nothing'."""
    if found["high"] < 0:
        return "fewer"
    if found["low"] > 0:
        return "more"
    missed = found["detectable"] is None or found["detectable"] > kept * (found["base"] or 0)
    return "too_small" if missed else "nothing"


def reasons(group: pd.DataFrame, experiment: Experiment) -> list[dict[str, Any]]:
    """The effect on churn by the kind of the first reason, the most frequent first.

    found: the interval excludes 0 even at a level that holds for all of them together (Bonferroni).
    """
    kinds = group["reason"].map(reason_kind, na_action="ignore")
    told = []
    counts = kinds.value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
    for kind in counts.index:
        part = group[(kinds == kind).fillna(False).to_numpy(bool)]
        found = _difference(part, "churned")
        found |= {"reason": kind, "windows": len(part), "found": False}
        if (sizes := found.pop("effective")) is not None:
            strict = _difference(part, "churned", 1 - (1 - effect.LEVEL) / len(counts))
            found["found"] = bool(strict["high"] < 0 or strict["low"] > 0)
        base = _base(part, "churned", "p_churn")
        found["detectable"] = None if sizes is None or base is None else effect.detectable(base, *sizes)
        told.append(found)
    return told


def reason_kind(feature: str) -> str:
    """A feature's name → what it is about: 'own:post', 'received:like', 'supporters', 'active_days'.

    What is no feature's name (an action) stays as it is.
    """
    plain = re.sub(r"^history:(sum:)?", "", feature)
    if found := re.match(r"^((?:own|received):.+?):(count|value|actors)(:\d+)?$", plain):
        return found[1]
    return plain.split(":")[0] if feature.startswith(("history:", "supporters:")) else plain
