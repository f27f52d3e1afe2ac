"""Planted windows: what decides churn is known, so explanations can be marked right or wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from synthetic import lives_of

DAYS = 7


class PlantedWindows:
    """Windows with planted causes; satisfies contracts.Windows.

    Churn depends on `recency` (up) and on the anchor day's `post` (down), and on a habit of the user
    that no column shows. `post_2` counts what `post` counts and a little more (collinear), `total` is
    the exact sum of two days of `post`; `noise` columns are noise, `person` columns noise that is
    constant per user, `nothing` is 0.
    """

    def __init__(self, users: int = 500, anchors: int = 10, noise: int = 1, seed: int = 0) -> None:
        self.lives = lives_of(np.ones((users, anchors, 1)))
        rng = np.random.default_rng(seed)
        daily = ["post", "post_2", *(f"noise_{i}" for i in range(noise))]
        history = ["recency", "total", *(f"person_{i}" for i in range(noise)), "nothing"]
        user = np.repeat(np.arange(users), anchors).astype(np.int32)
        anchor = np.tile(np.arange(anchors), users).astype(np.int32)
        n = len(user)
        self.daily = rng.poisson(1.0, (n, DAYS, len(daily))).astype(np.float32)
        self.daily[:, :, 1] = self.daily[:, :, 0] + 0.1 * rng.normal(size=(n, DAYS))
        self.past = np.zeros((n, len(history)), dtype=np.float32)
        self.past[:, 0] = rng.integers(0, 7, n)
        self.past[:, 1] = self.daily[:, 0, 0] + self.daily[:, 1, 0]
        self.past[:, 2 : 2 + noise] = rng.normal(size=(users, noise))[user]
        self.log_odds = 1.0 * (self.past[:, 0] - 3) - 0.8 * self.daily[:, -1, 0]
        churned = rng.random(n) < 1 / (1 + np.exp(-self.log_odds - rng.normal(size=users)[user]))
        splits = np.array(["train", "validation", "test", "open"])
        split = splits[np.digitize(anchor, [anchors - 5, anchors - 4, anchors - 1])]
        self.index = pd.DataFrame(
            {
                "user_id": user.astype(np.int64) + 1000,
                "user": user,
                "anchor_day": pd.Timestamp("2024-01-07") + pd.to_timedelta(anchor * 7, unit="D"),
                "anchor": anchor * 7,
                "closed": split != "open",
                "churned": pd.array(np.where(split == "open", 0, churned), dtype="Int8"),
                "split": split,
            }
        )
        self.index.loc[split == "open", "churned"] = pd.NA
        names = daily + history
        self.features = pd.DataFrame(
            {
                "feature": names,
                "kind": ["daily"] * len(daily) + ["history"] * len(history),
                "measure": "count",
                "label_en": [f"{name} in words" for name in names],
                "label_ko": [f"{name} 말로" for name in names],
            }
        )

    def batch(self, rows: np.ndarray) -> np.ndarray:
        return self.daily[rows]

    def history(self, rows: np.ndarray) -> np.ndarray:
        return self.past[rows]

    def flat(self, rows: np.ndarray) -> np.ndarray:
        return np.hstack([self.daily[rows].reshape(len(rows), -1), self.past[rows]])

    def flat_columns(self) -> pd.DataFrame:
        daily = self.features[self.features["kind"] == "daily"]
        parts = [daily.assign(day_offset=day, column=daily["feature"] + f"@{day}") for day in range(1 - DAYS, 1)] + [
            self.features[self.features["kind"] == "history"].assign(day_offset=pd.NA, column=lambda t: t["feature"])
        ]
        table = pd.concat([part.astype({"day_offset": "Int32"}) for part in parts], ignore_index=True)
        return table[["column", "feature", "day_offset", "kind", "label_en", "label_ko"]]


@pytest.fixture(scope="session")
def planted() -> type[PlantedWindows]:
    return PlantedWindows
