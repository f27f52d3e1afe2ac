"""FEATURES of a finished run + EVENT_LOG and DAILY of some users → their windows at given anchors.

The same steps as of a run (build.py), for as many users at a time as fit into memory, and at few anchors. Nothing is
learned anew: what a run learned from its training days stays as it was, which events have features of their own, which
texts of facts have a column, whether hours are known. Nothing of a user depends on who else is in the part.
"""

from __future__ import annotations

from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from tschurn import features as stage
from tschurn.config import Experiment
from tschurn.errors import LogError, ModelError
from tschurn.features import daily as d
from tschurn.features import facts, index, labels, supporters
from tschurn.features import history as h
from tschurn.features.build import settings_of
from tschurn.features.money import money
from tschurn.features.panel import DailyBlocks, people_events, user_blocks
from tschurn.features.people import with_people
from tschurn.features.windows import WindowSet

PART_BYTES = 256 << 20  # of the panel of a part
MOST_USERS = 50_000  # of a part, whatever the length of the log
_OF_SUPPORTERS = "supporters_"  # how the measures of their daily columns begin


@dataclass(frozen=True)
class Span:
    """The days of a log, and the anchors at which windows are wanted (positions, in order; the newest is the last)."""

    first: pd.Timestamp
    days: int
    anchors: np.ndarray
    only_days: bool  # whether the log has days and no times


@dataclass(frozen=True)
class Part:
    """What is known of some users: their windows at the anchors, MONEY row by row, and who has none at the newest."""

    windows: WindowSet
    money: pd.DataFrame
    unscored: pd.DataFrame


class Frozen:
    """The features of a finished run, to be computed again for other users or later days."""

    def __init__(self, features: pd.DataFrame, experiment: Experiment) -> None:
        self.features, self.experiment = features, experiment
        self.settings = settings_of(experiment)
        daily = features[features["kind"] == "daily"]
        self.daily = daily.reset_index(drop=True)
        self.own = daily[~daily["measure"].str.startswith(_OF_SUPPORTERS)].reset_index(drop=True)
        past = features[features["kind"] == "history"]
        self.facts = past[past["measure"] == "fact"].reset_index(drop=True)
        self.has_history = bool(len(past))
        self.has_sticker = experiment.targets.sticker is not None
        self.has_hours = bool((past["feature"] == "history:first_hour").any())
        self._refuse_another_version(past["feature"].tolist())

    def _refuse_another_version(self, past: list[str]) -> None:
        """Raise ModelError where this code would compute other features than the run has."""
        would = []
        if self.has_history:
            known = h.history_features(self.daily, self.has_sticker, self.has_hours)
            levels = supporters.level_columns(self.settings)
            would = [*known["feature"], *levels["feature"], *self.facts["feature"]]
        of_supporters = supporters.daily_columns(self.settings)["feature"].tolist()
        if would != past or [*self.own["feature"], *of_supporters] != self.daily["feature"].tolist():
            raise ModelError(
                "the run has other features than this version of tschurn computes; run the experiment again"
            )

    def refuse(self, span: Span, facts_known: pd.DataFrame) -> None:
        """Raise LogError where a log lacks what the run's features are made of."""
        if self.has_hours and span.only_days:
            raise LogError(
                "the log has days without times, and the run has learned from hours of the day; give a log with times, "
                "or run the experiment again on this one"
            )
        missing = facts.missing(facts_known, self.facts)
        if missing:
            raise LogError(
                f"the run has learned from the fact `{missing[0]}`, which is not known of anybody here; give [log] "
                "facts as the run had them, or run the experiment again"
            )
        observe = self.experiment.windows.observe_days
        if span.anchors[0] < observe - 1:
            anchor, day = span.first + pd.Timedelta(days=int(span.anchors[0])), pd.Timedelta(days=1)
            raise LogError(
                f"the log begins on {span.first.date()}, too late to observe {observe} days up to {anchor.date()}; "
                f"give a log that reaches back to {(anchor - (observe - 1) * day).date()} or further"
            )

    def users_at_a_time(self, days: int) -> int:
        """How many users fit into a part of a log of so many days."""
        return int(np.clip(PART_BYTES // (4 * max(1, days * len(self.daily))), 1, MOST_USERS))

    def part(self, event_log: ir.Table, acts: ir.Table, facts_known: pd.DataFrame, span: Span) -> Part:
        """EVENT_LOG and DAILY of some users, and FACTS → Part. Of the log only days up to the span's last one."""
        user_days = d.user_days(acts, self.experiment.targets).to_pyarrow().to_pandas(date_as_object=False)
        users = pd.Index(user_days["user_id"].unique())
        user_days = with_people(user_days, users, event_log, [(None, None)], people_events(self.own))
        done = labels.activity(user_days, users, span.first, span.days)
        windows = index.labelled(done, users, span.first, span.anchors, self.experiment).assign(split="open")
        panel, levels = self._panel(event_log, acts, user_days, users, span)
        known = facts.encode_as(facts_known, users, self.facts)
        shape = self.experiment.windows
        arrays = {
            "panel": panel, "levels": levels, "active": done.active, "stickers": done.stickers,
            "sticker_value": done.sticker_value, "first_hour": done.first_hour, "last_hour": done.last_hour,
            "history": self._history(panel, levels, done, windows, known, span),
        }  # fmt: skip
        weekday = span.first.day_of_week
        return Part(
            stage.open_windows(windows, self.features, arrays, self.experiment, weekday),
            money(done, windows, shape, self.has_sticker),
            index.unscored(windows, done, users, span.first, shape.observe_days, int(span.anchors[-1])),
        )

    def _panel(
        self, event_log: ir.Table, acts: ir.Table, user_days: pd.DataFrame, users: pd.Index, span: Span
    ) -> tuple[np.ndarray, np.ndarray]:
        """→ the daily panel [users × days × features], and levels of supporters [users × days × columns]."""
        source = DailyBlocks(acts, user_days, self.own, users, span.first, span.days)
        panel = source.block(slice(0, len(users)))
        if not self.settings.counts:
            return panel, np.zeros((*panel.shape[:2], 0), dtype=np.float32)
        dense = supporters.compute(event_log, self.settings, users, span.first.date(), span.days)
        return np.concatenate([panel, dense.daily], axis=2), dense.levels

    def _history(
        self, panel: np.ndarray, levels: np.ndarray, done: labels.Activity, windows: pd.DataFrame, known: np.ndarray,
        span: Span,
    ) -> np.ndarray:  # fmt: skip
        """→ [windows × history features] float32, block of users by block."""
        user, anchor = windows["user"].to_numpy(), windows["anchor"].to_numpy()
        columns = (self.features["kind"] == "history").sum()
        result = np.empty((len(windows), columns), dtype=np.float32)
        for block in user_blocks(*panel.shape) if self.has_history else []:
            measured = h.at_anchors(
                panel[block], done.of(block), span.anchors, span.first.day_of_week, self.has_sticker, self.has_hours
            )
            mine = (user >= block.start) & (user < block.stop)
            for a, values in zip(span.anchors, measured, strict=True):
                here = np.flatnonzero(mine & (anchor == a))
                at = user[here]
                result[here] = np.concatenate([values[at - block.start], levels[at, a], known[at]], axis=1)
        return result
