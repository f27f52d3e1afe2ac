"""training windows → how each input is scaled; learned once, then frozen.

The four scalings of the founding project's experiment: none, standard, minmax, log1p_standard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tschurn.contracts import Windows

SCALINGS = ("none", "standard", "minmax", "log1p_standard")
_BLOCK = 8192


@dataclass(frozen=True)
class Scaling:
    """(signed log1p if `log`) → (x − shift) / scale, column by column; a constant column becomes 0."""

    log: bool
    shift: np.ndarray
    scale: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        values = signed_log1p(values) if self.log else values
        return ((values - self.shift) / self.scale).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """→ plain values, for model.json."""
        return {"log": self.log, "shift": self.shift.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Scaling:
        """The inverse of `to_dict`."""
        return cls(values["log"], np.array(values["shift"]), np.array(values["scale"]))


def signed_log1p(values: np.ndarray) -> np.ndarray:
    """sign(x) · log(1 + |x|): tames counts and amounts, keeps refunds and falling trends negative."""
    return np.sign(values) * np.log1p(np.abs(values))


def fit_scaling(kind: str, blocks: Iterator[np.ndarray], columns: int) -> Scaling:
    """Blocks of values [... × columns] → Scaling of this kind, in one pass."""
    if kind == "none" or columns == 0:
        return Scaling(False, np.zeros(columns), np.ones(columns))
    log = kind == "log1p_standard"
    low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
    total, squares, n = np.zeros(columns), np.zeros(columns), 0
    for block in blocks:
        flat = block.reshape(-1, columns).astype(np.float64)
        flat = signed_log1p(flat) if log else flat
        low, high = np.minimum(low, flat.min(axis=0)), np.maximum(high, flat.max(axis=0))
        total += flat.sum(axis=0)
        squares += (flat**2).sum(axis=0)
        n += len(flat)
    if kind == "minmax":
        return Scaling(False, low, np.where(high > low, high - low, 1.0))
    mean = total / n
    deviation = np.sqrt(np.maximum(squares / n - mean**2, 0))
    return Scaling(log, mean, np.where(deviation > 1e-6 * np.maximum(1, np.abs(mean)), deviation, 1.0))


def window_scalings(kind: str, windows: Windows, rows: np.ndarray) -> tuple[Scaling, Scaling]:
    """→ the scalings of the daily window and of history, learned on the windows `rows`."""
    blocks = np.array_split(rows, max(1, -(-len(rows) // _BLOCK)))
    one = rows[:1]
    daily = fit_scaling(kind, (windows.batch(b) for b in blocks), windows.batch(one).shape[2])
    history = fit_scaling(kind, (windows.history(b) for b in blocks), windows.history(one).shape[1])
    return daily, history
