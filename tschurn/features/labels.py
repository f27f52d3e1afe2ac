"""EVENT_LOG → what each user did each day, and from it eligible, churned and sticker at any anchor."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from tschurn.config import Targets, WindowShape


@dataclass(frozen=True)
class Activity:
    """Per user and day, [users × days] each: own acts that count, stickers, and the stickers' value."""

    active: np.ndarray  # bool
    own: np.ndarray  # float32, rows of own events
    received: np.ndarray  # float32, rows of received events
    stickers: np.ndarray  # float32, rows
    sticker_value: np.ndarray  # float32


def activity(event_log: ir.Table, targets: Targets, users: pd.Index, first: pd.Timestamp, days: int) -> Activity:
    """EVENT_LOG → Activity; one group-by in the engine."""
    own = event_log.user_id == event_log.actor_id
    counts = own & event_log.event_name.isin(targets.churn.events) if targets.churn.events else own
    if targets.sticker:
        side = own if targets.sticker.side == "own" else ~own
        sticker = side & event_log.event_name.isin(targets.sticker.events)
    else:
        sticker = own & ibis.literal(False)  # a column, all false
    table = (
        event_log.group_by("user_id", "day")
        .agg(
            active=counts.any(),
            own=own.sum(),
            received=(~own).sum(),
            stickers=sticker.sum(),
            sticker_value=ibis.ifelse(sticker, event_log.value, 0.0).sum(),
        )
        .execute()
    )
    user = users.get_indexer(table["user_id"])
    day = (pd.to_datetime(table["day"]) - first).dt.days.to_numpy()

    def grid(column: str, type_: type) -> np.ndarray:
        matrix = np.zeros((len(users), days), dtype=type_)
        matrix[user, day] = table[column].to_numpy(type_)
        return matrix

    return Activity(
        active=grid("active", np.bool_),
        own=grid("own", np.float32),
        received=grid("received", np.float32),
        stickers=grid("stickers", np.float32),
        sticker_value=grid("sticker_value", np.float32),
    )


def eligible(active: np.ndarray, anchors: np.ndarray, shape: WindowShape) -> np.ndarray:
    """[users × anchors]: at least one own act in the observation."""
    return _within(active, anchors - shape.observe_days, anchors)


def happens(events: np.ndarray, anchors: np.ndarray, shape: WindowShape) -> np.ndarray:
    """[users × anchors]: at least one such event in the outcome; only meaningful for closed windows."""
    return _within(events > 0, anchors, anchors + shape.outcome_days)


def _within(events: np.ndarray, after: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Whether anything happens on the days after `after` up to and including `until`."""
    days = events.shape[1]
    so_far = np.zeros((events.shape[0], days + 1), dtype=np.int32)
    np.cumsum(events, axis=1, out=so_far[:, 1:])
    upper = np.clip(until + 1, 0, days)
    lower = np.clip(after + 1, 0, days)
    return so_far[:, upper] > so_far[:, lower]
