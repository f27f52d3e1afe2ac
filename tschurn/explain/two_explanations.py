"""The explanations of two runs → which features gained and lost weight, turned round, entered or left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

SHOWN = 12  # features, of those that are first in either run
TOP = 5


def two_explanations(a: dict[str, pd.DataFrame], b: dict[str, pd.DataFrame]) -> dict[str, Any] | None:
    """By run "importance" (IMPORTANCE of the explained model), "selection" (SELECTION) and "flat_columns" of one
    target → shares and ranks of features in both; None where one of them explains nothing.

    share: of the run's whole importance (mean |SHAP|), summed over the feature's columns; 0 where a run has no such
    feature. effect: 'raises' or 'lowers', where the interval of the direction of the feature's weightiest column has no
    zero in it, else 'mixed'; turned: it raises in one and lowers in the other. entered, left: columns that selection
    accepted in one run only. top: of the first TOP features, how many are in both.
    """
    features = [_features(side) for side in (a, b)]
    if any(part.empty for part in features):
        return None
    both = features[0].add_suffix("_a").join(features[1].add_suffix("_b"), how="outer")
    both = both.assign(**{f"share_{s}": both[f"share_{s}"].fillna(0.0) for s in ("a", "b")})
    both["turned"] = (both["effect_a"] + both["effect_b"]).isin(["raiseslowers", "lowersraises"])
    either = both[["share_a", "share_b"]].max(axis=1)
    order = either.sort_index().sort_values(ascending=False, kind="stable").index
    shown = both.loc[order[:SHOWN]].sort_values("share_b", ascending=False, kind="stable")
    columns = ["share_a", "share_b", "rank_a", "rank_b", "effect_a", "effect_b", "turned"]
    top = [set(part.index[:TOP]) for part in features]
    kept = [_accepted(side) for side in (a, b)]
    return {
        "features": {
            "a": len(features[0]),
            "b": len(features[1]),
            "both": len(features[0].index.intersection(features[1].index)),
        },
        "top": min(TOP, len(features[0]), len(features[1])),
        "top_both": len(top[0] & top[1]),
        "turned": both.index[both["turned"]].tolist(),
        "kept": {"a": len(kept[0]), "b": len(kept[1])},
        "entered": sorted(kept[1] - kept[0]),
        "left": sorted(kept[0] - kept[1]),
        "shown": shown[columns].astype(object).rename_axis("feature").reset_index().to_dict("records"),
    }


def _features(side: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """By feature, the most important first: share, rank and effect."""
    importance, flat = side["importance"], side["flat_columns"]
    importance = importance[importance["importance"] > 0]
    named = importance["column"].map(dict(zip(flat["column"], flat["feature"], strict=True))).astype(object)
    columns = importance.assign(feature=named.fillna(importance["column"]).astype(str)).sort_values(
        "rank", kind="stable"
    )
    shares = columns.groupby("feature")["importance"].sum() / columns["importance"].sum()
    shares = shares.sort_index().sort_values(ascending=False, kind="stable")
    leading = columns.drop_duplicates("feature").set_index("feature").reindex(shares.index)
    effect = np.select([leading["direction_low"] > 0, leading["direction_high"] < 0], ["raises", "lowers"], "mixed")
    return pd.DataFrame({"share": shares, "rank": np.arange(1, len(shares) + 1), "effect": effect}, index=shares.index)


def _accepted(side: dict[str, pd.DataFrame]) -> set[str]:
    selection = side["selection"]
    return set(selection.loc[selection["decision"] == "accepted", "column"])
