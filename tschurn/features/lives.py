"""Activity → Lives: what every day of a user's life was, and what came after it, for models that read whole lives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tschurn.config import WindowShape
from tschurn.features import labels

UNKNOWN = -1  # of an outcome: the day is not eligible, or its outcome is not over


@dataclass(frozen=True)
class Lives:
    """All days of all users (the Lives protocol of contracts), in the order of the panel's users and days.

    active: [users × days] bool, own acts that count. stickers: [users × days] float32, rows. of_staying: targets of
    which only the outcomes of those who stay count.
    """

    active: np.ndarray
    stickers: np.ndarray
    shape: WindowShape
    first_weekday: int  # of day 0; 0 is Monday
    of_staying: frozenset[str] = frozenset()

    @cached_property
    def first(self) -> np.ndarray:
        """The first day on which each user acts [users]; 0 for who never does."""
        return self.active.argmax(axis=1)

    def outcome(self, target: str, users: np.ndarray) -> np.ndarray:
        """→ [n × days] int8: whether it happens after each day as after an anchor, 0 or 1; UNKNOWN elsewhere."""
        active = self.active[users]
        days = np.arange(active.shape[1])
        stays = labels.happens(active, days, self.shape)
        happened = ~stays if target == "churn" else labels.happens(self.stickers[users], days, self.shape)
        closed = days + self.shape.outcome_days < active.shape[1]
        whole = days >= self.shape.observe_days - 1
        known = labels.eligible(active, days, self.shape) & closed & whole
        if target in self.of_staying:
            known &= stays
        return np.where(known, happened, UNKNOWN).astype(np.int8)
