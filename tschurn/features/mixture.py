"""windows, and which cells of their lives are another's → the windows that would have been, every input computed anew.

What a model would say had some days, or some kinds of acts, been another's: explanations ask this many times over.
A life is cut into cells, one for all that came before the observation and one for each observed day, each by groups
of features. Counts, sums, recency, rhythm and what else is derived is computed from the mixed days, so that no input
arises that no log could hold. What is known of single supporters (who is new, who is the top one) is not in the
panel: it is taken from day to day as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from tschurn.features.daily import OTHER
from tschurn.features.groups import SOME_PEOPLE, Groups, Record
from tschurn.features.history import EVENT_LOOKBACK, LOOKBACKS, WEEKS, rhythm

if TYPE_CHECKING:
    from tschurn.config import WindowShape
    from tschurn.features.windows import WindowSet

TOP_RECENCY = "top_recency"  # of the supporters' levels the one that is no share
_NEVER = 1 << 20  # days ago
_WEEK = 7
_VALUE_DAYS = 56  # over which the value of stickers is summed


@dataclass(frozen=True)
class _Day:
    """Days, any number of them.

    acts, own: bits of the groups with an act that counts as activity, and with any own act. steps: by how much the
    supporters' shares changed on that day; came: whether the top supporter did.
    """

    values: np.ndarray  # [days × daily features]
    acts: np.ndarray
    own: np.ndarray
    hours: np.ndarray  # [days × 2], -1: none
    stickers: np.ndarray
    sticker_value: np.ndarray
    steps: np.ndarray  # [days × levels]
    came: np.ndarray

    @classmethod
    def mixed(cls, one: _Day, other: _Day, bits: np.ndarray, groups: Groups) -> _Day:
        """Days of two lives, and of each the groups (bits) that are the former's → the mixture."""
        of = _Taken(bits, groups)
        return cls(
            of.each(one.values, other.values, groups.of_feature), of.acts(one.acts, other.acts),
            of.acts(one.own, other.own), of.hours(one.own, one.hours, other.own, other.hours),
            *(of.all(getattr(one, f), getattr(other, f), groups.stickers) for f in ("stickers", "sticker_value")),
            *(of.all(getattr(one, f), getattr(other, f), groups.supporters) for f in ("steps", "came")),
        )  # fmt: skip


@dataclass(frozen=True)
class _Past:
    """All that came before the observations of u windows, days by how long ago, the nearest first."""

    acts: np.ndarray  # [u × days]
    own: np.ndarray  # [u × days of the hours' lookback]
    hours: np.ndarray  # the same × 2
    stickers: np.ndarray  # [u × days]
    sticker_value: np.ndarray  # [u], over 56 days
    sums: np.ndarray  # [u × daily features], over the sums' lookback
    counts: np.ndarray  # [u × lookback × side × group]: own and received acts
    people: np.ndarray  # [u × days of the sums' lookback × features that count people]
    received: np.ndarray  # [u × the same days × group]: received acts
    levels: np.ndarray  # [u × levels], at the end
    facts: np.ndarray

    @classmethod
    def mixed(cls, one: _Past, other: _Past, bits: np.ndarray, groups: Groups) -> _Past:
        """As `_Day.mixed`."""
        of = _Taken(bits, groups)
        every = np.arange(len(groups))
        return cls(
            of.acts(one.acts, other.acts), of.acts(one.own, other.own),
            of.hours(one.own, one.hours, other.own, other.hours),
            *(of.all(getattr(one, f), getattr(other, f), groups.stickers) for f in ("stickers", "sticker_value")),
            of.each(one.sums, other.sums, groups.of_feature), of.each(one.counts, other.counts, every),
            of.each(one.people, other.people, groups.of_people), of.each(one.received, other.received, every),
            of.all(one.levels, other.levels, groups.supporters), of.all(one.facts, other.facts, groups.facts),
        )  # fmt: skip


@dataclass(frozen=True)
class _Taken:
    """Of two arrays that begin alike [u × ...] what each life gives; bits [u]: the groups that the first one gives."""

    bits: np.ndarray
    groups: Groups

    def each(self, one: np.ndarray, other: np.ndarray, group: np.ndarray) -> np.ndarray:
        """The last axis is of these groups."""
        mine = self._along(one)[..., None] >> group & 1 == 1
        return np.where(mine.reshape(len(one), *[1] * (one.ndim - 2), len(group)), one, other)

    def all(self, one: np.ndarray, other: np.ndarray, group: int | None) -> np.ndarray:
        """All of it is of one group; without a group it stays the first one's."""
        if group is None:
            return one
        mine = (self.bits >> group & 1 == 1).reshape(-1, *[1] * (one.ndim - 1))
        return np.where(mine, one, other)

    def acts(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Bits of groups."""
        bits = self._along(one)
        return (one & bits) | (other & ~bits)

    def hours(self, own: np.ndarray, one: np.ndarray, others_own: np.ndarray, other: np.ndarray) -> np.ndarray:
        """First and last hour [u × ... × 2] of days with these own acts."""
        bits = self._along(own)
        mine, theirs = (own & bits) != 0, (others_own & ~bits) != 0
        found = np.where(mine[..., None], one, np.where(theirs[..., None], other, -1)).astype(np.int8)
        both = mine & theirs & (one[..., 0] >= 0) & (other[..., 0] >= 0)
        found[both, 0] = np.minimum(one[both, 0], other[both, 0])
        found[both, 1] = np.maximum(one[both, 1], other[both, 1])
        return found

    def _along(self, like: np.ndarray) -> np.ndarray:
        return self.bits.reshape(-1, *[1] * (min(like.ndim, 2) - 1)) if like.ndim < 3 else self.bits


class Mixed:
    """Windows of mixed lives (the Windows protocol of contracts), n of them; their users are 0 to n - 1.

    Window i is that of `rows[i]`, with the anchor and the calendar of that user; of each of its cells, own[i]
    [1 + observe_days], the groups whose bit is not set are those of the window `others[i]`, or empty where that is -1.
    The first cell is all that came before the observation, facts included, then its days, the oldest first.
    """

    def __init__(
        self, windows: WindowSet, groups: Groups, rows: np.ndarray, others: np.ndarray, own: np.ndarray
    ) -> None:
        if windows.record is None:
            raise ValueError("these windows have no record of days to mix")
        self.features = windows.features
        self.windows = windows
        self._groups, self._cells = groups, _Cells(windows, groups)
        # of another's life, as much as this user's log goes back: no more can have been seen by then
        own_anchor = windows.index["anchor"].to_numpy(np.int64)[rows]
        lives, place = np.unique(
            np.stack([np.concatenate([rows, others]), np.tile(own_anchor, 2)]), axis=1, return_inverse=True
        )
        one, other = place.ravel()[: len(rows)], place.ravel()[len(rows) :]
        lives, until = lives
        self._users, self._anchors = (windows.index[c].to_numpy(np.int64)[lives] for c in ("user", "anchor"))
        days, pasts = self._cells.of(lives, until)
        for nobody in np.flatnonzero(lives < 0):
            _empty(days, slice(nobody * windows.observe_days, (nobody + 1) * windows.observe_days))
            _empty(pasts, slice(nobody, nobody + 1))
        pair, self._pair = np.unique(one * len(lives) + other, return_inverse=True)
        self._one, self._other = pair // len(lives), pair % len(lives)

        bits = np.bitwise_and(own, (1 << len(groups)) - 1)
        self._of_past, (p, self._past_bits) = _distinct(self._pair, bits[:, 0], len(groups))
        mine, theirs = (_at(pasts, lives_[p]) for lives_ in (self._one, self._other))
        self._past = _Past.mixed(mine, theirs, self._past_bits, groups)
        self._cells.make_plausible_past(self._past)
        observed = windows.observe_days
        day = np.arange(observed)
        self._of_day, (pd_, taken) = _distinct(self._pair[:, None] * observed + day, bits[:, 1:], len(groups))
        p, d = pd_ // observed, pd_ % observed
        self._day = _Day.mixed(
            *(_at(days, lives_[p] * observed + d) for lives_ in (self._one, self._other)), taken, groups
        )
        self._cells.make_plausible(self._day.values)
        anchor = self._anchors[self._one[self._pair]]
        self.index = pd.DataFrame({"user": np.arange(len(rows)), "anchor": anchor})
        self._history, first = self._derive(self._past, anchor)
        self.lives = _MixedLives(self, first)

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × observe_days × daily features] float32, oldest day first."""
        return self._day.values[self._of_day[rows]]

    def distinct_days(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """→ the days that occur [u × daily features], and which of them each window has [n × observe_days]."""
        used, place = np.unique(self._of_day[rows], return_inverse=True)
        return self._day.values[used], place.reshape(len(rows), -1)

    def pasts(self, rows: np.ndarray) -> np.ndarray:
        """→ [n] int: the same for windows that have all days before the observation in common."""
        return self._of_past[rows]

    def history(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × history features] float32."""
        return self._history[rows]

    def flat(self, rows: np.ndarray) -> np.ndarray:
        """→ [n × (observe_days · daily + history features)] float32."""
        days = self.batch(rows)
        return np.concatenate([days.reshape(len(rows), -1), self._history[rows]], axis=1)

    def flat_columns(self) -> pd.DataFrame:
        """→ FLAT_COLUMNS."""
        return self.windows.flat_columns()

    def days(self, users: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Users [n] and days [n × d] → [n × d × daily features] float32; the days after the anchor hold nothing."""
        ago = self.index["anchor"].to_numpy()[users][:, None] - days
        observed = self._of_day.shape[1]
        pair, bits = self._pair[users], self._past_bits[self._of_past[users]]
        before = (self._day_before(lives[pair], ago) for lives in (self._one, self._other))
        found = _Taken(bits, self._groups).each(*before, self._groups.of_feature)
        self._cells.make_plausible(found)
        here = self._day.values[self._of_day[users[:, None], np.clip(observed - 1 - ago, 0, observed - 1)]]
        return np.where(((ago >= 0) & (ago < observed))[:, :, None], here, found)

    def _day_before(self, lives: np.ndarray, ago: np.ndarray) -> np.ndarray:
        day = self._anchors[lives][:, None] - ago
        values = self.windows.days(self._users[lives], np.clip(day, 0, self.windows.lives.active.shape[1] - 1))
        return np.where(((day >= 0) & (ago >= 0))[:, :, None], values, np.float32(0))

    def _derive(self, past: _Past, anchor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """→ history [n × features], and the day on which each life begins, as Lives.first."""
        cells, which, day = self._cells, self._of_past, self._day
        acted = (day.acts != 0)[self._of_day]
        begun = _Begun.of(past.acts != 0, acted.shape[1])
        any_here = acted.any(axis=1)
        here = np.where(any_here, acted.shape[1] - 1 - acted.argmax(axis=1), anchor)
        since = np.where(begun.days[which] > 0, begun.first[which], here)
        found = _Columns(len(anchor), cells.place)
        if cells.place:
            last = np.where(any_here, acted[:, ::-1].argmax(axis=1), np.minimum(begun.last[which], anchor + 1))
            tenure = np.where(any_here | (begun.days[which] > 0), since, 0)
            so_far = acted.sum(axis=1) + begun.days[which]
            found.activity(np.concatenate([acted[:, ::-1], begun.recent[which]], axis=1), last, tenure, so_far)
            found.put("history:weekday", (self.windows.lives.first_weekday + anchor) % _WEEK)
            self._counts(found, past)
            self._hours(found, past)
            if self.windows.record.sticker:
                self._stickers(found, past, so_far, anchor)
            self._levels(found, past, anchor)
            found.values[:, cells.facts] = past.facts[which]
        return found.values, np.maximum(anchor - since, 0)

    def _counts(self, found: _Columns, past: _Past) -> None:
        """Own and received acts by lookback, and the sum of each daily feature."""
        cells, day, which = self._cells, self._day, self._of_past
        before = past.counts.sum(axis=3)
        for side, name in enumerate(("own", "received")):
            acts = day.values[:, cells.counts[side]].sum(axis=1, dtype=np.float64)[self._of_day]
            sums = acts @ cells.within + before[which, :, side]
            for k, n in enumerate(LOOKBACKS):
                found.put(f"history:{name}_acts:{n}", sums[:, k])
        recent = self._of_day[:, cells.within[:, LOOKBACKS.index(EVENT_LOOKBACK)] > 0]
        windows, days = recent.shape
        of_day = sparse.csr_array(  # each window's days, to be summed
            (np.ones(recent.size), recent.ravel(), np.arange(0, recent.size + 1, days)), (windows, len(day.values))
        )
        sums = of_day @ day.values[:, cells.summed].astype(np.float64)
        sums += past.sums[:, cells.summed][which]
        found.values[:, cells.sums] = sums

    def _hours(self, found: _Columns, past: _Past) -> None:
        """The mean hours over the days that have one."""
        if "history:first_hour" not in found.place:
            return
        recent = self._of_day[:, max(0, self._of_day.shape[1] - EVENT_LOOKBACK) :]
        for end, name in enumerate(("first", "last")):
            here, before = self._day.hours[:, end].astype(np.float64), past.hours[:, :, end].astype(np.float64)
            known = (here >= 0)[recent].sum(axis=1) + (before >= 0).sum(axis=1)[self._of_past]
            total = np.maximum(here, 0)[recent].sum(axis=1) + np.maximum(before, 0).sum(axis=1)[self._of_past]
            found.put(f"history:{name}_hour", np.where(known, total / np.maximum(known, 1), -1.0))

    def _stickers(self, found: _Columns, past: _Past, active: np.ndarray, anchor: np.ndarray) -> None:
        day, which, within = self._day, self._of_past, self._cells.within
        here, observed = day.stickers[self._of_day], self._of_day.shape[1]
        for k, n in enumerate(LOOKBACKS):
            before = past.stickers[:, : max(0, n - observed)].sum(axis=1, dtype=np.float64)
            found.put(f"history:stickers:{n}", here @ within[:, k] + before[which])
        value = day.sticker_value[self._of_day] @ within[:, LOOKBACKS.index(_VALUE_DAYS)]
        found.put(f"history:sticker_value:{_VALUE_DAYS}", value + past.sticker_value[which])
        had, had_before = here > 0, past.stickers > 0
        days = had.sum(axis=1) + had_before.sum(axis=1)[which]
        found.put("history:sticker_days", days)
        found.put("history:sticker_rate", days / np.maximum(active, 1))
        last = np.where(had_before.any(axis=1), observed + _first_true(had_before), _NEVER)
        ago = np.where(had.any(axis=1), had[:, ::-1].argmax(axis=1), np.minimum(last[which], anchor + 1))
        found.put("history:sticker_recency", ago)

    def _levels(self, found: _Columns, past: _Past, anchor: np.ndarray) -> None:
        """The supporters' levels: shares as they changed from day to day, the top one's recency by their days."""
        for k, name in enumerate(self._cells.levels):
            before = past.levels[:, k].astype(np.float64)[self._of_past]
            if name == TOP_RECENCY:
                came = self._day.came[self._of_day]
                since = np.minimum(before + came.shape[1], anchor + 1)
                level = np.where(came.any(axis=1), came[:, ::-1].argmax(axis=1), since)
            else:
                before = np.where(before < _NEVER, before, 0)
                level = np.clip(before + self._day.steps[:, k].astype(np.float64)[self._of_day].sum(axis=1), 0, 1)
            found.put(f"history:supporters:{name}", level)


@dataclass(frozen=True)
class _MixedLives:
    """Lives of the mixed windows (the Lives protocol of contracts), but for outcomes: nobody knows those."""

    mixed: Mixed
    first: np.ndarray

    @property
    def shape(self) -> WindowShape:
        return self.mixed.windows.lives.shape

    @property
    def first_weekday(self) -> int:
        return self.mixed.windows.lives.first_weekday

    @property
    def of_staying(self) -> frozenset[str]:
        return self.mixed.windows.lives.of_staying

    @cached_property
    def active(self) -> np.ndarray:
        return self._by_day(self.mixed._day.acts != 0, self.mixed._past.acts != 0)

    @cached_property
    def stickers(self) -> np.ndarray:
        return self._by_day(self.mixed._day.stickers, self.mixed._past.stickers)

    def outcome(self, target: str, users: np.ndarray) -> np.ndarray:
        """What follows a life that nobody has lived is not known."""
        raise NotImplementedError

    def _by_day(self, here: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Of the distinct days, and of the distinct pasts by how long ago → [n × days of the log]."""
        anchor = self.mixed.index["anchor"].to_numpy()
        ago = anchor[:, None] - np.arange(self.mixed.windows.lives.active.shape[1])
        together = np.concatenate([here[self.mixed._of_day][:, ::-1], before[self.mixed._of_past]], axis=1)
        known = (ago >= 0) & (ago < together.shape[1])
        found = np.take_along_axis(together, np.clip(ago, 0, together.shape[1] - 1), axis=1)
        return np.where(known, found, found.dtype.type(0))


@dataclass(frozen=True)
class _Begun:
    """When somebody acted before the observation, u of them: days before the anchor, _NEVER for none."""

    last: np.ndarray
    first: np.ndarray
    days: np.ndarray  # how many
    recent: np.ndarray  # [u × (56 - observe)], whether, the nearest first

    @classmethod
    def of(cls, acted: np.ndarray, observed: int) -> _Begun:
        """Activity [u × days before, the nearest first] → when it was."""
        days = acted.sum(axis=1)
        recent = np.zeros((len(acted), max(0, max(LOOKBACKS) - observed)), dtype=bool)
        width = min(recent.shape[1], acted.shape[1])
        recent[:, :width] = acted[:, :width]
        last, first = observed + _first_true(acted), observed + acted.shape[1] - 1 - _first_true(acted[:, ::-1])
        return cls(*(np.where(days > 0, when, _NEVER) for when in (last, first)), days, recent)


class _Columns:
    """History being filled in by name."""

    def __init__(self, n: int, place: dict[str, int]) -> None:
        self.values = np.zeros((n, len(place)), dtype=np.float32)
        self.place = place

    def put(self, name: str, values: np.ndarray) -> None:
        self.values[:, self.place[name]] = values

    def activity(self, acted: np.ndarray, recency: np.ndarray, tenure: np.ndarray, so_far: np.ndarray) -> None:
        """Whether there was activity, day by day backwards [n × 56 or more] → what history says of it."""
        weeks = -(-max(LOOKBACKS) // _WEEK)
        ago = np.arange(acted.shape[1])
        in_week = (ago[:, None] // _WEEK == np.arange(weeks)).astype(np.float32)
        by_week = acted.astype(np.float32) @ in_week
        so_long = by_week.cumsum(axis=1)
        self.put("history:recency", recency)
        self.put("history:tenure", tenure)
        for n in LOOKBACKS:
            self.put(f"history:active_days:{n}", so_long[:, n // _WEEK - 1])
        for k in range(1, WEEKS + 1):
            self.put(f"history:week:{k}", by_week[:, k - 1])
        last_14, last_28 = (so_long[:, n // _WEEK - 1].astype(np.float64) for n in (14, 28))
        for name, values in rhythm(recency, tenure, so_far, last_14, last_28).items():
            self.put(f"history:{name}", values)


class _Cells:
    """Windows → the cells of their lives; what is the same for all of them."""

    def __init__(self, windows: WindowSet, groups: Groups) -> None:
        self._windows, self._groups, self._record = windows, groups, windows.record
        daily = windows.features[windows.features["kind"] == "daily"].reset_index(drop=True)
        past = windows.features[windows.features["kind"] == "history"]["feature"].tolist()
        self.place = {name: i for i, name in enumerate(past)}
        count = (daily["measure"] == "count").to_numpy()
        own, received = ((daily["side"] == side).to_numpy() & count for side in ("own", "received"))
        self.counts = np.flatnonzero(own), np.flatnonzero(received)
        events = self._record.churn_events
        self._activity = np.flatnonzero(own & (daily["event_name"].isin(events).to_numpy() if events else True))
        rare = np.flatnonzero(own & (daily["event_name"] == OTHER).to_numpy())
        # acts that count and have no feature of their own are among the rare ones
        self._rest = groups.of_feature[rare[0] if len(rare) else self.counts[0][0]]
        sums = [(i, self.place.get(f"history:sum:{f}:{EVENT_LOOKBACK}")) for i, f in enumerate(daily["feature"])]
        self.summed, self.sums = (np.array([s[k] for s in sums if s[1] is not None], dtype=int) for k in (0, 1))
        self.facts = np.array([i for f, i in self.place.items() if f.startswith("history:fact:")], dtype=int)
        prefix = "history:supporters:"
        self.levels = [f.removeprefix(prefix) for f in past if f.startswith(prefix)]
        measure = daily["measure"]
        self._people = np.flatnonzero((measure == "actors") & daily["event_name"].isna())
        self._came = np.flatnonzero(measure.isin(SOME_PEOPLE))
        ago = np.arange(windows.observe_days)[::-1]
        self.within = (ago[:, None] < np.array(LOOKBACKS)).astype(np.float64)  # [observe × lookbacks]

    def make_plausible(self, days: np.ndarray) -> None:
        """Mixed days [... × daily features], in place: nobody acts without an act, and no act is nobody's."""
        if len(self._people):
            acts = days[..., self.counts[1]].sum(axis=-1, keepdims=True)
            days[..., self._people] = np.clip(days[..., self._people], np.minimum(acts, 1), acts)
            days[..., self._came] = np.minimum(days[..., self._came], days[..., self._people])

    def make_plausible_past(self, past: _Past) -> None:
        """The same of the sums of people before the observation."""
        people, came = (np.isin(self._groups.people, columns) for columns in (self._people, self._came))
        if people.any():
            acts = past.received.sum(axis=2, keepdims=True)
            by_day = np.clip(past.people[:, :, people], np.minimum(acts, 1), acts)
            past.sums[:, self._people] = by_day.sum(axis=1)
            past.sums[:, self._came] = np.minimum(past.people[:, :, came], by_day).sum(axis=1)

    def of(self, rows: np.ndarray, until: np.ndarray) -> tuple[_Day, _Past]:
        """Windows [m], and how many days ago their pasts begin at most → their observed days [m · observe], and their
        pasts [m]."""
        windows, record = self._windows, self._record
        user, anchor = (windows.index[c].to_numpy(np.int64)[rows] for c in ("user", "anchor"))
        observed = windows.observe_days
        day = (anchor[:, None] + np.arange(1 - observed, 1)).ravel()
        who = np.repeat(user, observed)
        values = windows.days(who, day[:, None])[:, 0]
        acts, own = self._bits(values, windows.lives.active[who, day])
        levels = record.levels[who, day]
        earlier = np.where((day > 0)[:, None], record.levels[who, np.maximum(day - 1, 0)], np.float32(0))
        top = self.levels.index(TOP_RECENCY) if TOP_RECENCY in self.levels else None
        days = _Day(
            values, acts, own, _hours(record, (who, day)), windows.lives.stickers[who, day],
            record.sticker_value[who, day], levels - earlier,
            np.zeros(len(day), dtype=bool) if top is None else levels[:, top] == 0,
        )  # fmt: skip
        return days, self._pasts(rows, user, anchor, until)

    def _pasts(self, rows: np.ndarray, user: np.ndarray, anchor: np.ndarray, until: np.ndarray) -> _Past:
        windows, record, observed = self._windows, self._record, self._windows.observe_days
        ago = observed + np.arange(max(0, int(until.max(initial=-1)) + 1 - observed))
        day = anchor[:, None] - ago
        known = (day >= 0) & (ago <= until[:, None])
        at = user[:, None], np.maximum(day, 0)
        values = np.where(known[:, :, None], windows.days(user, at[1]), np.float32(0))
        acts, own = self._bits(values, windows.lives.active[at] & known)
        late = slice(0, max(0, EVENT_LOOKBACK - observed))
        hours = np.where(known[:, late, None], _hours(record, (at[0], at[1][:, late])), np.int8(-1))
        value = np.where(known, record.sticker_value[at], 0)[:, : max(0, _VALUE_DAYS - observed)]
        begun = (np.minimum(anchor, until) >= observed)[:, None]
        end = np.where(begun, record.levels[user, np.maximum(anchor - observed, 0)], np.float32(0))
        by_day = self._by_group(values[:, : max(0, max(LOOKBACKS) - observed)])
        counts = np.stack([by_day[:, : max(0, n - observed)].sum(axis=1) for n in LOOKBACKS], axis=1)
        return _Past(
            acts, own[:, late], hours, np.where(known, windows.lives.stickers[at], 0),
            value.sum(axis=1, dtype=np.float64), values[:, late].sum(axis=1, dtype=np.float64), counts,
            values[:, late][:, :, self._groups.people].astype(np.float64), by_day[:, late, 1], end,
            windows.history(rows)[:, self.facts],
        )  # fmt: skip

    def _bits(self, days: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Days [... × daily features], whether they are active → bits of groups that count, and of all own ones."""
        bits = []
        for features in (self._activity, self.counts[0]):
            found = np.zeros(days.shape[:-1], dtype=np.int64)
            for group in np.unique(self._groups.of_feature[features]):
                mine = features[self._groups.of_feature[features] == group]
                found |= (days[..., mine] > 0).any(axis=-1).astype(np.int64) << group
            bits.append(found)
        acts = np.where(active, np.where(bits[0] == 0, 1 << self._rest, bits[0]), 0)
        return acts, bits[1] | acts

    def _by_group(self, days: np.ndarray) -> np.ndarray:
        """Days [m × days × daily features] → acts [m × days × side × group]."""
        of_group = np.eye(len(self._groups))[self._groups.of_feature]
        return np.stack([days[:, :, side].astype(np.float64) @ of_group[side] for side in self.counts], axis=2)


def _empty(cells: _Day | _Past, places: slice) -> None:
    """Take everything out of some cells, in place."""
    for name, values in vars(cells).items():
        values[places] = -1 if name == "hours" else _NEVER if name == "levels" else 0


def _at(cells: _Day | _Past, places: np.ndarray) -> _Day | _Past:
    return type(cells)(*(value[places] for value in vars(cells).values()))


def _distinct(owner: np.ndarray, bits: np.ndarray, groups: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Owners and bits of groups, alike in shape → which of the distinct pairs each is, and those pairs."""
    pairs, place = np.unique(owner << groups | bits, return_inverse=True)
    return place.reshape(bits.shape), (pairs >> groups, pairs & ((1 << groups) - 1))


def _hours(record: Record, at: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return np.stack([record.first_hour[at], record.last_hour[at]], axis=-1)


def _first_true(happened: np.ndarray) -> np.ndarray:
    return happened.argmax(axis=1) if happened.shape[1] else np.zeros(len(happened), dtype=int)
