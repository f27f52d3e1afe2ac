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

from tschurn.contracts import Windows
from tschurn.models.forward import Weights, forward, in_blocks
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
        values = self._values(windows, users, days)
        weekday = np.eye(_WEEK, dtype=np.float32)[(windows.lives.first_weekday + days) % _WEEK]
        parts = [self._scaling(values), weekday]
        if self._quantiles:
            tenure = values.shape[2] - CLOCKS + _TENURE
            parts.append(self._quantiles(values[:, :, tenure : tenure + 1]))
        return np.concatenate(parts, axis=2)

    def _answer(self, weights: Weights, windows: Windows, rows: np.ndarray) -> np.ndarray:
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


def _piece_of(since_first: np.ndarray) -> np.ndarray:
    """Days since the first act → number of the piece that answers for the day; piece k begins at day k · _STEP."""
    return np.maximum(0, (since_first - LEAD) // _STEP)
