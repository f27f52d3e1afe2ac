"""panel, history and labels → windows as views: a window is an index into the panel, never a copy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tschurn.features.groups import Groups, Record, groups_of
from tschurn.features.lives import Lives
from tschurn.features.mixture import Mixed


class WindowSet:
    """All windows of a log (the Windows protocol of contracts).

    index: WINDOWS, its row order is the order of everything per window. features: FEATURES, daily
    ones in the order of the panel, then history ones in the order of `history`.
    panel: [users × days × daily features] float32. history: [windows × history features] float32.
    lives: the days themselves, for models that read whole lives. record: what else `mixed` needs of the days.
    """

    def __init__(
        self, index: pd.DataFrame, features: pd.DataFrame, panel: np.ndarray, history: np.ndarray, observe_days: int,
        lives: Lives, record: Record | None = None,
    ) -> None:  # fmt: skip
        self.index = index
        self.features = features
        self.observe_days = observe_days
        self.lives = lives
        self.record = record
        self._panel = panel
        self._history = history
        self._user = index["user"].to_numpy(np.int64)
        self._anchor = index["anchor"].to_numpy(np.int64)
        self._offsets = np.arange(1 - observe_days, 1)

    def __len__(self) -> int:
        return len(self.index)

    def with_split(self, split: np.ndarray) -> WindowSet:
        """The same windows, divided otherwise."""
        index = self.index.assign(split=split)
        return self._with(index, self.observe_days)

    def looking_back(self, days: int) -> WindowSet:
        """The same windows with so many days observed; no batch of anchors that have fewer days before them."""
        return self._with(self.index, days)

    def _with(self, index: pd.DataFrame, observe_days: int) -> WindowSet:
        return WindowSet(index, self.features, self._panel, self._history, observe_days, self.lives, self.record)

    def rows(self, *splits: str) -> np.ndarray:
        """Positions of the windows of these splits."""
        return np.flatnonzero(self.index["split"].isin(splits))

    def newest(self) -> np.ndarray:
        """Positions of the windows at the newest anchor: those that the list is made of."""
        return np.flatnonzero(self._anchor == self._anchor.max())

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × observe_days × daily features] float32, oldest day first."""
        return self._panel[self._user[rows, None], self._anchor[rows, None] + self._offsets]

    def days(self, users: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Users [n] and days [n × d] → [n × d × daily features] float32."""
        return self._panel[users[:, None], days]

    def history(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × history features] float32."""
        return np.asarray(self._history[rows])

    def flat(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × (observe_days · daily + history features)] float32, columns as in `flat_columns`."""
        days = self.batch(rows)
        return np.concatenate([days.reshape(len(rows), days.shape[1] * days.shape[2]), self.history(rows)], axis=1)

    def flat_columns(self) -> pd.DataFrame:
        """→ FLAT_COLUMNS: day by day (oldest first) each daily feature, then history."""
        daily = self.features[self.features["kind"] == "daily"]
        parts = []
        for offset in self._offsets:
            ago = -int(offset)
            when_en = {0: "on the last day", 1: "the day before"}.get(ago, f"{ago} days before the last")
            when_ko = {0: "마지막 날"}.get(ago, f"마지막 날의 {ago}일 전")
            parts.append(
                daily.assign(
                    column=daily["feature"] + f"@{offset}",
                    day_offset=offset,
                    label_en=daily["label_en"] + f", {when_en}",
                    label_ko=daily["label_ko"] + f", {when_ko}",
                )
            )
        past = self.features[self.features["kind"] == "history"]
        parts.append(past.assign(column=past["feature"], day_offset=pd.NA))
        columns = pd.concat(parts, ignore_index=True)[
            ["column", "feature", "day_offset", "kind", "label_en", "label_ko"]
        ]
        return columns.astype({"day_offset": "Int32"})

    def groups(self, order: Sequence[str] = (), most: int = 12) -> Groups:
        """→ at most `most` groups of features for `mixed`; the events of the features in `order` first on their own."""
        return groups_of(self.features, self.record, order, most)

    def mixed(self, groups: Groups, rows: np.ndarray, others: np.ndarray, own: np.ndarray) -> Mixed:
        """→ windows of mixed lives: those at `rows`, but for the cells that come from the windows at `others`.

        own: [n × (1 + observe_days)], bits of the groups that stay the user's own; see Mixed.
        """
        return Mixed(self, groups, rows, others, own)

    def profile(self, rows: np.ndarray) -> pd.DataFrame:
        """→ PROFILE of these windows: each daily feature summed over the observation, and history."""
        daily = self.features.loc[self.features["kind"] == "daily", "feature"]
        past = self.features.loc[self.features["kind"] == "history", "feature"]
        sums = pd.DataFrame(self.batch(rows).sum(axis=1, dtype=np.float64), columns=daily.to_list())
        history = pd.DataFrame(self.history(rows).astype(np.float64), columns=past.to_list())
        return pd.concat([self.index["user_id"].iloc[rows].reset_index(drop=True), sums, history], axis=1)
