"""PSI against a plain version and against what is known of it; bins that hold whatever comes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.drift import bins

VALUES = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(0.0), st.just(math.nan)), min_size=1, max_size=200)


def plain_psi(then: list[float], now: list[float], edges: list[float]) -> float:
    """Window by window: in which bin, shares with half a window more in each, and the sum of its definition."""

    def shares(values: list[float]) -> list[float]:
        counts = [0.5] * (len(edges) + 2)
        for value in values:
            place = len(edges) + 1 if math.isnan(value) else sum(value > edge for edge in edges)
            counts[place] += 1
        return [count / sum(counts) for count in counts]

    return sum((q - p) * math.log(q / p) for p, q in zip(shares(then), shares(now), strict=True))


@settings(max_examples=80, deadline=None)
@given(then=VALUES, now=VALUES)
def test_psi_is_its_definition(then: list[float], now: list[float]) -> None:
    edges = bins.edges_of(np.array(then))
    counts = [bins.count(np.array(values), edges) for values in (then, now)]
    assert [c.sum() for c in counts] == [len(then), len(now)]
    assert bins.psi(*counts) == pytest.approx(plain_psi(then, now, edges.tolist()), abs=1e-12)
    assert bins.psi(*counts) >= 0
    assert bins.psi(*counts) == pytest.approx(bins.psi(*counts[::-1]), abs=1e-12)
    assert bins.psi(counts[0], counts[0]) == 0


@settings(max_examples=60, deadline=None)
@given(values=VALUES, power=st.sampled_from([1 / 3, 3]))
def test_bins_keep_their_windows_under_any_rising_scale(values: list[float], power: float) -> None:
    old = np.round(np.array(values), 2)  # values that a power keeps apart
    new = np.cbrt(old) if power < 1 else old**3
    once, again = (bins.count(v, bins.edges_of(v)) for v in (old, new))
    assert np.array_equal(once, again)


def test_deciles_share_windows_evenly() -> None:
    values = np.random.default_rng(0).normal(size=5000)
    assert np.array_equal(bins.count(values, bins.edges_of(values)), [500] * 10 + [0])


def test_a_heavy_value_has_a_bin_of_its_own() -> None:
    values = np.repeat([0.0, 1, 2, 3, 4, 5], [50, 10, 10, 10, 10, 10])
    edges = bins.edges_of(values)
    counts = bins.count(values, edges)
    assert counts[edges.tolist().index(0.0)] == 50
    below = bins.count(np.full(7, -0.5), edges)
    assert below[0] == 7 and below[edges.tolist().index(0.0)] == 0  # a bin that nobody was in


@pytest.mark.parametrize("moved", [-1.0, 1.0, math.nan])
def test_a_constant_that_is_one_no_more_is_seen(moved: float) -> None:
    edges = bins.edges_of(np.full(1000, 3.0))
    then = bins.count(np.full(1000, 3.0), edges)
    now = bins.count(np.where(np.arange(200) < 100, 3.0, 3.0 + moved), edges)
    assert bins.psi(then, now) > 1
    assert bins.psi(then, bins.count(np.full(200, 3.0), edges)) < 0.01


def test_what_is_always_missing_has_no_bins_but_that() -> None:
    edges = bins.edges_of(np.full(10, math.nan))
    assert len(edges) == 0 and bins.count(np.array([math.nan, 1.0]), edges).tolist() == [1, 1]


@pytest.mark.parametrize(("n", "m"), [(2000, 200), (500, 500), (300, 20_000)])
def test_of_one_distribution_psi_is_what_is_expected(n: int, m: int) -> None:
    random = np.random.default_rng(n)
    found, expected, roots, errors = [], [], [], []
    for _ in range(400):
        then = random.normal(size=n)
        edges = bins.edges_of(then)
        counts = np.array([random.multinomial(size, np.full(10, 0.1)) for size in (n, m)])
        found.append(bins.psi(*counts))
        expected.append(bins.expected_psi(*counts))
        root, error = bins.excess(*counts)
        roots.append(root)
        errors.append(error)
        assert len(edges) == 9
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.1)
    assert np.std(roots) == pytest.approx(np.mean(errors), rel=0.2)
