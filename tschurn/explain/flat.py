"""windows → columns of the flattened windows by name, a block of windows in memory at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tschurn.contracts import Windows

BLOCK = 8_192  # windows whose flat matrix is in memory at once while columns are picked from it


class FlatWindows:
    """Columns of the flattened windows by name."""

    def __init__(self, windows: Windows, seed: int) -> None:
        self.windows = windows
        self.seed = seed
        self.flat_columns = windows.flat_columns()
        self.columns = self.flat_columns["column"].tolist()
        self._place = {column: i for i, column in enumerate(self.columns)}

    def split(self, *splits: str) -> np.ndarray:
        """Positions of the windows of these splits."""
        return np.flatnonzero(self.windows.index["split"].isin(splits))

    def some(self, rows: np.ndarray, most: int) -> np.ndarray:
        """At most `most` of these rows, drawn at random, in their order."""
        if len(rows) <= most:
            return rows
        return np.sort(np.random.default_rng(self.seed).choice(rows, most, replace=False))

    def matrix(self, rows: np.ndarray, columns: list[str]) -> np.ndarray:
        """→ [rows × columns] float32."""
        places = self.places(columns)
        values = np.empty((len(rows), len(columns)), dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            values[start : start + BLOCK] = self.windows.flat(rows[start : start + BLOCK])[:, places]
        return values

    def places(self, columns: list[str]) -> np.ndarray:
        """→ where these columns stand in `windows.flat`."""
        return np.array([self._place[column] for column in columns], dtype=int)

    def users(self, rows: np.ndarray) -> np.ndarray:
        """The user of each row, as an integer."""
        return self.windows.index["user"].to_numpy()[rows]

    def labels(self, columns: list[str]) -> pd.DataFrame:
        """FLAT_COLUMNS of these columns, in this order."""
        return self.flat_columns.set_index("column").loc[columns].reset_index()


def blocks(rows: np.ndarray) -> list[np.ndarray]:
    """Rows in blocks that fit in memory; one, if empty, where there are none."""
    return [rows[start : start + BLOCK] for start in range(0, max(len(rows), 1), BLOCK)]
