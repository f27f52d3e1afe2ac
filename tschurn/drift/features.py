"""REFERENCE tables and windows of now → DRIFT: which features have moved, and which of it matters for the score."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from tschurn import contracts as c
from tschurn.drift import bins
from tschurn.drift.ordinary import Ordinary, ordinary
from tschurn.drift.seen import Seen, pushes_by_anchor

MOVED = 0.10  # of PSI beyond the expected one: customary for a shift worth a look
LEVEL = 0.05  # of adjusted chances


def drifted(reference: dict[str, pd.DataFrame], now: Seen) -> pd.DataFrame:
    """REFERENCE tables, what is seen now → DRIFT, of the newest anchor; what matters most first."""
    days = now.index["anchor_day"].iloc[now.rows].to_numpy()
    profile = now.profile[days == now.index["anchor_day"].max()]
    shifts = feature_shifts(reference["reference_bins"], profile)
    shifts = shifts.join(_rank_tests(reference["reference_sample"], profile)).reset_index(names="feature")
    moves = _moves(reference["reference_pushes"], now)
    parts = []
    for target in reference["reference_anchors"]["target"].unique():
        found = shifts.merge(moves[moves["target"] == target].drop(columns="target"), on="feature", how="left")
        if target in now.pushes:  # what the explanation does not look at adds nothing
            found = found.fillna({"weight": 0.0, "push_then": 0.0, "push_now": 0.0, "move": 0.0})
        matters = found.assign(by_move=found["move"].abs().fillna(0.0), by_psi=found["psi"] - found["psi_expected"])
        order = matters.sort_values(["by_move", "by_psi", "feature"], ascending=[False, False, True]).index
        parts.append(found.loc[order].assign(target=target, rank=np.arange(1, len(found) + 1)))
    return pd.concat(parts, ignore_index=True)[list(c.DRIFT.columns)]


def feature_shifts(reference_bins: pd.DataFrame, profile: pd.DataFrame) -> pd.DataFrame:
    """REFERENCE_BINS, features of windows of one anchor → per feature its PSI, what is expected and ordinary, and the
    adjusted chance."""
    rows = {}
    for name, part in reference_bins[reference_bins["kind"] == "feature"].groupby("name", sort=False):
        if name in profile:
            values = profile[name].to_numpy(np.float64)
            edges, counts = counts_of(part)
            rows[name] = shift(counts, bins.count(values, edges))
    found = pd.DataFrame.from_dict(rows, orient="index")
    if len(found):
        found["psi_p"] = stats.false_discovery_control(found["psi_p"])
    found["beyond"] = (found["psi_p"] < LEVEL) & (found["psi"] - found["psi_expected"] >= MOVED)
    return found


def counts_of(part: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """REFERENCE_BINS of one name → its edges, and its counts [anchors × bins], the missing ones last."""
    wide = part.pivot(index="anchor_day", columns="bin", values="windows")
    wide = wide[[*sorted(b for b in wide.columns if b >= 0), -1]]
    first = part[part["anchor_day"] == part["anchor_day"].iloc[0]].sort_values("bin")
    return first["upper"].dropna().to_numpy(), wide.to_numpy()


def shift(then: np.ndarray, now: np.ndarray) -> dict[str, float | None]:
    """Counts at the anchors of a run [anchors × bins] and now [bins] → PSI of now against all of them, what is expected
    and ordinary, and the chance (not adjusted); shares of missing values.

    Ordinary is how far each anchor is from all others together. With a single one, nothing but sampling is.
    """
    whole = then.sum(axis=0)
    found = {
        "psi": float(bins.psi(whole, now)), "psi_expected": float(bins.expected_psi(whole, now)),
        "missing_then": float(whole[-1] / whole.sum()), "missing_now": float(now[-1] / now.sum()),
    }  # fmt: skip
    usual = _ordinary_distance(then, bins.excess(whole, now)[1])
    root = np.sqrt(max(found["psi"] - found["psi_expected"], 0.0))
    upper = max(usual.upper, 0.0) ** 2 + found["psi_expected"]
    return found | {"psi_ordinary": float(upper), "psi_p": usual.chance(float(root), side=1)}


def _ordinary_distance(then: np.ndarray, now_error: float) -> Ordinary:
    others = then.sum(axis=0) - then
    usable = (others.sum(axis=1) > 0) & (then.sum(axis=1) > 0)
    if usable.sum() < 2:
        return Ordinary(0.0, float(now_error) * np.sqrt(2), 3)
    roots, errors = bins.excess(others[usable], then[usable])
    return ordinary(roots, errors, np.array([now_error]))


def _rank_tests(sample: pd.DataFrame, profile: pd.DataFrame) -> pd.DataFrame:
    """→ per feature the Mann-Whitney test of now against one window per user of the run: adjusted chance, Cliff's
    delta, and means. Users who are in both make the test too careful, not too bold."""
    rows = {}
    for name in sample.columns.intersection(profile.columns).drop("user_id"):
        then, now = (frame[name].dropna().to_numpy(np.float64) for frame in (sample, profile))
        row = dict.fromkeys(("rank_p", "effect", "mean_then", "mean_now"), np.nan)
        if len(then) and len(now):
            row |= {"mean_then": then.mean(), "mean_now": now.mean(), "rank_p": 1.0, "effect": 0.0}
            if min(then.min(), now.min()) < max(then.max(), now.max()):
                test = stats.mannwhitneyu(now, then, method="asymptotic")
                row |= {"rank_p": test.pvalue, "effect": 2 * test.statistic / (len(then) * len(now)) - 1}
        rows[name] = row
    found = pd.DataFrame.from_dict(rows, orient="index", columns=["rank_p", "effect", "mean_then", "mean_now"])
    tested = found["rank_p"].notna()
    if tested.any():
        found.loc[tested, "rank_p"] = stats.false_discovery_control(found.loc[tested, "rank_p"])
    return found


def _moves(then: pd.DataFrame, now: Seen) -> pd.DataFrame:
    """REFERENCE_PUSHES and the contributions of now's newest anchor → target, feature, weight, push_then, push_now,
    move, push_ordinary."""
    newest = now.index["anchor_day"].max()
    latest = {t: f[f["anchor_day"] == newest] for t, f in now.pushes.items()}
    current = pushes_by_anchor({t: f for t, f in latest.items() if len(f)}).set_index(["target", "feature"])
    weights = then.groupby(["target", "feature"])["magnitude"].mean()
    weights = weights / weights.groupby("target").transform("sum")
    rows = []
    for (target, feature), part in then.groupby(["target", "feature"], sort=False):
        if (target, feature) not in current.index:
            continue
        here = current.loc[(target, feature)]
        usual = ordinary(part["mean"].to_numpy(), part["error"].to_numpy(), np.array([here["error"]]))
        rows.append((target, feature, weights[target, feature], part["mean"].mean(), here["mean"],
                     here["mean"] - part["mean"].mean(), usual.limit if usual else np.nan))  # fmt: skip
    columns = ["target", "feature", "weight", "push_then", "push_now", "move", "push_ordinary"]
    types = dict.fromkeys(columns[2:], "float64")
    return pd.DataFrame(rows, columns=columns).astype(types)
