"""SHAP values of the scored users → REASONS: up to three sentences per user, in English and Korean."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

Target = Literal["churn", "sticker"]

_EFFECT_EN = {"churn": "raises the risk of going quiet", "sticker": "raises the chance of a sticker"}
_EFFECT_KO = {"churn": "이탈 위험을 높임", "sticker": "스티커 가능성을 높임"}
# Below this a number is told as "<0.001": nobody reads further digits.
_SMALLEST = 0.001


def reasons(
    contributions: np.ndarray,
    matrix: np.ndarray,
    columns: pd.DataFrame,
    whose: pd.DataFrame,
    typical: np.ndarray,
    top: int = 3,
    *,
    target: Target = "churn",
) -> pd.DataFrame:
    """SHAP values [n × p] in log-odds, values [n × p], FLAT_COLUMNS [p], windows [n], average values [p] → REASONS.

    Without the `target` column. whose: user_id and anchor_day of the windows. For each of them the (up
    to) `top` columns that push most towards the target, largest first, and of the columns of one
    feature (its days) only the strongest: three days of one habit are one reason. A window that
    nothing pushes has no row. Windows in the order given.
    """
    who, column, rank = _strongest(np.asarray(contributions, dtype=np.float64), columns["feature"], top)
    values = np.asarray(matrix, dtype=np.float64)[who, column]
    typical = np.asarray(typical, dtype=np.float64)[column]
    table = pd.DataFrame(
        {
            **{key: whose[key].iloc[who].reset_index(drop=True) for key in ("user_id", "anchor_day")},
            "rank": rank.astype(np.int32),
            "column": columns["column"].iloc[column].reset_index(drop=True),
            "value": values,
            "typical": typical,
            "contribution": np.asarray(contributions, dtype=np.float64)[who, column],
        }
    )
    value_text, typical_text = for_people(values), for_people(typical)
    english = columns["label_en"].astype("str").iloc[column].reset_index(drop=True)
    korean = columns["label_ko"].astype("str").iloc[column].reset_index(drop=True)
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


def _strongest(contributions: np.ndarray, features: pd.Series, top: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """→ row, column and rank (from 1) of the largest positive entries of each row, one per feature at most."""
    feature = pd.factorize(features)[0]
    left = np.where(contributions > 0, contributions, 0.0)
    rows = np.arange(len(left))
    found = []
    for rank in range(1, min(top, left.shape[1]) + 1):
        best = left.argmax(axis=1)
        pushes = left[rows, best] > 0
        found.append((rows[pushes], best[pushes], np.full(pushes.sum(), rank)))
        left[feature[None, :] == feature[best][:, None]] = 0.0
    if not found:
        return (np.arange(0),) * 3
    who, column, rank = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((rank, who))
    return who[order], column[order], rank[order]
