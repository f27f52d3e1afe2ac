"""PREDICTIONS + MONEY + EXPECTED_VALUES → the test windows under every score, and what lists of each size would hold.

At each test anchor the users are ranked by a score and the first ones called. Users with equal scores come in random
order: what a list holds is its expectation over that order, in which each part of a group of ties holds that part of
what the group does. Both users and anchors are drawn anew ("pigeonhole" bootstrap, Owen 2007): the list of a replicate
is cut among the users drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tschurn.contracts import SCORES_COMPARED

REPLICATES, LEAST_REPLICATES = 500, 20
MOST_SIZES = 200
CAUGHT = ("value", "users")
LIGHTGBM = ("lightgbm_history", "lightgbm_7days")  # the first one that there is
_KEYS = ["user_id", "anchor_day"]
_CELLS = 2e7  # replicates × users that are ranked at once: bounds memory


def scored_windows(
    predictions: pd.DataFrame, target_summary: pd.DataFrame, money: pd.DataFrame, expected_values: pd.DataFrame
) -> pd.DataFrame:
    """PREDICTIONS and TARGET_SUMMARY of both targets, MONEY, EXPECTED_VALUES → one row per test window.

    Columns: user_id, anchor_day; what a list that holds the window has caught: "value" (value_28 of who churned, else
    0; no less than 0) and "users" (1 for a churner with a sticker in the 28 days, else 0); and each score of
    SCORES_COMPARED that is known of every window. Empty without a sticker target.
    """
    used = dict(zip(target_summary["target"], target_summary["used"], strict=True))
    test = predictions[predictions["split"] == "test"]
    if not {"churn", "sticker"} <= set(used) & set(test["target"]):
        return pd.DataFrame({column: [] for column in [*_KEYS, *CAUGHT, *SCORES_COMPARED]})
    p = test.pivot(index=_KEYS, columns=["target", "model"], values="p")
    p = p.dropna(subset=list(used.items()))
    churned = test[(test["target"] == "churn") & (test["model"] == used["churn"])].set_index(_KEYS)["y"]
    churned = churned.reindex(p.index).to_numpy() == 1
    worth = money.set_index(_KEYS).reindex(p.index).astype("float64")
    stays = expected_values[expected_values["fit"] == "evaluated"].set_index(_KEYS)["expected"].reindex(p.index)
    p_churn, p_sticker = (p[target, used[target]] for target in ("churn", "sticker"))
    scores = {
        "priority": p_churn * p_sticker,
        "value_at_risk": p_churn * stays,
        "p_churn": p_churn,
        "p_churn_value_28": p_churn * worth["value_28"],
        "recency": worth["recency"],
        "stickers_7": worth["stickers_7"],
        "random": pd.Series(0.0, index=p.index),
    }
    found = [m for m in LIGHTGBM if ("churn", m) in p and ("sticker", m) in p]
    if found:
        scores["lightgbm"] = p["churn", found[0]] * p["sticker", found[0]]
    known = {name: scores[name] for name in SCORES_COMPARED if name in scores and scores[name].notna().all()}
    at_risk = {
        "value": np.where(churned, worth["value_28"].clip(lower=0), 0.0),
        "users": (churned & (worth["stickers_28"] > 0)).astype("float64"),
    }
    return pd.DataFrame({**at_risk, **known}, index=p.index).reset_index()


@dataclass(frozen=True)
class Weeks:
    """Test windows anchor by anchor, and how often the replicates drew their users and anchors.

    places: of each anchor, positions of its windows. user: of each window [windows]. users [replicates × users],
    anchors [replicates × anchors]: times drawn; the first replicate is what was, everybody once.
    """

    places: list[np.ndarray]
    user: np.ndarray
    users: np.ndarray
    anchors: np.ndarray

    @classmethod
    def of(cls, windows: pd.DataFrame, seed: int, replicates: int = REPLICATES) -> Weeks:
        """The windows and a seed → their weeks. Raises ValueError without a window."""
        if windows.empty:
            raise ValueError("no test windows to draw from")
        random = np.random.default_rng([seed, 9])
        places = list(windows.groupby("anchor_day", sort=True).indices.values())
        user, ids = pd.factorize(windows["user_id"])
        return cls(places, user, *(_drawn(random, n, replicates) for n in (len(ids), len(places))))

    @property
    def size(self) -> float:
        """Mean number of users per anchor."""
        return len(self.user) / len(self.places)

    def called(
        self, score: np.ndarray, amounts: np.ndarray, sizes: Callable[[np.ndarray], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """What lists by a score come to, summed over the anchors drawn.

        score [windows], amounts [windows × M]; sizes: users at an anchor [replicates] → sizes of its lists
        [replicates × S], at most all. → users called [replicates × S], amounts that they hold [replicates × S × M].
        """
        calls: np.ndarray | float = 0.0
        held: np.ndarray | float = 0.0
        for anchor, at in enumerate(self.places):
            step = max(1, int(_CELLS // len(at)))
            parts = [self._at(score, amounts, at, rows, sizes) for rows in _pieces(len(self.users), step)]
            size, amount = (np.concatenate(part) for part in zip(*parts, strict=True))
            times = self.anchors[:, anchor].astype(np.float64)
            calls = calls + times[:, None] * size
            held = held + times[:, None, None] * amount
        return calls, held

    def _at(
        self, score: np.ndarray, amounts: np.ndarray, at: np.ndarray, rows: slice,
        sizes: Callable[[np.ndarray], np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        times = self.users[rows][:, self.user[at]]
        wanted = sizes(times.sum(axis=1, dtype=np.float64))
        return wanted, held(score[at], amounts[at], times, wanted)


def held(score: np.ndarray, amounts: np.ndarray, times: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Amounts that the first users by a score hold, in expectation over the order of equal scores.

    score [n], amounts [n × M], times each user counts [replicates × n], sizes of the list [replicates × S], from 0 to
    the sum of times → [replicates × S × M].
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.append(np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])), len(score))  # of groups of ties
    group = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    something = np.flatnonzero((amounts[order] != 0).any(axis=1))
    found = np.zeros((*sizes.shape, amounts.shape[1]))
    if not len(something):
        return found
    groups, first = np.unique(group[something], return_index=True)
    seen = np.cumsum(times[:, order], axis=1, dtype=np.int32)
    before = np.where(ends[groups] > 0, seen[:, ends[groups] - 1], 0)
    after = seen[:, ends[groups + 1] - 1]
    none, everybody = np.zeros((len(times), 1)), seen[:, -1:]
    x = np.concatenate([none, np.stack([before, after], axis=2).reshape(len(times), -1), everybody], axis=1)
    # one interpolation for all replicates, which lie one after the other
    shift = np.arange(len(times))[:, None] * (float(everybody.max()) + 1)
    for m in range(amounts.shape[1]):
        weighed = times[:, order[something]] * amounts[order[something], m]
        so_far = np.cumsum(np.add.reduceat(weighed, first, axis=1), axis=1)
        y = np.repeat(np.concatenate([none, so_far], axis=1), 2, axis=1)
        found[:, :, m] = np.interp(sizes + shift, (x + shift).ravel(), y.ravel())
    return found


def list_sizes(most: int) -> np.ndarray:
    """At most MOST_SIZES − 4 whole numbers from 1 to `most`, which is at least 1, denser at the beginning."""
    even = np.linspace(0, 1, MOST_SIZES - 4)
    return np.arange(1, most + 1) if most <= len(even) else np.unique(np.round(1 + (most - 1) * even**2).astype(int))


def interval(replicates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[replicates × …] → the ends of the 95 % percentile interval, […] each; NaN where too few are defined."""
    defined = np.isfinite(replicates)
    enough = defined.sum(axis=0) >= min(LEAST_REPLICATES, len(replicates))
    filled = np.where(enough, np.where(defined, replicates, np.nan), 0.0)
    low, high = np.nanpercentile(filled, [2.5, 97.5], axis=0)
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def _drawn(random: np.random.Generator, n: int, replicates: int) -> np.ndarray:
    """→ [1 + replicates × n]: how often each of n was drawn among n; the first row is all ones."""
    drawn = (np.bincount(random.integers(n, size=n), minlength=n) for _ in range(replicates))
    return np.array([np.ones(n, dtype=np.uint8), *(times.astype(np.uint8) for times in drawn)])


def _pieces(length: int, step: int) -> list[slice]:
    return [slice(start, start + step) for start in range(0, length, step)]
