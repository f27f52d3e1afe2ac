"""two models on the same windows → how much better one is, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tschurn.models.evaluation import REPLICATES, interval, two_way_weights

MOST_WINDOWS = 200_000  # beyond it whole users are drawn, so that the bootstrap of many models ends in minutes
_CHUNK = 25  # replicates whose weights are held at once

Measure = Callable[[np.ndarray, np.ndarray, np.ndarray], dict[str, np.ndarray]]


def differences(
    y: np.ndarray,
    user: np.ndarray,
    anchor: np.ndarray,
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]],
    measure: Measure,
    seed: int,
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Labels, users and anchors of n windows, and by name the probabilities [n] of two models → by name and metric a,
    b, and difference = b − a with the ends low and high of its 95 % interval.

    measure: labels, probabilities, weights [replicates × n] → metrics, such as evaluation.metrics. All pairs meet the
    same replicates of the two-way bootstrap over users and anchors (Owen 2007). Null: what is not defined, as AP
    without a positive.
    """
    once = np.ones((1, len(y)))
    found = {name: [measure(y, p, once) for p in both] for name, both in pairs.items()}
    drawn: dict[str, dict[str, list[np.ndarray]]] = {name: {m: [] for m in found[name][0]} for name in pairs}
    for weights in _weights(user, anchor, seed):
        for name, both in pairs.items():
            a, b = (measure(y, p, weights) for p in both)
            for metric, parts in drawn[name].items():
                parts.append(b[metric] - a[metric])
    return {
        name: {m: _compared(a[m][0], b[m][0], np.concatenate(drawn[name][m])) for m in a}
        for name, (a, b) in found.items()
    }


def drawn_users(user: np.ndarray, seed: int, most: int = MOST_WINDOWS) -> np.ndarray:
    """Users of n windows → the positions of the windows to look at: all, or those of users drawn at random, whole,
    until they have `most` windows."""
    if len(user) <= most:
        return np.arange(len(user))
    ids, place, windows = np.unique(user, return_inverse=True, return_counts=True)
    order = np.random.default_rng([seed, 5]).permutation(len(ids))
    chosen = np.zeros(len(ids), dtype=bool)
    chosen[order[np.cumsum(windows[order]) <= most]] = True
    return np.flatnonzero(chosen[place])


def _weights(user: np.ndarray, anchor: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """REPLICATES rows of bootstrap weights, _CHUNK at a time."""
    for chunk in range(REPLICATES // _CHUNK):
        yield two_way_weights(user, anchor, seed * REPLICATES + chunk, _CHUNK)


def _compared(a: float, b: float, drawn: np.ndarray) -> dict[str, float | None]:
    low, high = interval(drawn)
    return {**{k: float(v) if np.isfinite(v) else None for k, v in (("a", a), ("b", b), ("difference", b - a))},
            "low": low, "high": high}  # fmt: skip
