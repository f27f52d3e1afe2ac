"""windows → the matrices that simpler models see, and what their columns are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tschurn.contracts import Windows

if TYPE_CHECKING:
    import pandas as pd

View = Callable[[Windows, np.ndarray], np.ndarray]  # windows, rows → matrix [n × columns]


def view_columns(view: str, windows: Windows) -> pd.DataFrame:
    """→ what the columns of a view are, as FLAT_COLUMNS, in the order of its matrix."""
    import pandas as pd

    flat = windows.flat_columns()
    if view == "flat":
        return flat
    if view == "days":
        return flat[flat["kind"] == "daily"].reset_index(drop=True)
    if view == "history":
        daily = windows.features[windows.features["kind"] == "daily"]
        sums = daily.assign(
            column=daily["feature"] + "@sum",
            day_offset=pd.NA,
            label_en=daily["label_en"] + ", in the window",
            label_ko=daily["label_ko"] + ", 관측 기간 합",
        )
        return pd.concat([flat[flat["kind"] == "history"], sums[flat.columns]], ignore_index=True)
    columns = pd.DataFrame(
        {
            "column": ["window:recency", "window:active_days"],
            "feature": ["window:recency", "window:active_days"],
            "day_offset": pd.NA,
            "kind": "history",
            "label_en": ["days since the last own act in the window", "active days in the window"],
            "label_ko": ["관측 기간 내 마지막 본인 활동 후 경과일", "관측 기간 내 활동일 수"],
        }
    )
    return columns if view == "recency_and_active_days" else columns[:1]


def _recency_and_active_days(windows: Windows, rows: np.ndarray) -> np.ndarray:
    """→ [n × 2]: days since the last own act within the window, and active days in it."""
    daily = windows.features[windows.features["kind"] == "daily"]
    own = ((daily["side"] == "own") & (daily["measure"] == "count")).to_numpy()
    active = (windows.batch(rows)[:, :, own] > 0).any(axis=2)
    recency = np.where(active.any(axis=1), active[:, ::-1].argmax(axis=1), active.shape[1])
    return np.stack([recency, active.sum(axis=1)], axis=1)


def _days(windows: Windows, rows: np.ndarray) -> np.ndarray:
    days = windows.batch(rows)
    return days.reshape(len(rows), -1)


def _history(windows: Windows, rows: np.ndarray) -> np.ndarray:
    """→ history, and each daily feature's sum over the observation."""
    return np.concatenate([windows.history(rows), windows.batch(rows).sum(axis=1)], axis=1)


VIEWS: dict[str, View] = {
    "recency": lambda windows, rows: _recency_and_active_days(windows, rows)[:, :1],
    "recency_and_active_days": _recency_and_active_days,
    "history": _history,
    "days": _days,
    "flat": lambda windows, rows: windows.flat(rows),
}
