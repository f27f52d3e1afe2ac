"""a model and windows → what each day, each group of features, each cell of both adds to its answer; no surrogate.

The players of the game are parts of a user's life, not inputs of the model: a coalition keeps its parts as they were
and has the others from a life of comparison (the background), and every input is computed anew from the days so mixed
(Windows.mixed). What came before the first observed day is a player too. Shapley values of that game (the
interventional ones: Janzing et al. 2020) are exact for days and groups; TimeSHAP (Bento et al. 2021) plays it over
the inputs themselves, with a mean that nobody lived as background.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from tschurn.contracts import Groups, Mixable, Windows
from tschurn.explain import shapley

Predict = Callable[[Windows], np.ndarray]  # all of its windows → log-odds
Calibrate = Callable[[np.ndarray], np.ndarray]  # log-odds → probabilities

BEFORE = "before"
MOST_BLOCKS = 10  # of days: longer observations are cut into so many
NOTHING = -1  # as a background: a life in which nothing has happened
_AT_ONCE = 8_192  # mixed windows


@dataclass(frozen=True)
class Players:
    """Who plays: the cells of a life that each player brings, as bits of groups [players × (1 + observe_days)]."""

    names: list[str]
    cells: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def taken(self, coalitions: np.ndarray) -> np.ndarray:
        """Coalitions [c × players] → the bits that each leaves to the user [c × (1 + observe_days)]."""
        kept = np.zeros((len(coalitions), self.cells.shape[1]), dtype=np.int64)
        for player, cells in enumerate(self.cells):
            kept |= np.where(coalitions[:, player, None], cells, 0)
        return kept


@dataclass(frozen=True)
class Attribution:
    """Shapley values of n windows, in log-odds and in probability [n × players].

    error: their standard errors where sampled. base, full: the worth of nobody (the mean over the background) and of
    everybody (the model's own answer) [n].
    """

    players: Players
    log_odds: np.ndarray
    probability: np.ndarray
    error: np.ndarray | None
    base: np.ndarray
    full: np.ndarray

    @property
    def gap(self) -> float:
        """By how much, at most, the values miss the difference that they explain; 0 for no windows."""
        missing = self.log_odds.sum(axis=1) - (self.full - self.base)
        return float(np.abs(missing).max(initial=0.0))


def day_players(observe_days: int) -> Players:
    """→ what came before, and each observed day, the oldest first; blocks of days, if there are more than MOST_BLOCKS.

    Named "before", then by the days up to the anchor: "-6" ... "0", a block "-13..-12".
    """
    blocks = np.array_split(np.arange(observe_days), min(observe_days, MOST_BLOCKS))
    ago = [observe_days - 1 - block for block in blocks]
    names = [str(-int(a[0])) if len(a) == 1 else f"{-a[0]}..{-a[-1]}" for a in ago]
    cells = np.zeros((1 + len(blocks), 1 + observe_days), dtype=np.int64)
    cells[0, 0] = -1
    for k, block in enumerate(blocks):
        cells[1 + k, 1 + block] = -1
    return Players([BEFORE, *names], cells)


def group_players(groups: list[str], observe_days: int) -> Players:
    """→ each group of features, with all of its past."""
    cells = np.repeat(1 << np.arange(len(groups), dtype=np.int64), 1 + observe_days)
    return Players(list(groups), cells.reshape(len(groups), -1))


def cell_players(groups: list[str], observe_days: int) -> Players:
    """→ what came before, and each group on each observed day: "-6|own:post"."""
    days = day_players(observe_days)
    names, cells = [BEFORE], [days.cells[0]]
    for day, when in zip(days.names[1:], days.cells[1:], strict=True):
        for group, name in enumerate(groups):
            names.append(f"{day}|{name}")
            cells.append(np.where(when != 0, 1 << group, 0))
    return Players(names, np.stack(cells))


def background(log_odds: np.ndarray, rows: np.ndarray, references: int) -> np.ndarray:
    """Log-odds [windows] and training windows `rows` → windows of comparison: evenly spaced among their answers.

    Real windows of real users, from the least to the most at risk, so that their mean is about the average answer.
    """
    order = rows[np.argsort(log_odds[rows], kind="stable")]
    at = (np.arange(references) + 0.5) / references * len(order)
    return np.unique(order[np.minimum(at.astype(int), len(order) - 1)])


def attribute(
    windows: Mixable, groups: Groups, predict: Predict, calibrate: Calibrate, rows: np.ndarray, others: np.ndarray,
    players: Players, *, threads: int = 1, done: Callable[[float], None] = lambda _: None,
) -> Attribution:  # fmt: skip
    """Windows at `rows`, a background of windows `others` (or NOTHING) → exact Shapley values, the mean over it."""
    asked = shapley.coalitions(len(players))
    odds = worth(windows, groups, predict, rows, others, players.taken(asked), threads, done)
    log_odds, p = (shapley.exact(values).mean(axis=1) for values in (odds, calibrate(odds)))
    return Attribution(players, log_odds, p, None, odds[:, :, 0].mean(axis=1), odds[:, 0, -1])


def attribute_sampled(
    windows: Mixable, groups: Groups, predict: Predict, calibrate: Calibrate, rows: np.ndarray, others: np.ndarray,
    players: Players, *, pairs: int, seed: int, threads: int = 1,
) -> Attribution:  # fmt: skip
    """As `attribute`, for players whose coalitions are too many: `pairs` orders and their reverses."""
    known: dict[str, np.ndarray] = {}

    def of(asked: np.ndarray) -> np.ndarray:
        values = worth(windows, groups, predict, rows, others, players.taken(asked), threads)
        known["log_odds"] = values.mean(axis=1)
        known["p"] = calibrate(values).mean(axis=1)
        known["full"] = values[:, 0, 1]
        return known["log_odds"]

    log_odds, error = shapley.sampled(of, len(players), pairs, seed)
    p, _ = shapley.sampled(lambda _: known["p"], len(players), pairs, seed)
    return Attribution(players, log_odds, p, error, known["log_odds"][:, 0], known["full"])


def worth(
    windows: Mixable, groups: Groups, predict: Predict, rows: np.ndarray, others: np.ndarray, taken: np.ndarray,
    threads: int = 1, done: Callable[[float], None] = lambda _: None,
) -> np.ndarray:  # fmt: skip
    """Windows, windows of comparison, and which cells stay the user's own [c × (1 + observe_days)] → the model's
    log-odds [windows × comparisons × c], float64."""
    n, many = len(rows), len(others) * len(taken)
    size = max(1, _AT_ONCE // many)
    found = np.empty((n, len(others), len(taken)))
    finished = 0

    def of(start: int) -> None:
        nonlocal finished
        here = rows[start : start + size]
        window = np.repeat(here, many)
        other = np.tile(np.repeat(others, len(taken)), len(here))
        own = np.tile(taken, (len(here) * len(others), 1))
        found[start : start + size] = predict(windows.mixed(groups, window, other, own)).reshape(-1, *found.shape[1:])
        finished += len(here)
        done(finished / n)

    # a few windows on a core, each product of theirs on that core alone
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(
        threads, initializer=threadpool_limits, initargs=(1, "blas")
    ) as pool:  # fmt: skip
        list(pool.map(of, range(0, n, size)))
    return found
