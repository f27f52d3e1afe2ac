"""WINDOWS and a target → the positions of its windows, split by split, and their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tschurn.contracts import LABELS, Windows


@dataclass
class Blocks:
    """Positions of a target's windows by split, and all labels (0 for open windows).

    Of a target that is given that the user stays, the others' windows are in `closed` and `test_period` alone.
    """

    train: np.ndarray
    validation: np.ndarray
    calibration: np.ndarray
    test: np.ndarray
    closed: np.ndarray
    learnable: np.ndarray  # closed, and not excluded
    test_period: np.ndarray  # all windows of test, whoever stays
    y: np.ndarray

    @classmethod
    def of(cls, windows: Windows, target: str) -> Blocks:
        """WINDOWS → its blocks for this target."""
        index = windows.index
        of_staying = target in windows.lives.of_staying
        counts = (index[LABELS["churn"]].fillna(0) == 0).to_numpy() if of_staying else np.ones(len(index), dtype=bool)
        splits = ("train", "validation", "calibration", "test")
        places = {s: np.flatnonzero((index["split"] == s) & counts) for s in splits}
        y = index[LABELS[target]].fillna(0).to_numpy(np.float64)
        learnable = np.flatnonzero(index["closed"] & (index["split"] != "excluded") & counts)
        test_period = np.flatnonzero(index["split"] == "test")
        return cls(**places, closed=np.flatnonzero(index["closed"]), learnable=learnable, test_period=test_period, y=y)

    def pair(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions → (positions, labels)."""
        return rows, self.y[rows]
