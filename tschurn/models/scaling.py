"""training windows → how each input is scaled; learned once, then frozen.

The four scalings of the founding project's experiment: none, standard, minmax, log1p_standard; and piecewise,
which is the last one, and for what moves slowly (history, time since the first act) tells besides in which of
its quantiles a value lies, so that a network can treat them one by one as a tree does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tschurn.contracts import Windows
from tschurn.models.stored import finite

SCALINGS = ("none", "standard", "minmax", "log1p_standard", "piecewise")
QUANTILES = 48  # of a column, for its piecewise encoding
_BLOCK = 8192
_MOST_COLUMNS = 65_536
_QUANTILES_FROM = 50_000  # windows at most, evenly taken
_ROWS_IN_CACHE = 256
_FARTHEST = 50.0  # a scaled value: what is farther out is a mistake in the log or an infinity


@dataclass(frozen=True)
class Scaling:
    """(signed log1p if `log`) → (x − shift) / scale, column by column.

    A constant column becomes 0, and so does what is not a number: as if it were the mean.
    """

    log: bool
    shift: np.ndarray
    scale: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        values = signed_log1p(values) if self.log else values
        scaled = ((values - self.shift) / self.scale).astype(np.float32)
        far = np.inf if self.plain else _FARTHEST
        return np.clip(np.nan_to_num(scaled, nan=0.0, posinf=_FARTHEST, neginf=-_FARTHEST), -far, far)

    @property
    def plain(self) -> bool:
        """Whether values stay as they are."""
        return not self.log and not self.shift.any() and bool((self.scale == 1).all())

    @property
    def columns(self) -> int:
        return len(self.shift)

    def to_dict(self) -> dict[str, Any]:
        """→ plain values, for model.json."""
        return {"log": self.log, "shift": self.shift.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Scaling:
        """The inverse of `to_dict`. Raises ValueError, KeyError or TypeError."""
        found = cls(bool(values["log"]), finite(values["shift"]), finite(values["scale"]))
        if found.shift.shape != found.scale.shape or (found.scale <= 0).any():
            raise ValueError("a scaling whose shifts and scales do not fit together")
        return found


@dataclass(frozen=True)
class Piecewise:
    """Columns → for each quantile of a column how much of it the value fills, −0.5 (nothing) to 0.5 (all of it).

    Piecewise linear encoding (Gorishniy, Rubachev and Babenko 2022). column, low, high: of each quantile, in order.
    """

    column: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        found = np.empty((*values.shape[:-1], self.columns), dtype=np.float32)
        self.into(found, values)
        return found

    def into(self, found: np.ndarray, values: np.ndarray) -> None:
        """The same, written where it is needed: a few rows at a time, so that they stay in the processor's cache."""
        values = values.astype(np.float32)
        for start in range(0, len(values), _ROWS_IN_CACHE):
            block = slice(start, start + _ROWS_IN_CACHE)
            filled = values[block][..., self.column]
            filled -= self.low
            filled *= self._per_unit
            np.clip(filled, 0, 1, out=filled)
            filled -= 0.5
            np.nan_to_num(filled, copy=False, nan=0.0)
            found[block] = filled

    @cached_property
    def _per_unit(self) -> np.ndarray:
        return (1 / (self.high - self.low)).astype(np.float32)

    @property
    def columns(self) -> int:
        return len(self.column)

    def to_dict(self) -> dict[str, Any]:
        """→ plain values, for model.json."""
        return {"column": self.column.tolist(), "low": self.low.tolist(), "high": self.high.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Piecewise:
        """The inverse of `to_dict`. Raises ValueError, KeyError or TypeError."""
        column, low, high = (finite(values[name]) for name in ("column", "low", "high"))
        if not len(column) == len(low) == len(high) or not np.isin(column, np.arange(_MOST_COLUMNS)).all():
            raise ValueError("quantiles that do not fit together")
        found = cls(column.astype(np.int64), low.astype(np.float32), high.astype(np.float32))
        if not (found.high > found.low).all():
            raise ValueError("quantiles that do not rise")
        return found


def fit_piecewise(values: np.ndarray) -> Piecewise:
    """Training values [n × columns] → their quantiles; a constant column has none."""
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for k, column in enumerate(values.T.astype(np.float64)):
        known = column[np.isfinite(column)]
        edges = np.quantile(known, np.linspace(0, 1, QUANTILES + 1)) if len(known) else np.zeros(0)
        edges = np.unique(edges.astype(np.float32))
        parts.append((np.full(max(0, len(edges) - 1), k), edges[:-1], edges[1:]))
    return Piecewise(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def signed_log1p(values: np.ndarray) -> np.ndarray:
    """sign(x) · log(1 + |x|): tames counts and amounts, keeps refunds and falling trends negative."""
    return np.sign(values) * np.log1p(np.abs(values))


def fit_scaling(kind: str, blocks: Iterator[np.ndarray], columns: int) -> Scaling:
    """Blocks of values [... × columns] → Scaling of this kind, in one pass."""
    if kind == "none" or columns == 0:
        return Scaling(False, np.zeros(columns), np.ones(columns))
    log = kind in ("log1p_standard", "piecewise")
    low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
    total, squares, n = np.zeros(columns), np.zeros(columns), np.zeros(columns, np.int64)
    for block in blocks:
        flat = block.reshape(-1, columns).astype(np.float64)
        flat = signed_log1p(flat) if log else flat
        known = np.isfinite(flat)
        low = np.minimum(low, np.where(known, flat, np.inf).min(axis=0))
        high = np.maximum(high, np.where(known, flat, -np.inf).max(axis=0))
        flat = np.where(known, flat, 0.0)
        total += flat.sum(axis=0)
        squares += (flat**2).sum(axis=0)
        n += known.sum(axis=0)
    if kind == "minmax":
        return Scaling(False, np.where(n > 0, low, 0.0), np.where(high > low, high - low, 1.0))
    mean = total / np.maximum(n, 1)
    deviation = np.sqrt(np.maximum(squares / np.maximum(n, 1) - mean**2, 0))
    return Scaling(log, mean, np.where(deviation > 1e-6 * np.maximum(1, np.abs(mean)), deviation, 1.0))


def window_scalings(kind: str, windows: Windows, rows: np.ndarray) -> tuple[Scaling, Scaling]:
    """→ the scalings of the daily window and of history, learned on the windows `rows`."""
    blocks = np.array_split(rows, max(1, -(-len(rows) // _BLOCK)))
    one = rows[:1]
    daily = fit_scaling(kind, (windows.batch(b) for b in blocks), windows.batch(one).shape[2])
    history = fit_scaling(kind, (windows.history(b) for b in blocks), windows.history(one).shape[1])
    return daily, history


def fit_history_quantiles(windows: Windows, rows: np.ndarray) -> Piecewise:
    """→ the piecewise encoding of history, learned on the windows `rows`."""
    return fit_piecewise(windows.history(rows[:: max(1, len(rows) // _QUANTILES_FROM)]))
