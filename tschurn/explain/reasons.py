"""SHAP values of windows → REASONS: up to three sentences for each, in English and Korean.

What a number is worth to people is decided here: which numbers stand for nothing known (`where_known`), and what was
usual for this very user before (`before`). The words are those of sentences.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tschurn.contracts import MOST_REASONS
from tschurn.explain.sentences import Target, sentences

if TYPE_CHECKING:
    from collections.abc import Callable

    from tschurn.contracts import Windows

_COLUMNS = ["feature", "kind", "side", "event_name", "measure", "lookback", "label_en", "label_ko"]
_SUM_DAYS = 28  # that history sums each daily feature over
_LONGER = {7: 28, 14: 28, 28: 56}  # the lookback that holds what was before, by lookback
_MEASURED_LONGER = ("active_days", "own_acts", "received_acts", "stickers")
_RESIDUE = 1e-6  # of a sum in float32: what is left of it is nothing


def by_feature(contributions: np.ndarray, feature: pd.Series) -> np.ndarray:
    """SHAP values [n × p] and the feature of each column [p] → their sums [n × features], by first appearance.

    SHAP values add up, so the sum is what the feature, all of its days together, does to the log-odds.
    """
    place, names = pd.factorize(feature)
    return np.asarray(contributions, dtype=np.float64) @ np.eye(len(names))[place]


def described(windows: Windows, columns: pd.DataFrame) -> pd.DataFrame:
    """FLAT_COLUMNS → their features, by first appearance: FEATURES' columns, and place.

    place: in the daily panel, -1 for those that are not daily. lookback of daily ones: the days observed, over which
    they are summed. Columns that only a model knows ("window:recency") are told as what they are.
    """
    daily = windows.features[windows.features["kind"] == "daily"]
    places = {feature: i for i, feature in enumerate(daily["feature"])}
    days = windows.flat_columns()["day_offset"].nunique()
    known = windows.features.reindex(columns=_COLUMNS).set_index("feature")
    first = columns.drop_duplicates("feature")
    told = first[["feature"]].join(known.drop(columns=["label_en", "label_ko"]), on="feature")
    told[["label_en", "label_ko"]] = first[["label_en", "label_ko"]]
    told["place"] = [places.get(f, -1) for f in told["feature"]]
    of_window = told["feature"].str.startswith("window:")
    told["measure"] = told["measure"].where(~of_window, told["feature"].str.removeprefix("window:"))
    summed = told["place"] >= 0
    told["lookback"] = told["lookback"].astype("Int64").mask(of_window | summed, days)
    for column in ("label_en", "label_ko"):
        told[column] = told[column].where(~summed, told["feature"].map(known[column]))
    return told[[*_COLUMNS, "place"]].reset_index(drop=True)


def where_known(windows: Windows, rows: np.ndarray, features: pd.DataFrame, values: np.ndarray) -> np.ndarray:
    """Values of `described` features [n × f] of the windows at `rows` → the same, NaN where the number stands for none.

    So it does where a thing has never been (recency is then one more than the days gone by), where a user has been
    seen once (no gap is known), in weeks before the user's first act, for hours of days without one, and for a fact
    that is not known.
    """
    values = np.array(values, dtype=np.float64)
    anchor = windows.index["anchor"].to_numpy()[rows]
    since = anchor - windows.lives.first[windows.index["user"].to_numpy()[rows]]
    past = _history(windows, rows)
    recency, tenure = past("history:recency"), past("history:tenure")
    once = np.zeros(len(rows), dtype=bool) if recency is None or tenure is None else recency >= tenure
    for i, feature in enumerate(features.itertuples(index=False)):
        measure, value = feature.measure, values[:, i]
        if feature.feature == "window:recency":
            unknown = value >= feature.lookback
        elif measure in ("recency", "sticker_recency", "top_recency"):
            unknown = value > anchor
        elif measure in ("mean_gap", "overdue"):
            unknown = once
        elif measure in ("first_hour", "last_hour"):
            unknown = value < 0
        elif measure == "week":
            unknown = since < feature.lookback - 7
        elif measure == "fact":
            missing = past(f"{feature.feature}:unknown")
            unknown = np.zeros(len(rows), dtype=bool) if missing is None else missing > 0
        else:
            continue
        values[unknown, i] = np.nan
    return values


def before(windows: Windows, rows: np.ndarray, features: pd.DataFrame) -> np.ndarray:
    """Windows at `rows` and `described` features [f] → what was usual for this user before [n × f], NaN if not known.

    Of what is counted over the last days: its mean over as many days, in what the next longer lookback holds besides,
    as far as the user was there then (for what others do: if all of it), and for no less time than is compared. Of
    recency: the user's mean gap.
    """
    usual = np.full((len(rows), len(features)), np.nan)
    anchor = windows.index["anchor"].to_numpy()[rows]
    first = windows.lives.first[windows.index["user"].to_numpy()[rows]]
    past, summed = _history(windows, rows), None
    for i, feature in enumerate(features.itertuples(index=False)):
        days = 0 if pd.isna(feature.lookback) else int(feature.lookback)
        if feature.measure == "recency":
            gap, recency, tenure = (past(f"history:{name}") for name in ("mean_gap", "recency", "tenure"))
            if gap is not None and recency is not None and tenure is not None:
                usual[:, i] = np.where(recency >= tenure, np.nan, gap)
            continue
        if feature.place >= 0:
            summed = windows.batch(rows).sum(axis=1, dtype=np.float64) if summed is None else summed
            longer, recent, all_of = _SUM_DAYS, summed[:, feature.place], past(f"history:sum:{feature.feature}:28")
        elif feature.measure in _MEASURED_LONGER and feature.feature.startswith("history:") and days in _LONGER:
            longer = _LONGER[days]
            recent, all_of = (past(f"history:{feature.measure}:{n}") for n in (days, longer))
        else:
            continue
        if all_of is None or recent is None or longer <= days:
            continue
        rest = all_of - recent
        rest[np.abs(rest) < _RESIDUE * np.abs(all_of)] = 0
        there = anchor - days + 1 - np.maximum(first, anchor - longer + 1)
        enough = there >= days
        if feature.side == "received" or feature.measure in ("received_acts", "stickers"):
            enough &= first <= np.maximum(anchor - longer + 1, 0)
        usual[:, i] = np.where(enough, rest / np.maximum(there, 1) * days, np.nan)
    return usual


def reasons(
    contributions: np.ndarray,
    values: np.ndarray,
    features: pd.DataFrame,
    whose: pd.DataFrame,
    typical: np.ndarray,
    before: np.ndarray,
    reliable: np.ndarray,
    top: int = MOST_REASONS,
    *,
    target: Target = "churn",
) -> pd.DataFrame:
    """Log-odds due to each feature [n × f], its values [n × f], features [f], windows [n], usual values [f] → REASONS.

    Without the `target` column. features: as of `described`. whose: user_id and anchor_day of the windows. before:
    what was usual for each user [n × f]; reliable: whether the explanation holds for the window [n]. Numbers that are
    not known are NaN. For each window the (up to) `top` features that push most towards the target, largest first. A
    window that nothing pushes has no row. Windows in the order given.
    """
    contributions = np.asarray(contributions, dtype=np.float64)
    who, feature, rank = _strongest(contributions, top)
    values, before = (np.asarray(of, dtype=np.float64)[who, feature] for of in (values, before))
    typical = np.asarray(typical, dtype=np.float64)[feature]
    table = pd.DataFrame(
        {
            **{key: whose[key].iloc[who].reset_index(drop=True) for key in ("user_id", "anchor_day")},
            "rank": rank.astype(np.int32),
            "feature": features["feature"].iloc[feature].reset_index(drop=True).astype("str"),
            "value": values,
            "typical": typical,
            "before": before,
            "contribution": contributions[who, feature],
            "reliable": np.asarray(reliable, dtype=bool)[who],
        }
    )
    told = sentences(features, feature, values, before, typical, target)
    return table.assign(sentence_en=told["en"], sentence_ko=told["ko"])


def _history(windows: Windows, rows: np.ndarray) -> Callable[[str], np.ndarray | None]:
    """→ a history feature's values at `rows` [n] by its name, None where there is no such feature."""
    names = windows.features.loc[windows.features["kind"] == "history", "feature"]
    place = {name: i for i, name in enumerate(names)}
    values = windows.history(rows)
    return lambda name: values[:, place[name]].astype(np.float64) if name in place else None


def _strongest(contributions: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """→ row, column and rank (from 1) of the largest positive entries of each row, the earlier of equal ones first."""
    best = np.argsort(-contributions, axis=1, kind="stable")[:, :top]
    row, place = np.nonzero(np.take_along_axis(contributions, best, axis=1) > 0)
    return row, best[row, place], place + 1
