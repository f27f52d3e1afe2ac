"""hyperparameters and lives → causal_gru: reads a user's life day by day, and at each says what the next will bring.

Many-to-many, so that one pass over a life learns from all its days, not from those of the windows alone (the idea won
the contest of Kuaishou 2018 on who stays active). A life is read in pieces of at most 112 days, each of which begins
28 days before the first day that it answers for; beyond these, what is known of the past comes in through clocks: days
since the last act and the last sticker, days since the first act, how many so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tschurn.contracts import SharedDays, Windows
from tschurn.models.forward import Weights, forward, gru_step, head, in_blocks
from tschurn.models.graphs import Shape
from tschurn.models.networks import Batch, Network
from tschurn.models.scaling import Piecewise, Scaling, fit_piecewise, fit_scaling

PIECE, LEAD = 112, 28  # days read at a time, and days read before the first answer of a later piece
_STEP = PIECE - LEAD
# A batch has so many pieces fewer than windows: a piece answers for many days, neighbours of each other.
_WINDOWS_PER_PIECE = 16
_LEAST_UPDATES = 32  # of an epoch, as far as there are pieces: small logs are learned in small batches
_SCORED_AT_ONCE = 64  # pieces
_USERS = 256  # whose lives are in memory at a time
CLOCKS, _TENURE = 7, 2  # how many, and which one is the days since the first act
_WEEK = 7


class CausalNetwork(Network):
    """A network that reads whole lives; of the answers of all days, those at the anchors are the windows' log-odds."""

    def _learn(
        self, windows: Windows, rows: np.ndarray, y: np.ndarray
    ) -> Callable[[np.random.Generator], Iterator[Batch]]:
        labels = self._labels(windows, rows, y)
        learned = (labels >= 0).any(axis=2)
        first = windows.lives.first
        self._fit_inputs(windows, learned, first)
        user, day = np.nonzero(learned)
        pieces = np.unique(np.stack([user, _piece_of(day - first[user])], axis=1), axis=0)
        self._shape = Shape(PIECE, self._channels(), 0, len(self.targets))
        most = self.hyperparameters.batch_size // _WINDOWS_PER_PIECE
        size = int(np.clip(len(pieces) // _LEAST_UPDATES, 1, max(1, most)))

        def batches(random: np.random.Generator) -> Iterator[Batch]:
            order = random.permutation(len(pieces))
            for chosen in order[: len(pieces) // size * size].reshape(-1, size):
                users, days, answers = self._days_of(pieces[chosen], first)
                inside = answers & (days < labels.shape[1])
                known = labels[users[:, None], np.minimum(days, labels.shape[1] - 1)].astype(np.float32)
                yield self._read(windows, users, days), np.where(inside[:, :, None], known, -1.0)

        return batches

    def _labels(self, windows: Windows, rows: np.ndarray, y: np.ndarray) -> np.ndarray:
        """→ [users × days × targets] int8: the labels y at the windows' anchors, and those of the days between them;
        -1 where nothing may be learned."""
        everybody = np.arange(len(windows.lives.active))
        found = np.stack([windows.lives.outcome(t, everybody) for t in self.targets], axis=2)
        found[~learnable_days(windows, rows)] = -1
        index = windows.index
        found[index["user"].to_numpy()[rows], index["anchor"].to_numpy()[rows], 0] = y
        return found

    def _fit_inputs(self, windows: Windows, learned: np.ndarray, first: np.ndarray) -> None:
        """Learn the scaling, and the quantiles of the days since the first act, on the days that are learned from."""
        scaling = self.hyperparameters.scaling
        learners = np.flatnonzero(learned.any(axis=1))
        days = np.arange(learned.shape[1])

        def values() -> Iterator[np.ndarray]:
            for start in range(0, len(learners), _USERS):
                users = learners[start : start + _USERS]
                yield self._values(windows, users, np.broadcast_to(days, (len(users), len(days))))[learned[users]]

        columns = windows.days(learners[:1], days[None, :1]).shape[2] + CLOCKS
        self._scaling = fit_scaling(scaling, values(), columns)
        user, day = np.nonzero(learned)
        tenure = (day - first[user])[:, None]
        self._quantiles = fit_piecewise(tenure) if scaling == "piecewise" else None

    def _channels(self) -> int:
        return self._scaling.columns + _WEEK + (self._quantiles.columns if self._quantiles else 0)

    def _days_of(
        self, pieces: np.ndarray, first: np.ndarray, length: int = PIECE
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pieces [n × (user, number)] → users [n], their days [n × length], which of these the piece answers for."""
        users, number = pieces[:, 0], pieces[:, 1]
        at = np.arange(length)
        days = (first[users] + number * _STEP)[:, None] + at
        return users, days, (number == 0)[:, None] | (at >= LEAD)

    def _values(self, windows: Windows, users: np.ndarray, days: np.ndarray) -> np.ndarray:
        """→ [n × days × (daily features + CLOCKS)], unscaled; of days after the log, what its last day holds."""
        lives = windows.lives
        inside = np.minimum(days, lives.active.shape[1] - 1)
        told = clocks(lives.active[users], lives.stickers[users])
        told = np.take_along_axis(told, inside[:, :, None], axis=1)
        return np.concatenate([windows.days(users, inside), told], axis=2)

    def _read(self, windows: Windows, users: np.ndarray, days: np.ndarray) -> np.ndarray:
        """→ the network's input [n × days × channels]."""
        return self._scaled(self._values(windows, users, days), windows.lives.first_weekday + days)

    def _scaled(self, values: np.ndarray, weekday: np.ndarray) -> np.ndarray:
        """Values, and days since a Monday → as the graph takes them."""
        weekday = np.eye(_WEEK, dtype=np.float32)[weekday % _WEEK]
        parts = [self._scaling(values), weekday]
        if self._quantiles:
            tenure = values.shape[2] - CLOCKS + _TENURE
            parts.append(self._quantiles(values[:, :, tenure : tenure + 1]))
        return np.concatenate(parts, axis=2)

    def _answer(self, weights: Weights, windows: Windows, rows: np.ndarray) -> np.ndarray:
        if isinstance(windows, SharedDays):
            return self._answer_shared(weights, windows, rows)
        user, anchor = (windows.index[c].to_numpy()[rows].astype(np.int64) for c in ("user", "anchor"))
        first = windows.lives.first
        since = anchor - first[user]
        number = _piece_of(since)
        pieces, place = np.unique(np.stack([user, number], axis=1), axis=0, return_inverse=True)
        place, day = place.ravel(), since - number * _STEP
        order = np.argsort(place, kind="stable")
        in_order = place[order]
        found = np.empty(len(rows))

        def of(block: slice) -> None:
            mine = order[slice(*np.searchsorted(in_order, (block.start, block.stop)))]
            users, days, _ = self._days_of(pieces[block], first, day[mine].max() + 1)
            asked = place[mine] - block.start, day[mine]
            found[mine] = forward("causal_gru", weights, self._read(windows, users, days), asked)[:, 0]

        in_blocks(of, len(pieces), _SCORED_AT_ONCE)
        return found

    def _answer_shared(self, weights: Weights, windows: SharedDays, rows: np.ndarray) -> np.ndarray:
        """As `_answer`; what came before the observation is read once, and each beginning of the observed days."""
        user, anchor = (windows.index[c].to_numpy()[rows].astype(np.int64) for c in ("user", "anchor"))
        first, (_, days) = windows.lives.first[user], windows.distinct_days(rows)
        start = first + _piece_of(anchor - first) * _STEP
        end = anchor - days.shape[1]
        # of the same past may also be who never acts at all: read from the first day on, where others begin later
        alike = windows.pasts(rows) * (int(end.max()) + 3) + np.clip(start, 0, end + 1)
        _, one, past = np.unique(alike, return_index=True, return_inverse=True)
        # before: one life for all with the same past
        length = max(0, int((end - start)[one].max(initial=-1)) + 1)
        known = _Clocks.before(windows, user[one], end[one])
        state, inputs = np.zeros((len(one), len(weights["gru/gru_cell/recurrent_kernel"])), np.float32), np.zeros(0)
        if length:
            before = end[one][:, None] + np.arange(1 - length, 1)
            read = self._read(windows, user[one], np.maximum(before, 0))
            for k in range(length):
                state = np.where((before[:, k] >= start[one])[:, None], _step(weights, state, read[:, k]), state)
        clock, state_of = known.at(past), past
        for k, which in enumerate(days.T):
            day = end + 1 + k
            begun = day >= start
            clock.add(windows, user, day, first)
            keys = (state_of * (int(which.max()) + 1) + which) * 2 + begun
            _, of, state_of = np.unique(keys, return_index=True, return_inverse=True)
            before = state[keys[of] // 2 // (int(which.max()) + 1)]
            values = np.concatenate([windows.days(user[of], day[of, None]), clock.told(of, day)[:, None]], axis=2)
            inputs = self._scaled(values, windows.lives.first_weekday + day[of, None])[:, 0]
            state = np.where(begun[of, None], _step(weights, before, inputs), before)
        return head(weights, np.concatenate([state, inputs], axis=1), None)[state_of, 0].astype(np.float64)

    def _inputs_to_dict(self) -> dict[str, Any]:
        return {"scaling": self._scaling.to_dict(), "quantiles": self._quantiles.to_dict() if self._quantiles else None}

    def _inputs_from_dict(self, note: dict[str, Any]) -> None:
        self._scaling = Scaling.from_dict(note["scaling"])
        self._quantiles = Piecewise.from_dict(note["quantiles"]) if note["quantiles"] else None


def learnable_days(windows: Windows, rows: np.ndarray) -> np.ndarray:
    """Windows that may be learned from → [users × days] bool: their anchors, and the days between two anchors of a user
    that are one stride apart, if both may be learned from.

    So nothing is learned across windows of another block, nor across those that were left out, whatever the split:
    the outcome of such a day ends no later than that of the anchor after it.
    """
    index = windows.index
    order = np.lexsort((index["anchor"], index["user"]))
    user, anchor = (index[c].to_numpy(np.int64)[order] for c in ("user", "anchor"))
    given = np.isin(order, rows)
    follows = (user[1:] == user[:-1]) & (anchor[1:] - anchor[:-1] <= windows.lives.shape.stride_days)
    joined = np.append(False, follows & given[:-1])
    start = np.where(joined, np.append(0, anchor[:-1] + 1), anchor)
    edges = np.zeros((windows.lives.active.shape[0], windows.lives.active.shape[1] + 1), dtype=np.int32)
    np.add.at(edges, (user[given], start[given]), 1)
    np.add.at(edges, (user[given], anchor[given] + 1), -1)
    return edges.cumsum(axis=1)[:, :-1] > 0


def clocks(active: np.ndarray, stickers: np.ndarray) -> np.ndarray:
    """Active and stickers [n × days] → [n × days × CLOCKS] float32, each known at the end of its day: days since the
    last act, since the last sticker (since before the first act, if there was none), since the first act; active days
    and days with a sticker so far; share of active days; active that day."""
    day = np.arange(active.shape[1], dtype=np.float32)
    tenure = np.maximum(0, day - active.argmax(axis=1)[:, None])
    had = stickers > 0
    acts, gifts = active.cumsum(axis=1), had.cumsum(axis=1)
    since = [
        np.where(so_far > 0, day - np.maximum.accumulate(np.where(happened, day, -1), axis=1), tenure + 1)
        for happened, so_far in ((active, acts), (had, gifts))
    ]
    return np.stack([*since, tenure, acts, gifts, acts / (tenure + 1), active], axis=2).astype(np.float32)


class _Clocks:
    """The clocks of lives, carried on from day to day: what `clocks` says of a day, of the days up to it."""

    def __init__(self, acts: np.ndarray, gifts: np.ndarray, last_act: np.ndarray, last_gift: np.ndarray) -> None:
        self.acts, self.gifts, self.last_act, self.last_gift = acts, gifts, last_act, last_gift
        self.active = np.zeros(len(acts), dtype=bool)
        self.tenure = np.zeros(len(acts))

    @classmethod
    def before(cls, windows: Windows, users: np.ndarray, day: np.ndarray) -> _Clocks:
        """What there was up to this day of each user; nothing where it is before the log."""
        on = np.arange(windows.lives.active.shape[1])
        there = [
            happened & (on <= day[:, None])
            for happened in (windows.lives.active[users], windows.lives.stickers[users] > 0)
        ]
        return cls(*(t.sum(axis=1) for t in there), *(np.where(t, on, -1).max(axis=1) for t in there))

    def at(self, places: np.ndarray) -> _Clocks:
        return _Clocks(*(x[places] for x in (self.acts, self.gifts, self.last_act, self.last_gift)))

    def add(self, windows: Windows, users: np.ndarray, day: np.ndarray, first: np.ndarray) -> None:
        """Go on by a day."""
        self.active, gift = windows.lives.active[users, day], windows.lives.stickers[users, day] > 0
        self.acts, self.gifts = self.acts + self.active, self.gifts + gift
        self.last_act = np.where(self.active, day, self.last_act)
        self.last_gift = np.where(gift, day, self.last_gift)
        self.tenure = np.maximum(0, day - first)

    def told(self, places: np.ndarray, day: np.ndarray) -> np.ndarray:
        """→ [places × CLOCKS] float32, on this day."""
        acts, gifts, tenure, day = (x[places] for x in (self.acts, self.gifts, self.tenure, day))
        since = [
            np.where(so_far > 0, day - last[places], tenure + 1)
            for so_far, last in ((acts, self.last_act), (gifts, self.last_gift))
        ]
        return np.stack([*since, tenure, acts, gifts, acts / (tenure + 1), self.active[places]], axis=1).astype(
            np.float32
        )


def _step(weights: Weights, state: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """State [n × units] and a day's inputs [n × channels] → the state after it."""
    kernel, recurrent, (bias, after) = (weights[f"gru/gru_cell/{k}"] for k in ("kernel", "recurrent_kernel", "bias"))
    now = inputs @ kernel + bias
    return gru_step(now, state, recurrent, after, np.empty_like(now), np.empty_like(state))


def _piece_of(since_first: np.ndarray) -> np.ndarray:
    """Days since the first act → number of the piece that answers for the day; piece k begins at day k · _STEP."""
    return np.maximum(0, (since_first - LEAD) // _STEP)
