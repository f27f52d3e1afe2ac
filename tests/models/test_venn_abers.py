"""Venn-Abers against isotonic regression refitted for every point; the intervals against known truths."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from tschurn.models import venn_abers as va
from tschurn.models.venn_abers import Intervals, fit_intervals

windows = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=40)


def refitted(x: np.ndarray, y: np.ndarray, score: float, label: int) -> float:
    """Isotonic regression of the windows and one more."""
    return IsotonicRegression().fit(np.append(x, score), np.append(y, label)).predict([score])[0]


def pairs_at(x: np.ndarray, y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p0 and p1 at any score, as `fit_intervals` reads them off those of the windows."""
    p0, p1 = va.venn_abers(x, y)
    places = np.unique(x)
    low = np.append(0.0, p0)[np.searchsorted(places, scores, side="right")]
    return low, np.append(p1, 1.0)[np.searchsorted(places, scores, side="left")]


@settings(max_examples=60, deadline=None)
@given(windows)
def test_it_is_isotonic_regression_with_one_window_more(drawn: list[tuple[int, bool]]) -> None:
    """At the scores of the windows, between them and outside."""
    x, y = np.array(drawn, dtype=float).T
    scores = np.arange(-0.5, 13, 0.5)
    p0, p1 = pairs_at(x, y, scores)
    np.testing.assert_allclose(p0, [refitted(x, y, s, 0) for s in scores], atol=1e-12)
    np.testing.assert_allclose(p1, [refitted(x, y, s, 1) for s in scores], atol=1e-12)
    assert (p0 < p1).all() and (np.diff(p0) >= 0).all() and (np.diff(p1) >= 0).all()


def test_many_distinct_scores_as_well() -> None:
    random = np.random.default_rng(0)
    x = random.normal(0, 1, 1500)
    y = (random.random(1500) < expit(2 * np.sin(3 * x))).astype(float)  # not rising: large blocks
    scores = np.append(x[:40], random.normal(0, 1, 40))
    p0, p1 = pairs_at(x, y, scores)
    np.testing.assert_allclose(p0, [refitted(x, y, s, 0) for s in scores], atol=1e-9)
    np.testing.assert_allclose(p1, [refitted(x, y, s, 1) for s in scores], atol=1e-9)


def test_it_agrees_with_the_package() -> None:
    package = pytest.importorskip("venn_abers")
    random = np.random.default_rng(5)
    x = np.round(expit(random.normal(0, 1, 800)), 2)
    y = (random.random(800) < x).astype(int)
    scores = np.round(random.random(50), 3)
    found = package.VennAbers()
    found.fit(np.stack([1 - x, x], 1), y)
    _, p0_p1 = found.predict_proba(np.stack([1 - scores, scores], 1))
    np.testing.assert_allclose(np.stack(pairs_at(x, y.astype(float), scores), 1), p0_p1, atol=1e-5)


def population(
    n: int, seed: int, of_user: float = 0.0, of_week: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Log-odds, labels, users and anchors of n // 12 users in 12 weeks; labels that go together within either."""
    random = np.random.default_rng(seed)
    user, week = np.divmod(np.arange(n // 12 * 12), 12)
    x = random.normal(-0.8, 1.2, len(user))
    moved = random.normal(0, of_user, len(user))[user] + random.normal(0, of_week, 12)[week]
    return x, (random.random(len(user)) < expit(x + moved)).astype(float), user, week


def ends(found: Intervals, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The interval as it is before it is made to hold p."""
    return found(x, np.ones(len(x)))[0], found(x, np.zeros(len(x)))[1]


def share_covered(n: int, **together: float) -> float:
    """Of scores as they come, the share in whose interval the share that happens lies, over six samples."""
    x = population(6000, 99)[0]
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    spread = np.hypot(together.get("of_user", 0), together.get("of_week", 0))
    truth = expit(x[:, None] + spread * nodes) @ weights / weights.sum()
    covered = []
    for seed in range(6):
        low, high = ends(fit_intervals(*population(n, seed, **together), seed), x)
        covered.append((low <= truth) & (truth <= high))
    return float(np.mean(covered))


@pytest.mark.parametrize("n", [600, 3000])
@pytest.mark.parametrize("together", [{}, {"of_user": 1.0}, {"of_week": 0.5}], ids=str)
def test_the_share_that_happens_lies_in_the_interval(n: int, together: dict[str, float]) -> None:
    assert share_covered(n, **together) >= 0.95


def test_the_pair_alone_or_users_alone_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weeks that differ: one who draws only users anew is too sure, and so is the pair."""
    both = va.two_way_weights
    assert share_covered(6000, of_week=1.0) >= 0.95
    monkeypatch.setattr(va, "two_way_weights", lambda user, anchor, *rest: both(user, 0 * anchor, *rest))
    assert share_covered(6000, of_week=1.0) < 0.7
    monkeypatch.setattr(va, "two_way_weights", lambda user, anchor, *rest: np.ones((2, len(user)), np.float32))
    assert share_covered(3000) < 0.5


def test_more_windows_make_it_narrower() -> None:
    x = np.linspace(-3, 1.5, 50)
    widths = [np.subtract(*ends(fit_intervals(*population(n, 1), 0), x)[::-1]).mean() for n in (300, 3000, 12000)]
    assert widths[0] > 1.7 * widths[1] > 2.5 * widths[2]


@settings(max_examples=60, deadline=None)
@given(windows, st.integers(1, 5), st.sampled_from([1.0, 1e-9, np.inf]))
def test_any_input_gives_ordered_ends_around_p(drawn: list[tuple[int, bool]], users: int, scale: float) -> None:
    x, y = np.array(drawn, dtype=float).T
    with np.errstate(invalid="ignore"):
        x = np.nan_to_num((x - 6) * scale, nan=0.0, posinf=np.inf, neginf=-np.inf)
    place = np.arange(len(x))
    found = fit_intervals(x, y, place % users, place // users, 3)
    scores = np.array([-np.inf, -1e9, *np.linspace(-7, 7, 29), 1e9, np.inf])
    p = expit(np.clip(scores, -50, 50))
    low, high = found(scores, p)
    assert (low <= p).all() and (p <= high).all() and (low >= 0).all() and (high <= 1).all()
    assert all((np.diff(end) >= 0).all() for end in ends(found, scores))
    stored = Intervals.from_dict(json.loads(json.dumps(found.to_dict())))
    assert stored == found


def test_between_two_windows_the_interval_spans_both_and_outside_it_is_that_of_the_nearest() -> None:
    found = Intervals((0.0, 2.0), (0.1, 0.3), (0.0, 2.0), (0.2, 0.6))
    low, high = ends(found, np.array([-9.0, 0.0, 1.0, 2.0, 9.0]))
    assert low.tolist() == [0.1, 0.1, 0.1, 0.3, 0.3]
    assert high.tolist() == [0.2, 0.2, 0.6, 0.6, 0.6]


def test_without_chance_the_interval_is_the_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(va, "two_way_weights", lambda user, anchor, *rest: np.ones((2, len(user)), np.float32))
    random = np.random.default_rng(8)
    x = random.integers(0, 12, 1000).astype(float)
    y = (random.random(1000) < 0.3 + 0.2 * (x > 4) + 0.2 * (x > 8)).astype(float)
    found = fit_intervals(x, y, np.arange(1000), np.zeros(1000), 0)
    for got, expected in zip(ends(found, np.arange(12.0)), va.venn_abers(x, y), strict=True):
        np.testing.assert_allclose(got, expected)
    assert len(found.high_x) < 12  # equal ones are one step


def test_a_group_without_windows_lies_between_its_neighbours() -> None:
    p0, p1 = va._of_groups(np.array([0, 3, 0, 2, 0]), np.array([0, 1, 0, 2, 0]))
    low, high = va._pair(np.array([3, 2]), np.array([1, 2]))
    assert p0.tolist() == [0, low[0], low[0], low[1], low[1]]
    assert p1.tolist() == [high[0], high[0], high[1], high[1], 1]


def test_the_same_seed_gives_the_same_intervals() -> None:
    sample = population(600, 4)
    assert fit_intervals(*sample, 1) == fit_intervals(*sample, 1) != fit_intervals(*sample, 2)
