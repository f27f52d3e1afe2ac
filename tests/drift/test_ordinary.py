"""What is ordinary keeps its word: its chances are as often undercut as they say, or less."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tschurn.drift.ordinary import ordinary

NONE = np.zeros(1)


@pytest.mark.parametrize("anchors", [4, 8, 30])
@pytest.mark.parametrize("side", [-1, 0, 1])
def test_a_week_like_the_others_has_a_chance_that_is_uniform(anchors: int, side: int) -> None:
    random = np.random.default_rng(anchors)
    draws = random.normal(2, 0.3, (3000, anchors + 1))
    chances = [ordinary(row[:-1], np.zeros(anchors), NONE).chance(row[-1], side) for row in draws]
    assert stats.kstest(chances, "uniform").pvalue > 0.001
    inside = [abs(row[-1] - (o := ordinary(row[:-1], np.zeros(anchors), NONE)).centre) <= o.limit for row in draws]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("right", [None, 2.0])
def test_means_of_several_weeks_are_judged_as_means(right: float | None) -> None:
    random = np.random.default_rng(0)
    draws = random.normal(2, 0.3, (3000, 12))
    chances = [ordinary(r[:8], np.zeros(8), np.zeros(4), right).chance(r[8:].mean()) for r in draws]
    assert stats.kstest(chances, "uniform").pvalue > 0.001


def test_weeks_cannot_differ_by_less_than_their_sampling() -> None:
    alike = np.full(10, 0.5)
    assert ordinary(alike, NONE.repeat(10), NONE).chance(0.51) == 0
    assert ordinary(alike, NONE.repeat(10), np.array([0.05])).chance(0.51) > 0.8
    assert ordinary(alike, np.full(10, 0.05), NONE).chance(0.51) > 0.8


@pytest.mark.parametrize("weeks", [0.0, 0.5])
def test_a_steady_figure_is_judged_more_sharply_and_seldom_wrongly(weeks: float) -> None:
    """Six anchors of which sampling alone, or almost, makes the difference: fewer false alarms than Student's own
    would need to find as little."""
    random, error = np.random.default_rng(1), np.full(6, 0.04)
    draws = random.normal(0.8, 0.04 * np.sqrt(1 + weeks**2), (4000, 7))
    usual = [ordinary(row[:6], error, error[:1], steady=True) for row in draws]
    chances = np.array([o.chance(row[6], side=-1) for o, row in zip(usual, draws, strict=True)])
    assert (chances < 0.005).mean() < 0.008
    plain = np.mean([ordinary(row[:6], error, error[:1]).chance(0.66, side=-1) for row in draws])
    assert np.mean([o.chance(0.66, side=-1) for o in usual]) < plain / 2


def test_few_anchors_are_not_trusted_and_none_say_nothing() -> None:
    one = ordinary(np.array([0.5]), np.array([0.01]), np.array([0.01]))
    assert one.chance(0.5 + 1.96 * one.spread) > 0.05
    nothing = np.array([np.nan])
    assert ordinary(nothing, nothing, NONE) is None and ordinary(alike := np.ones(3), alike, nothing) is None


def test_constants_are_left_only_by_what_is_not_the_constant() -> None:
    same = ordinary(np.ones(5), NONE.repeat(5), NONE)
    assert same.chance(1.0) == 1 and same.chance(1.1) == 0
    assert same.chance(1.1, side=-1) == 1 and same.chance(1.1, side=1) == 0
