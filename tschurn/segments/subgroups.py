"""PREDICTIONS + facts and bands of users → SUBGROUPS: for whom the models err more than for others.

The windows of one user are not independent, and all users share the weeks: intervals draw users and anchors anew
("pigeonhole" bootstrap: the weight of a window is times its user was drawn × times its anchor was drawn; Owen 2007,
Annals of Applied Statistics 1, 386-411). Where the weeks are all alike such intervals are too wide rather than too
narrow: what is each window's own counts up to three times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse, stats

from tschurn.contracts import SUBGROUPS

if TYPE_CHECKING:
    from tschurn.config import Experiment

CONFIDENCE = 0.95
LEVELS, RARE = 8, 20  # of a text: so many levels at most, each of so many users; the others are one, 'other'
FEW = 10  # an interval takes as many users
REPLICATES = 400
ACTIVE_DAYS = 28  # up to the anchor
OTHER, UNKNOWN, ALL = "other", "unknown", "all"
_KEYS = ["user_id", "anchor_day"]
_OUTCOMES = ("tp", "fn", "fp", "tn")
_PIECE = 4e7  # windows × replicates at once: bounds memory
# rate: (counted, of which)
RATES = {
    "tpr": (("tp",), ("tp", "fn")),
    "precision": (("tp",), ("tp", "fp")),
    "specificity": (("tn",), ("tn", "fp")),
    "npv": (("tn",), ("tn", "fn")),
    "fpr": (("fp",), ("fp", "tn")),
    "fdr": (("fp",), ("tp", "fp")),
    "fnr": (("fn",), ("tp", "fn")),
    "for": (("fn",), ("tn", "fn")),
    "accuracy": (("tp", "tn"), _OUTCOMES),
    "prevalence": (("tp", "fn"), _OUTCOMES),
    "predicted": (("tp", "fp"), _OUTCOMES),
}
SURE, GAPS = ("tpr", "precision"), ("tpr", "fpr")  # rates with intervals; those held against everybody's


def subgroup_errors(
    predictions: pd.DataFrame,
    target_summary: pd.DataFrame,
    facts: pd.DataFrame,
    money: pd.DataFrame,
    user_days: pd.DataFrame,
    experiment: Experiment,
) -> pd.DataFrame:
    """PREDICTIONS and TARGET_SUMMARY of all targets, FACTS, MONEY, USER_DAYS → SUBGROUPS, everybody first.

    Test windows of the used model. cut of churn: `likely_churn`; of sticker: `likely_sticker`, or without it the p
    that names as many windows of calibration (of validation, without these) as had a sticker. An attribute
    by which all windows are of one group is left out. Intervals of TPR and precision: Wilson's, with as many
    observations as the bootstrap says that the windows are worth (Korn and Graubard 1998, Survey Methodology 24,
    193-201), since a bootstrap of eight hits in eight is a point. Of the gaps: ± normal quantile × bootstrap error,
    the quantile that of as many gaps as the target has (Bonferroni). Neither with fewer than 10 users.
    """
    parts = []
    for target, model in zip(target_summary["target"], target_summary["used"], strict=True):
        of_used = predictions[(predictions["target"] == target) & (predictions["model"] == model)]
        test = of_used[of_used["split"] == "test"].sort_values(_KEYS, kind="stable", ignore_index=True)
        cut = likely(of_used, target, experiment)
        if len(test) and cut is not None:
            groups = attributes(test[_KEYS], facts, money, user_days)
            seed = [experiment.experiment.seed, 12]
            parts.append(_errors(test, groups, cut, seed).assign(target=target))
    if not parts:
        return pd.DataFrame({column: [] for column in SUBGROUPS.columns})
    return pd.concat(parts, ignore_index=True)[list(SUBGROUPS.columns)]


def likely(predictions: pd.DataFrame, target: str, experiment: Experiment) -> float | None:
    """PREDICTIONS of one model → the p from which a window is positive; None where nothing says so."""
    rule = experiment.segments
    given = rule.likely_churn if target == "churn" else rule.likely_sticker
    if given is not None:
        return given
    for split in ("calibration", "validation"):
        known = predictions[predictions["split"] == split]
        if positives := int(known["y"].sum()):
            return float(np.sort(known["p"].to_numpy())[-positives])
    return None


# --- groups ---------------------------------------------------------------------------------------
def attributes(
    windows: pd.DataFrame, facts: pd.DataFrame, money: pd.DataFrame, user_days: pd.DataFrame
) -> dict[str, pd.Categorical]:
    """user_id and anchor_day of windows, FACTS, MONEY, USER_DAYS → group of each window, by attribute.

    "tenure" (days since the first own act), "activity" (active days of the last 28), "value_28", each as at the
    anchor, in quartile bands; and "fact:<name>": numbers in quartile bands of the windows, texts by level.
    """
    found = {name: bands(values) for name, values in _days(windows, user_days).items()}
    value = windows.merge(money[[*_KEYS, "value_28"]], on=_KEYS, how="left")["value_28"]
    found["value_28"] = bands(value.to_numpy(dtype=np.float64, na_value=np.nan))
    for name, known in facts.groupby("fact", sort=True):
        row = known.set_index("user_id").reindex(windows["user_id"])
        numbers = row["number"].to_numpy(dtype=np.float64, na_value=np.nan)
        found[f"fact:{name}"] = bands(numbers) if np.isfinite(numbers).any() else levels(row["text"])
    return {name: group for name, group in found.items() if len(np.unique(group.codes)) > 1}


def _days(windows: pd.DataFrame, user_days: pd.DataFrame) -> dict[str, np.ndarray]:
    """→ tenure and activity of each window, in days; NaN for a user without a day."""
    users = pd.Index(windows["user_id"].unique())
    own = user_days[user_days["user_id"].isin(users) & ((user_days["own"] > 0) | user_days["active"])]
    day, anchor = (
        pd.to_datetime(d).to_numpy("datetime64[D]").astype(np.int64) for d in (own["day"], windows["anchor_day"])
    )
    user = users.get_indexer(windows["user_id"])
    first = pd.Series(day).groupby(users.get_indexer(own["user_id"])).min().reindex(range(len(users)))
    tenure = anchor - first.to_numpy(dtype=np.float64)[user]
    active = own["active"].to_numpy(dtype=bool)
    base = min([*day, *anchor], default=0) - ACTIVE_DAYS  # user and day in one number, so that one search finds both
    span = max([*day, *anchor], default=0) - base + 1
    keys = np.sort(users.get_indexer(own["user_id"])[active] * span + day[active] - base)
    place = user * span + anchor - base
    ends = (np.searchsorted(keys, place - back, side="right") for back in (0, ACTIVE_DAYS))
    until, before = ends
    return {"tenure": np.where(tenure >= 0, tenure, np.nan), "activity": (until - before).astype(np.float64)}


def bands(values: np.ndarray) -> pd.Categorical:
    """[n] numbers → their quartile bands, each named by its least and largest value; equal numbers share a band."""
    known = np.isfinite(values)
    edges = np.unique(np.quantile(values[known], [0.25, 0.5, 0.75])) if known.any() else np.empty(0)
    place = np.searchsorted(edges, values[known], side="left")
    found = pd.Series(values[known]).groupby(place).agg(["min", "max"])
    for digits in (4, 6, 17):
        names = [_named(low, high, digits) for low, high in found.itertuples(index=False)]
        if len(set(names)) == len(names):
            break
    codes = np.full(len(values), len(names))
    codes[known] = np.searchsorted(found.index.to_numpy(), place)
    return pd.Categorical.from_codes(codes, categories=[*names, UNKNOWN])


def _named(low: float, high: float, digits: int) -> str:
    ends = [np.format_float_positional(x, precision=digits, fractional=False, trim="-") for x in (low, high)]
    return ends[0] if ends[0] == ends[1] else "–".join(ends)


def levels(texts: pd.Series) -> pd.Categorical:
    """Texts by user_id (index; once per window) → their levels, the most frequent first, rare ones folded."""
    users = texts[~texts.index.duplicated()].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    kept = [level for level in users.index[users >= RARE][:LEVELS] if level not in (OTHER, UNKNOWN)]
    named = texts.where(texts.isin(kept) | texts.isna(), OTHER).fillna(UNKNOWN)
    return pd.Categorical(named, categories=[*kept, OTHER, UNKNOWN])


# --- errors ---------------------------------------------------------------------------------------
def _errors(test: pd.DataFrame, groups: dict[str, pd.Categorical], cut: float, seed: list[int]) -> pd.DataFrame:
    """Test windows of one target → SUBGROUPS without its target."""
    p, y = test["p"].to_numpy(), test["y"].to_numpy() == 1
    groups = {ALL: pd.Categorical([ALL] * len(test)), **groups}
    member = sparse.hstack([_indicators(group.codes, len(group.categories)) for group in groups.values()], format="csr")
    names = pd.DataFrame([(a, str(c)) for a, g in groups.items() for c in g.categories], columns=["attribute", "group"])
    held = np.asarray(member.sum(axis=0)).ravel() > 0
    member, names = member[:, np.flatnonzero(held)], names[held].reset_index(drop=True)
    outcome = np.select([y & (p >= cut), y, p >= cut], [0, 1, 2], 3)
    cells = sparse.hstack([member.multiply((outcome == k)[:, None]) for k in range(4)], format="csr")
    size = np.asarray(member.sum(axis=0)).ravel()
    counts = np.asarray(cells.sum(axis=0)).reshape(1, 4, -1)
    user = pd.factorize(test["user_id"])[0]
    table = names.assign(
        cut=cut,
        windows=size.astype(np.int64),
        users=_users(member, user),
        calibration=member.T @ (p - y) / size,
        auc=[_auc(p[rows], y[rows]) for rows in (member[:, [k]].nonzero()[0] for k in range(len(names)))],
        **{name: _rate(counts, name)[0] for name in RATES},
    )
    drawn = _replicates(cells, user, pd.factorize(test["anchor_day"])[0], seed)
    asked = {rate: np.isin(outcome, [_OUTCOMES.index(o) for o in RATES[rate][1]]) for rate in {*SURE, *GAPS}}
    people = {rate: _users(member.multiply(rows[:, None]).tocsr(), user) for rate, rows in asked.items()}
    of = {rate: counts[0, [_OUTCOMES.index(o) for o in RATES[rate][1]]].sum(axis=0) for rate in asked}
    for rate in SURE:
        low, high = _wilson(table[rate].to_numpy(), _rate(drawn, rate), of[rate], people[rate])
        table[f"{rate}_low"], table[f"{rate}_high"] = low, high
    tail = (1.0 - CONFIDENCE) / 2.0 / max(1, len(GAPS) * (len(table) - 1))
    for rate in GAPS:
        gap, error = _gap(table[rate].to_numpy(), _rate(drawn, rate), of[rate], people[rate])
        margin = stats.norm.isf(tail) * error
        table[f"{rate}_gap"], table[f"{rate}_gap_low"], table[f"{rate}_gap_high"] = gap, gap - margin, gap + margin
    return table


def _indicators(codes: np.ndarray, columns: int) -> sparse.csr_array:
    """[n] codes → [n × columns] zeros and ones."""
    return sparse.csr_array((np.ones(len(codes)), (np.arange(len(codes)), codes)), shape=(len(codes), columns))


def _users(member: sparse.csr_array, user: np.ndarray) -> np.ndarray:
    """[windows × groups] → how many users each group has."""
    of_user = _indicators(user, user.max(initial=-1) + 1).T @ member
    return np.asarray((of_user > 0).sum(axis=0)).ravel().astype(np.int64)


def _rate(counts: np.ndarray, name: str) -> np.ndarray:
    """[… × 4 outcomes × groups] → the rate [… × groups]; NaN where nobody is there to be counted."""
    hit, of = (counts[..., [_OUTCOMES.index(o) for o in part], :].sum(axis=-2) for part in RATES[name])
    return np.divide(hit, of, out=np.full(of.shape, np.nan), where=of > 0)


def _replicates(cells: sparse.csr_array, user: np.ndarray, anchor: np.ndarray, seed: list[int]) -> np.ndarray:
    """[windows × cells] → their sums with users and anchors drawn anew, [replicates × 4 × groups]."""
    random = np.random.default_rng(seed)
    piece = max(1, int(_PIECE / len(user)))
    sums = []
    for start in range(0, REPLICATES, piece):
        weights = np.ones((min(piece, REPLICATES - start), len(user)))
        for group in (user, anchor):
            n = group.max() + 1
            weights *= random.multinomial(n, np.full(n, 1.0 / n), size=len(weights))[:, group]
        sums.append(weights @ cells)
    return np.concatenate(sums).reshape(REPLICATES, 4, -1)


def _deviation(replicates: np.ndarray) -> np.ndarray:
    """[replicates × groups] → standard deviation of each group's defined ones; NaN with fewer than half."""
    known = np.isfinite(replicates)
    n = known.sum(axis=0)
    mean = np.where(known, replicates, 0.0).sum(axis=0) / np.maximum(n, 1)
    squares = np.where(known, (replicates - mean) ** 2, 0.0).sum(axis=0)
    return np.where(n >= len(replicates) / 2, np.sqrt(squares / np.maximum(n - 1, 1)), np.nan)


def _wilson(rate: np.ndarray, drawn: np.ndarray, of: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rates, their replicates, the windows and users they are of → the ends of Wilson's interval (1927, J. Am. Stat.
    Assoc. 22, 209-212) for the number of independent windows with that error; of users, for a rate of 0 or 1."""
    z = stats.norm.isf((1.0 - CONFIDENCE) / 2.0)
    error = _deviation(drawn)
    worth = np.divide(rate * (1 - rate), error**2, out=users.astype(np.float64), where=(error > 0) & _between(rate))
    n = np.where(users >= FEW, np.minimum(worth, of), np.nan)
    middle, half = (rate + z**2 / (2 * n)) / (1 + z**2 / n), z / (1 + z**2 / n)
    half = half * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    # at the ends of the scale the formula gives the rate itself, but for rounding
    return np.minimum(rate, (middle - half).clip(0)), np.maximum(rate, (middle + half).clip(max=1))


def _gap(rate: np.ndarray, drawn: np.ndarray, of: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rates and their replicates, everybody's first → each minus everybody's, and its standard error.

    A rate of 0 or 1 stays so however users are drawn: half of its Wilson interval stands for its error.
    """
    gap = rate - rate[0]
    error = _deviation(drawn - drawn[:, [0]])
    low, high = _wilson(rate, drawn, of, users)
    half = (high - low) / stats.norm.isf((1.0 - CONFIDENCE) / 2.0)
    error = np.where(_between(rate), error, np.hypot(error, half))
    gap[0] = np.nan
    return gap, np.where((users >= FEW) & np.isfinite(gap), error, np.nan)


def _between(rate: np.ndarray) -> np.ndarray:
    return (rate > 0) & (rate < 1)


def _auc(p: np.ndarray, y: np.ndarray) -> float:
    """The chance that a positive window has the larger p than a negative one; NaN with one class only."""
    positives, negatives = int(y.sum()), int((~y).sum())
    if not positives or not negatives:
        return float("nan")
    return float((stats.rankdata(p)[y].sum() - positives * (positives + 1) / 2) / (positives * negatives))
