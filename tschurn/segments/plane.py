"""PRIORITY + MONEY + PREDICTIONS → PLANE: the churn × sticker plane in cells: who is there, what became of others.

The scored users and their money say what is at stake in a cell today; the test windows say what happened to those who
stood there. Both are placed by calibrated probabilities.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from tschurn.contracts import PLANE
from tschurn.segments.joint import of_both

QUANTILES = (0.5, 0.75)  # of p_sticker, where cells end below likely_sticker


class Edges(NamedTuple):
    """Where cells begin and end: rising, from 0 to 1."""

    churn: np.ndarray
    sticker: np.ndarray


def plane(
    priority: pd.DataFrame,
    threshold: pd.DataFrame,
    money: pd.DataFrame,
    predictions: pd.DataFrame,
    target_summary: pd.DataFrame,
) -> pd.DataFrame:
    """PRIORITY, THRESHOLD, MONEY, PREDICTIONS and TARGET_SUMMARY of both targets → PLANE, all cells.

    Of PREDICTIONS the test windows of the used models count. Empty without a sticker target and without anybody.
    """
    users = priority[priority["p_sticker"].notna()]
    windows = of_both(predictions, target_summary)
    if users.empty and windows.empty:
        return pd.DataFrame({column: [] for column in PLANE.columns})
    row = threshold.iloc[0]
    edges = cell_edges(float(row["likely_churn"]), row["likely_sticker"], windows if len(windows) else users)
    value = money[["user_id", "anchor_day", "value_28"]]
    now, then = (_in_cells(part.merge(value, on=["user_id", "anchor_day"], how="left"), edges)
                 for part in (users, windows))  # fmt: skip
    cells = pd.MultiIndex.from_product([range(len(one) - 1) for one in edges], names=["churn", "sticker_cell"])
    # nothing adds up to null, not to 0, where no money is known
    counted = pd.DataFrame(
        {
            "users": now.size(),
            "value_28": now["value_28"].sum(min_count=1),
            "windows": then.size(),
            "churned": then["churned"].mean(),
            "sticker": then["sticker"].mean(),
            "windows_value_28": then["value_28"].sum(min_count=1),
        }
    ).reindex(cells)
    counted = counted.assign(**{n: counted[n].fillna(0).astype("int64") for n in ("users", "windows")})
    for target, bounds, place in zip(("churn", "sticker"), edges, range(2), strict=True):
        at = cells.get_level_values(place)
        counted = counted.assign(**{f"{target}_from": bounds[at], f"{target}_to": bounds[at + 1]})
    return counted.reset_index(drop=True)[list(PLANE.columns)]


def cell_edges(likely_churn: float, likely_sticker: float | None, windows: pd.DataFrame) -> Edges:
    """What counts as likely, windows with p_sticker → Edges.

    Churn: at likely_churn and halfway to either end. Sticker: at likely_sticker, and below it at the median and the
    upper quartile, since stickers are rare for most and common for some; rounded to be read.
    """
    churn = [0.0, likely_churn / 2, likely_churn, (1 + likely_churn) / 2, 1.0]
    top = 1.0 if likely_sticker is None or pd.isna(likely_sticker) else float(likely_sticker)
    steps = [float(f"{q:.1g}") for q in np.quantile(windows["p_sticker"].astype("float64"), QUANTILES)]
    return Edges(np.array(churn), np.array(sorted({0.0, *(q for q in steps if 0 < q < top), top, 1.0})))


def _in_cells(windows: pd.DataFrame, edges: Edges) -> pd.core.groupby.DataFrameGroupBy:
    """Windows with p_churn and p_sticker → grouped by the position of their cell."""
    at = [
        np.clip(np.searchsorted(bounds, windows[p].to_numpy(np.float64), side="right") - 1, 0, len(bounds) - 2)
        for p, bounds in zip(("p_churn", "p_sticker"), edges, strict=True)
    ]
    columns = windows.assign(churn=at[0], sticker_cell=at[1], value_28=windows["value_28"].astype("float64"))
    return columns.groupby(["churn", "sticker_cell"])
