"""what a game is worth to every coalition → Shapley values: exact, or sampled with a standard error.

Shapley (1953): a player's value is what it adds to a coalition, averaged over all orders in which players may come.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import factorial

import numpy as np

MOST_PLAYERS = 12  # of an exact game: 4,096 coalitions


def coalitions(players: int) -> np.ndarray:
    """→ [2^players × players] bool: all coalitions, that of nobody first, that of everybody last.

    Raises ValueError for more than MOST_PLAYERS.
    """
    if players > MOST_PLAYERS:
        raise ValueError(f"{players} players have too many coalitions; at most {MOST_PLAYERS} are computed exactly")
    return (np.arange(1 << players)[:, None] >> np.arange(players) & 1).astype(bool)


def exact(worth: np.ndarray) -> np.ndarray:
    """What each coalition is worth [... × 2^players], in the order of `coalitions` → Shapley values [... × players].

    They add up to what everybody is worth less what nobody is.
    """
    return np.asarray(worth, dtype=np.float64) @ _weights(worth.shape[-1].bit_length() - 1)


@lru_cache
def _weights(players: int) -> np.ndarray:
    """[2^players × players]: how much the worth of each coalition counts for each player."""
    inside = coalitions(players)
    size = inside.sum(axis=1)
    joins = np.array([factorial(s) * factorial(players - 1 - s) for s in range(players)]) / factorial(players)
    with_player = joins[np.maximum(size - 1, 0)][:, None]
    without = -joins[np.minimum(size, players - 1)][:, None]
    return np.where(inside, with_player, without)


def sampled(
    worth: Callable[[np.ndarray], np.ndarray], players: int, pairs: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """worth: coalitions [c × players] → [n × c], of n games at once → Shapley values and standard errors [n × players].

    Orders are drawn at random, each with its reverse (antithetic sampling: Mitchell et al. 2022, J. Mach. Learn. Res.
    23/43): what a player adds early in the one it adds late in the other. Each pair gives one unbiased estimate;
    the standard error is that of their mean. The values add up to what everybody is worth less what nobody is,
    whatever the sample.
    """
    random = np.random.default_rng(seed)
    orders = np.stack([random.permutation(players) for _ in range(pairs)])
    orders = np.concatenate([orders, orders[:, ::-1]])
    rank = np.argsort(orders, axis=1)  # when each player comes
    come = np.arange(1, players)
    chains = rank[:, None, :] < come[:, None]  # [orders × (players - 1) × players]
    ends = np.array([[False] * players, [True] * players])
    asked = np.concatenate([ends, chains.reshape(-1, players)])
    found = np.asarray(worth(asked), dtype=np.float64)
    nobody, everybody = (np.repeat(found[:, None, k : k + 1], 2 * pairs, axis=1) for k in (0, 1))
    inner = found[:, 2:].reshape(len(found), 2 * pairs, players - 1)
    gains = np.diff(np.concatenate([nobody, inner, everybody], axis=2), axis=2)  # by place in the order
    by_player = np.take_along_axis(gains, np.broadcast_to(rank, gains.shape), axis=2)
    estimates = (by_player[:, :pairs] + by_player[:, pairs:]) / 2
    error = estimates.std(axis=1, ddof=1) / np.sqrt(pairs) if pairs > 1 else np.full(estimates.shape[::2], np.nan)
    return estimates.mean(axis=1), error
