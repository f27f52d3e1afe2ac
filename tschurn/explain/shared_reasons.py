"""REASONS + SCORES → SHARED_REASONS: users who share reasons, how many they are, and how many of them are expected.

A reason is shared where the same feature stands to the same side of its average. Users are placed greedily: first by
the pair of reasons that most users not yet placed have in common, again and again, as long as those are enough; then
by the one reason that most of the rest have. Whom none of these holds has other reasons, or none. So every scored
user is in one segment, and the segments add up to all of them.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from tschurn.contracts import SHARED_REASONS
from tschurn.explain.sentences import Target, sentences

LEAST_SHARE, LEAST_USERS = 0.05, 5  # of the scored users, that a segment must have
MOST_SEGMENTS = 8
KINDS = ("shared", "other", "none")
_OTHER, _NONE = -2, -1
_LEVELS = np.array(["less", "same", "more", "unknown"], dtype=object)
_COLUMNS = [column for column in SHARED_REASONS.columns if column != "target"]


def shared_reasons(
    reasons: pd.DataFrame, scores: pd.DataFrame, features: pd.DataFrame, target: Target
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """REASONS and SCORES of one target, `described` features → SHARED_REASONS without `target`, and who is where.

    The second table: user_id of SCORES in its order, and segment. Reasons of other windows than those scored are left
    aside. The segments that share reasons come first, numbered from 1, the most expected first; then the users with
    other reasons, then those without any.
    """
    items, has, of = _items(reasons, scores)
    chosen = _chosen(has)
    placed = np.where(has.any(axis=1), _OTHER, _NONE)
    for k, pair in enumerate(chosen):
        placed[(placed == _OTHER) & has[:, pair].all(axis=1)] = k
    p = scores["p"].to_numpy(dtype=np.float64)
    expected = [math.fsum(p[placed == k]) for k in range(len(chosen))]
    order = sorted(range(len(chosen)), key=lambda k: (-expected[k], k))
    order += [k for k in (_OTHER, _NONE) if (placed == k).any()]
    number = {k: i for i, k in enumerate(order, start=1)}
    rows = [_row(number[k], k, placed == k, p, chosen[k] if k >= 0 else (), items, of, features, target) for k in order]
    table = pd.DataFrame(rows, columns=_COLUMNS).astype({"segment": "int32", "users": "int64"})
    users = pd.DataFrame(
        {"user_id": scores["user_id"].to_numpy(), "segment": np.array([number[k] for k in placed], dtype=np.int32)}
    )
    return table, users


def _items(reasons: pd.DataFrame, scores: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """→ the distinct reasons (feature, level), who has them [users × reasons], and REASONS with `user` and `item`."""
    user = pd.Index(scores["user_id"]).get_indexer(reasons["user_id"])
    days = [pd.to_datetime(table["anchor_day"]).to_numpy() for table in (reasons, scores)]
    scored = user >= 0
    scored[scored] = days[0][scored] == days[1][user[scored]]
    of = reasons[scored].assign(user=user[scored])
    side = np.sign((of["value"] - of["typical"]).to_numpy(dtype=np.float64))
    of["level"] = _LEVELS[np.where(np.isnan(side), 3, np.nan_to_num(side) + 1).astype(int)]
    items = of[["feature", "level"]].drop_duplicates().sort_values(["feature", "level"], ignore_index=True)
    of = of.merge(items.reset_index(names="item"), on=["feature", "level"])
    has = np.zeros((len(scores), len(items)), dtype=bool)
    has[of["user"], of["item"]] = True
    return items, has, of


def _chosen(has: np.ndarray) -> list[list[int]]:
    """Who has which reasons → those that make a segment, in the order in which users are placed by them."""
    least = max(LEAST_USERS, math.ceil(LEAST_SHARE * len(has)))
    left, ones = has.any(axis=1), has.astype(np.float32)  # sums of ones, exact in any order
    chosen: list[list[int]] = []
    for alone in (False, True):
        while len(chosen) < MOST_SEGMENTS and has.shape[1]:
            counted = ones[left].T @ ones[left]
            wanted = np.diag(np.diag(counted)) if alone else np.triu(counted, 1)
            best = int(wanted.argmax())  # the first of equal ones, in the order of their names
            if wanted.ravel()[best] < least:
                break
            pair = sorted(set(divmod(best, has.shape[1])))
            left &= ~has[:, pair].all(axis=1)
            chosen.append(pair)
    return chosen


def _row(
    number: int, k: int, here: np.ndarray, p: np.ndarray, pair: list[int] | tuple[()], items: pd.DataFrame,
    of: pd.DataFrame, features: pd.DataFrame, target: Target,
) -> dict[str, object]:  # fmt: skip
    """One segment: its users, and its reasons as they are for the middle one of them."""
    expected, users = math.fsum(p[here]), int(here.sum())
    of = of[here[of["user"]]]
    row = {
        "segment": number, "kind": KINDS[0 if k >= 0 else k - _OTHER + 1], "users": users, "share": users / len(here),
        "p_mean": expected / users, "expected": expected,
        "reliable": float(of.drop_duplicates("user")["reliable"].mean()) if len(of) else None,
    }  # fmt: skip
    places = pd.Index(features["feature"])
    for i, item in enumerate(pair, start=1):
        part = of[of["item"] == item]
        feature, level = items.iloc[item]
        place = np.array([places.get_loc(feature)])
        middle = np.array([part["value"].quantile(interpolation="lower")], dtype=np.float64)
        typical = part["typical"].to_numpy(dtype=np.float64)[:1]
        told = sentences(features, place, middle, np.array([np.nan]), typical, target).iloc[0]
        row |= {f"feature_{i}": feature, f"level_{i}": level}
        row |= {f"sentence_{i}_{language}": told[language] for language in ("en", "ko")}
    return row
