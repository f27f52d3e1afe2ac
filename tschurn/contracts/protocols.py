"""What stages may ask of each other's objects: windows, whole lives, and who is told how far a long step is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd

    from tschurn.config import WindowShape


class Lives(Protocol):
    """All days of all users, in the order of the panel: what models that read whole lives may ask."""

    active: np.ndarray  # [users × days] bool: own acts that count as activity
    stickers: np.ndarray  # [users × days] float32, rows
    first: np.ndarray  # [users], the first day on which each acts
    shape: WindowShape
    first_weekday: int  # of day 0; 0 is Monday
    of_staying: frozenset[str]  # targets that are learned from, and measured on, only where the user stays

    def outcome(self, target: str, users: np.ndarray) -> np.ndarray:
        """→ [n × days] int8: what follows each day, as after an anchor: 0 or 1, -1 where it does not count."""


class Windows(Protocol):
    """Windows as views: what models and explanations may ask of features.windows.WindowSet.

    `rows` are positions in `index`; nothing is materialised for windows nobody asks for.
    """

    index: pd.DataFrame  # WINDOWS
    features: pd.DataFrame  # FEATURES
    lives: Lives

    def days(self, users: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Users [n] and days [n × d] → [n × d × daily features] float32."""

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × observe_days × daily features] float32, oldest day first."""

    def history(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × history features] float32; n × 0 with `history = "none"`."""

    def flat(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × (observe_days · daily + history features)] float32, columns as in `flat_columns`."""

    def flat_columns(self) -> pd.DataFrame:
        """→ FLAT_COLUMNS."""


@runtime_checkable
class SharedDays(Windows, Protocol):
    """Windows that have many days in common: whoever computes day by day may compute each of them once."""

    def distinct_days(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """→ the days that occur [u × daily features], and which of them each window has [n × observe_days]."""

    def pasts(self, rows: np.ndarray) -> np.ndarray:
        """→ [n] int: the same for windows that have all days before the observation in common."""


class Groups(Protocol):
    """Groups of features."""

    table: pd.DataFrame  # group, label_en, label_ko
    of_feature: np.ndarray  # of each daily feature the position of its group


class Mixable(Windows, Protocol):
    """Windows whose lives can be mixed with those of others: explanations ask what would have been."""

    observe_days: int

    def groups(self, order: Sequence[str] = (), most: int = 12) -> Groups:
        """→ at most `most` groups of features; the events of the features in `order` first on their own."""

    def mixed(self, groups: Groups, rows: np.ndarray, others: np.ndarray, own: np.ndarray) -> SharedDays:
        """→ the windows `rows` [n] as they would be with cells of the windows `others` [n] (-1: a life in which nothing
        has happened); own [n × (1 + observe_days)]: bits of the groups that stay the user's own before the observation,
        and on each of its days."""


class Progress(Protocol):
    """How a long step tells how far it is. The command line draws it; libraries never print."""

    def __call__(self, stage: str, done: float, total: float, note: str = "") -> None: ...


def silent(stage: str, done: float, total: float, note: str = "") -> None:
    """A Progress that says nothing."""
