"""PRIORITY of two runs → who is on both lists, who came and who left, and whose scores moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from tschurn.segments.steadiness import chance

PEOPLE_SHOWN = 200  # of those who came, and of those who left
MOVERS_SHOWN = 20
DOTS_SHOWN = 2_000
SCORES = ("p_churn", "p_sticker", "priority")
_COLUMNS = ("segment", "rank", *SCORES)


def two_lists(
    a: pd.DataFrame, b: pd.DataFrame, unscored_a: pd.DataFrame, unscored_b: pd.DataFrame, churned: pd.Series, seed: int
) -> dict[str, Any]:
    """PRIORITY and UNSCORED of two runs → the figures of the two lists side by side.

    churned: by user of a's list, what is known in b of a's outcome (1, 0; absent: not known). Overlap is counted among
    users scored in both, since only they could be on both lists; chance is the Jaccard similarity of two random groups
    of those sizes. place of a user without a score: 'not_active', 'too_new', or 'unknown' (the run has no such user).
    """
    both = _side(a, unscored_a, "a").join(_side(b, unscored_b, "b"), how="outer")
    for side in ("a", "b"):
        both[f"place_{side}"] = both[f"place_{side}"].fillna("unknown")
    both["churned"] = churned.reindex(both.index)
    listed_a, listed_b = ((both[f"segment_{side}"] == "priority").to_numpy() for side in ("a", "b"))
    scored = both[["segment_a", "segment_b"]].notna().all(axis=1).to_numpy()
    n, n_a, n_b = int(scored.sum()), int((listed_a & scored).sum()), int((listed_b & scored).sum())
    shared = int((listed_a & listed_b).sum())
    came, left = both[listed_b & ~listed_a], both[listed_a & ~listed_b]
    common = both[scored].assign(group=_groups(listed_a[scored], listed_b[scored]))
    return {
        "scored": {"a": len(a), "b": len(b), "both": n},
        "group": {"a": int(listed_a.sum()), "b": int(listed_b.sum()), "both": shared},
        "jaccard": shared / (n_a + n_b - shared) if n_a + n_b else None,
        "chance": chance(n, n_a, n_b),
        "came": _told(came, "rank_b", "place_a"),
        "left": _told(left, "rank_a", "place_b"),
        "correlation": {score: _correlation(common, score) for score in SCORES},
        "mean": {s: {k: _mean(frame[s]) for k, frame in (("a", a), ("b", b))} for s in ("p_churn", "p_sticker")},
        "movers": _movers(common),
        "dots": _dots(common, seed),
    }


def _side(priority: pd.DataFrame, unscored: pd.DataFrame, side: str) -> pd.DataFrame:
    """Scored and unscored users → by user the scores, and the place: segment, or why there is none."""
    scored = priority[["user_id", *_COLUMNS]].assign(place=priority["segment"])
    others = unscored.rename(columns={"reason": "place"})[["user_id", "place"]]
    others = others[~others["user_id"].isin(scored["user_id"])].reindex(columns=scored.columns)
    types = {column: "float64" for column in _COLUMNS} | dict.fromkeys(("user_id", "segment", "place"), object)
    both = pd.concat([scored.astype(types), others.astype(types)])
    return both.set_index("user_id").add_suffix(f"_{side}")


def _groups(listed_a: np.ndarray, listed_b: np.ndarray) -> np.ndarray:
    return np.select([listed_a & listed_b, listed_b, listed_a], ["both", "came", "left"], "neither")


def _told(part: pd.DataFrame, order: str, place: str) -> dict[str, Any]:
    """Those who came or left → how many, by their place in the other run, how many of them churned, and the first."""
    known = part["churned"].dropna()
    return {
        "users": len(part),
        "places": {str(k): int(v) for k, v in part[place].value_counts().sort_index().items()},
        "known": len(known),
        "churned": int(known.sum()),
        "shown": _people(part.sort_values(order, kind="stable").head(PEOPLE_SHOWN)),
    }


def _people(part: pd.DataFrame) -> list[dict[str, Any]]:
    columns = [f"{c}_{s}" for c in ("place", "rank", "p_churn", "p_sticker") for s in ("a", "b")]
    return part[[*columns, "churned"]].rename_axis("user_id").reset_index().to_dict("records")


def _correlation(common: pd.DataFrame, score: str) -> float | None:
    """Spearman's, of the users scored in both; None where there are fewer than three, or all are alike."""
    pair = common[[f"{score}_a", f"{score}_b"]].astype("float64").dropna()
    if len(pair) < 3 or (pair.nunique() < 2).any():
        return None
    return float(stats.spearmanr(pair.iloc[:, 0], pair.iloc[:, 1]).statistic)


def _mean(values: pd.Series) -> float | None:
    known = values.astype("float64").dropna()
    return float(known.mean()) if len(known) else None


def _movers(common: pd.DataFrame) -> list[dict[str, Any]]:
    """Whose p_churn moved most."""
    moved = (common["p_churn_b"] - common["p_churn_a"]).abs().astype("float64")
    order = moved[moved > 0].sort_index().sort_values(ascending=False, kind="stable").index[:MOVERS_SHOWN]
    return _people(common.loc[order])


def _dots(common: pd.DataFrame, seed: int) -> list[dict[str, Any]]:
    """p_churn in both, of users drawn at random where they are many."""
    if len(common) > DOTS_SHOWN:
        rows = np.random.default_rng([seed, 6]).choice(len(common), DOTS_SHOWN, replace=False)
        common = common.iloc[np.sort(rows)]
    return common[["p_churn_a", "p_churn_b", "group"]].to_dict("records")
