"""USER_DAYS → what each user did each day, and from it eligible, churned and sticker at any anchor."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from tschurn.config import WindowShape


@dataclass(frozen=True)
class Activity:
    """Per user and day, [users × days] each: own acts that count, stickers and their value, hours of own acts."""

    active: np.ndarray  # bool
    own: np.ndarray  # float32, rows of own events
    received: np.ndarray  # float32, rows of received events
    stickers: np.ndarray  # float32, rows
    sticker_value: np.ndarray  # float32
    first_hour: np.ndarray  # int8, -1 on days without an own event
    last_hour: np.ndarray  # int8

    def of(self, users: slice) -> Activity:
        """The same of some users."""
        return Activity(*(getattr(self, f.name)[users] for f in fields(self)))


def activity(table: pd.DataFrame, users: pd.Index, first: pd.Timestamp, days: int) -> Activity:
    """USER_DAYS → Activity."""
    user = users.get_indexer(table["user_id"])
    day = (pd.to_datetime(table["day"]) - first).dt.days.to_numpy()

    def grid(column: str, type_: type, empty: float = 0) -> np.ndarray:
        matrix = np.full((len(users), days), empty, dtype=type_)
        matrix[user, day] = table[column].fillna(empty).to_numpy(type_)
        return matrix

    return Activity(
        active=grid("active", np.bool_),
        own=grid("own", np.float32),
        received=grid("received", np.float32),
        stickers=grid("stickers", np.float32),
        sticker_value=grid("sticker_value", np.float32),
        first_hour=grid("first_hour", np.int8, -1),
        last_hour=grid("last_hour", np.int8, -1),
    )


def eligible(active: np.ndarray, anchors: np.ndarray, shape: WindowShape) -> np.ndarray:
    """[users × anchors]: at least one own act in the observation."""
    return _within(active, anchors - shape.observe_days, anchors)


def happens(events: np.ndarray, anchors: np.ndarray, shape: WindowShape) -> np.ndarray:
    """[users × anchors]: at least one such event in the outcome; only meaningful for closed windows."""
    return _within(events > 0, anchors, anchors + shape.outcome_days)


def touches(days: np.ndarray, anchors: np.ndarray, shape: WindowShape) -> np.ndarray:
    """[rows × anchors]: at least one such day in the observation or the outcome."""
    return _within(days, anchors - shape.observe_days, anchors + shape.outcome_days)


def _within(events: np.ndarray, after: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Whether anything happens on the days after `after` up to and including `until`."""
    days = events.shape[1]
    so_far = np.zeros((events.shape[0], days + 1), dtype=np.int32)
    np.cumsum(events, axis=1, out=so_far[:, 1:])
    upper = np.clip(until + 1, 0, days)
    lower = np.clip(after + 1, 0, days)
    return so_far[:, upper] > so_far[:, lower]
