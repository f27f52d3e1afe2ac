"""SHAP values of windows → REASONS: up to three sentences for each, in English and Korean."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from tschurn.contracts import MOST_REASONS

Target = Literal["churn", "sticker"]

_EFFECT_EN = {"churn": "raises the risk of going quiet", "sticker": "raises the chance of a sticker"}
_EFFECT_KO = {"churn": "이탈 위험을 높임", "sticker": "스티커 가능성을 높임"}
# Below this a number is told as "<0.001": nobody reads further digits.
_SMALLEST = 0.001


def by_feature(contributions: np.ndarray, feature: pd.Series) -> np.ndarray:
    """SHAP values [n × p] and the feature of each column [p] → their sums [n × features], by first appearance.

    SHAP values add up, so the sum is what the feature, all of its days together, does to the log-odds.
    """
    place, names = pd.factorize(feature)
    return np.asarray(contributions, dtype=np.float64) @ np.eye(len(names))[place]


def reasons(
    contributions: np.ndarray,
    values: np.ndarray,
    features: pd.DataFrame,
    whose: pd.DataFrame,
    typical: np.ndarray,
    top: int = MOST_REASONS,
    *,
    target: Target = "churn",
) -> pd.DataFrame:
    """Log-odds due to each feature [n × f], its values [n × f], features [f], windows [n], usual values [f] → REASONS.

    Without the `target` column. features: feature, label_en, label_ko. whose: user_id and anchor_day of
    the windows. For each of them the (up to) `top` features that push most towards the target, largest
    first. A window that nothing pushes has no row. Windows in the order given.
    """
    contributions = np.asarray(contributions, dtype=np.float64)
    who, feature, rank = _strongest(contributions, top)
    values = np.asarray(values, dtype=np.float64)[who, feature]
    typical = np.asarray(typical, dtype=np.float64)[feature]
    named = features.iloc[feature].reset_index(drop=True)
    table = pd.DataFrame(
        {
            **{key: whose[key].iloc[who].reset_index(drop=True) for key in ("user_id", "anchor_day")},
            "rank": rank.astype(np.int32),
            "feature": named["feature"].astype("str"),
            "value": values,
            "typical": typical,
            "contribution": contributions[who, feature],
        }
    )
    value_text, typical_text = for_people(values), for_people(typical)
    english, korean = named["label_en"].astype("str"), named["label_ko"].astype("str")
    table["sentence_en"] = english + ": " + value_text + " (average " + typical_text + "), " + _EFFECT_EN[target]
    table["sentence_ko"] = korean + ": " + value_text + " (평균 " + typical_text + "), " + _EFFECT_KO[target]
    return table


def for_people(numbers: np.ndarray) -> pd.Series:
    """Numbers [n] → texts [n]: 1,234 · 56.7 · 5 · 0.37 · <0.001; a missing one is "–"."""
    numbers = np.asarray(numbers, dtype=np.float64)
    size = np.abs(numbers)
    decimals = np.select([size >= 100, size >= 1, size >= 0.1, size >= 0.01], [0, 1, 2, 3], 4)
    rounded = np.round(numbers * 10.0**decimals) / 10.0**decimals  # np.round takes one number of decimals only
    rounded = np.where((size > 0) & (size < _SMALLEST), np.sign(numbers) * _SMALLEST / 2, rounded)
    distinct, place = np.unique(rounded, return_inverse=True)
    return pd.Series(np.array([_text(x) for x in distinct], dtype=object)[place], dtype="str")


def _text(number: float) -> str:
    if np.isnan(number):
        return "–"
    if 0 < abs(number) < _SMALLEST:
        return f"<{_SMALLEST}" if number > 0 else f">-{_SMALLEST}"
    text = f"{number:,.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _strongest(contributions: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """→ row, column and rank (from 1) of the largest positive entries of each row, the earlier of equal ones first."""
    best = np.argsort(-contributions, axis=1, kind="stable")[:, :top]
    row, place = np.nonzero(np.take_along_axis(contributions, best, axis=1) > 0)
    return row, best[row, place], place + 1
