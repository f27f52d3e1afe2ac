"""values → bins learned once, how many values lie in each, and how far two such counts are apart (PSI)."""

from __future__ import annotations

import numpy as np

BINS = 10
HALF = 0.5  # added to every count, so that no share is 0 (Jeffreys)


def edges_of(values: np.ndarray) -> np.ndarray:
    """Values [n], NaN: missing → rising inner edges: bin i holds the values above edge i − 1 and up to edge i.

    Deciles. A value that is two deciles or more (zeros, a constant) has a bin of its own, whatever comes to lie beside
    it later. Without a value there is no edge.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return np.empty(0)
    deciles = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
    edges, times = np.unique(deciles, return_counts=True)
    heavy = edges[times > 1]
    return np.unique(np.concatenate([edges, np.nextafter(heavy, -np.inf)]))


def count(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Values [n] → how many lie in each bin, [len(edges) + 2]; the last are the missing ones."""
    missing = np.isnan(values)
    place = np.searchsorted(edges, values[~missing], side="left")
    return np.append(np.bincount(place, minlength=len(edges) + 1), missing.sum())


def psi(then: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Counts [... × bins] → population stability index: Σ (q − p) · ln(q / p) over the bins' shares (Jeffreys'
    divergence of the smoothed shares); 0 where they are the same."""
    p, q = (_shares(counts) for counts in (then, now))
    return ((q - p) * np.log(q / p)).sum(axis=-1)


def expected_psi(then: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Counts [... × bins] → PSI of two samples as large from one distribution: (B − 1)(1/n + 1/m), B being the bins
    that one of them has values in (Yurdakul & Naranjo 2020)."""
    used = ((then + now) > 0).sum(axis=-1)
    return (used - 1) * (1 / then.sum(axis=-1) + 1 / now.sum(axis=-1))


def excess(then: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts [... × bins] → root of the PSI beyond the expected one, and the sampling error of that root.

    The root is on the scale of a distance, where weeks differ about normally. Of samples of one distribution it has
    a standard deviation of about half the fourth root of the variance of a χ² of B − 1 degrees.
    """
    used = ((then + now) > 0).sum(axis=-1)
    size = 1 / then.sum(axis=-1) + 1 / now.sum(axis=-1)
    root = np.sqrt(np.maximum(psi(then, now) - expected_psi(then, now), 0.0))
    return root, 0.5 * (2.0 * np.maximum(used - 1, 1)) ** 0.25 * np.sqrt(size)


def _shares(counts: np.ndarray) -> np.ndarray:
    return (counts + HALF) / (counts + HALF).sum(axis=-1, keepdims=True)
