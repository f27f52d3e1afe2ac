"""PROFILE + segments → RULES: IF-THEN rules of a shallow tree that tells a segment from everybody else.

The rules describe a segment that was cut by the score; they do not say why anybody leaves.
"""

from __future__ import annotations

import json
from collections.abc import Collection

import numpy as np
import pandas as pd

from tschurn.contracts import RULES

TOLD = ("priority", "other_churners")
DEPTH, LEAST_USERS, LEAST_SHARE, FOLDS = 3, 10, 0.02, 5
Condition = tuple[str, str, float | int]


def rules(profile: pd.DataFrame, segments: pd.Series, circular: Collection[str], seed: int) -> pd.DataFrame:
    """PROFILE, segment of each user_id (index), variables that enter the score → RULES, the largest share first.

    A CART tree (Breiman et al. 1984) of at most DEPTH questions, no leaf smaller than LEAST_USERS or LEAST_SHARE of
    the users, grown by the variables that are not circular and known of every user. A segment without members, or
    that everybody is in, has no rules.
    """
    values = profile.set_index("user_id").reindex(segments.index).drop(columns=list(circular), errors="ignore")
    values = values.astype(np.float64)
    values = values.loc[:, np.isfinite(values.to_numpy()).all(axis=0)]
    parts = []
    for name in TOLD:
        member = (segments == name).to_numpy()
        if member.any() and not member.all() and len(values.columns):
            parts.append(_of_segment(values, member, seed).assign(segment=name))
    if not parts:
        return pd.DataFrame(columns=list(RULES.columns))
    return pd.concat(parts, ignore_index=True)[list(RULES.columns)]


def _of_segment(values: pd.DataFrame, member: np.ndarray, seed: int) -> pd.DataFrame:
    from sklearn.tree import DecisionTreeClassifier
    from statsmodels.stats.proportion import proportion_confint

    # the library compares in single precision, in whose range the sum of a column must stay
    seen = values.to_numpy().clip(-1e30, 1e30).astype(np.float32)
    least = max(LEAST_USERS, round(LEAST_SHARE * len(seen)))
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=least, random_state=seed)
    leaf = tree.fit(seen, member).apply(seen)
    found = pd.DataFrame({"leaf": leaf, "member": member}).groupby("leaf")["member"].agg(["size", "sum"])
    found = found.rename(columns={"size": "users", "sum": "members"})
    low, high = proportion_confint(found["members"], found["users"], method="wilson")
    paths = _paths(tree.tree_, values, seen)
    found = found.assign(
        share=found["members"] / found["users"],
        low=low,
        high=high,
        auc=_unseen_auc(tree, seen, member, seed),
        conditions=[json.dumps(paths[node], ensure_ascii=False) for node in found.index],
    )
    found = found.reset_index(drop=True).sort_values(["share", "users"], ascending=False, kind="stable")
    return found.assign(leaf=np.arange(len(found), dtype=np.int32))


def _unseen_auc(tree: object, seen: np.ndarray, member: np.ndarray, seed: int) -> float | None:
    """Mean AUC over the folds of trees grown on the other folds; None where a fold would lack members or others."""
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    folds = min(FOLDS, int(member.sum()), int((~member).sum()))
    if folds < 2:
        return None
    by_user = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return float(cross_val_score(clone(tree), seen, member, cv=by_user, scoring="roc_auc").mean())


def _paths(tree: object, values: pd.DataFrame, seen: np.ndarray) -> dict[int, list[Condition]]:
    """The library's tree → of each leaf what holds there, a variable's lower bound before its upper one."""
    paths: dict[int, list[Condition]] = {}
    waiting: list[tuple[int, dict[str, dict[str, float | int]]]] = [(0, {})]
    while waiting:
        node, bounds = waiting.pop()
        if tree.children_left[node] < 0:
            paths[node] = [one for name, held in bounds.items() for one in _conditions(name, held, values[name])]
            continue
        place = tree.feature[node]
        name = values.columns[place]
        cut = _told(tree.threshold[node], values[name].to_numpy(), seen[:, place])
        # a later question about the same variable is always the tighter one
        for child, sign in ((tree.children_left[node], "<="), (tree.children_right[node], ">")):
            waiting.append((child, bounds | {name: bounds.get(name, {}) | {sign: cut}}))
    return paths


def _told(threshold: float, column: np.ndarray, seen: np.ndarray) -> float | int:
    """→ the number with the fewest digits that divides the users as the threshold does; whole where all values are."""
    below = seen <= threshold
    if (column == np.round(column)).all() and np.abs(column).max() < 2**53:
        return int(column[below].max()) if below.any() else int(np.floor(threshold))
    tries = (float(f"{threshold:.{digits}g}") for digits in range(1, 18))
    return next((cut for cut in tries if ((column <= cut) == below).all()), float(column[below].max()))


def _conditions(name: str, bounds: dict[str, float | int], column: pd.Series) -> list[Condition]:
    fits = column[(column > bounds.get(">", -np.inf)) & (column <= bounds.get("<=", np.inf))]
    if fits.nunique() == 1:
        only = fits.iloc[0]
        return [(name, "=", int(only) if isinstance(next(iter(bounds.values())), int) else float(only))]
    return [(name, sign, bounds[sign]) for sign in (">", "<=") if sign in bounds]
