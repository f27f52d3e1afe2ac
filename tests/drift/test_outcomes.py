"""Level, slope and ranking of outcomes against other ways to compute them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

from tschurn.drift.outcomes import FIGURES, by_anchor, figures, rate_error


def drawn(n: int, seed: int, slope: float = 1.0, level: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    t = np.round(random.normal(-0.5, 1.2, n), 2)
    return (random.random(n) < expit(slope * t + level)).astype(float), expit(t)


@pytest.mark.parametrize("seed", range(5))
def test_ranking_is_that_of_scikit_learn(seed: int) -> None:
    y, p = drawn(300, seed)
    found = figures(y, p)
    assert found["auc"] == pytest.approx(roc_auc_score(y, p))
    assert found["ap"] == pytest.approx(average_precision_score(y, p))


def test_errors_are_the_standard_deviations_over_samples() -> None:
    every = pd.DataFrame([figures(*drawn(400, seed)) for seed in range(600)])
    for figure, right in (("level", 0.0), ("slope", 1.0), ("auc", None)):
        error = every[f"{figure}_se"].mean()
        assert every[figure].std() == pytest.approx(error, rel=0.12), figure
        if right is not None:
            assert every[figure].mean() == pytest.approx(right, abs=5 * error / np.sqrt(600))


def test_small_moves_are_told_in_their_unit() -> None:
    assert figures(*drawn(200_000, 1, level=0.2))["level"] == pytest.approx(0.2, abs=0.02)
    assert figures(*drawn(200_000, 2, slope=0.85))["slope"] == pytest.approx(0.85, abs=0.03)


@pytest.mark.parametrize("y", [np.zeros(50), np.ones(50)])
def test_one_class_has_a_level_and_no_ranking(y: np.ndarray) -> None:
    found = figures(y, expit(np.linspace(-20, 20, 50)))
    assert np.isnan([found["auc"], found["ap"]]).all()
    assert np.isfinite([found[name] for name in ("level", "level_se", "slope", "slope_se")]).all()


def test_a_constant_probability_has_no_slope_and_nothing_has_nothing() -> None:
    assert np.isnan(figures(np.array([0.0, 1.0]), np.full(2, 0.5))["slope"])
    assert np.isnan(list(figures(np.empty(0), np.empty(0)).values())).all()


def test_anchors_apart_and_open_windows_only_in_the_means() -> None:
    y, p = drawn(200, 3)
    frame = pd.DataFrame({"anchor_day": np.arange(200) % 4, "p": p, "log_odds": np.log(p / (1 - p))})
    frame["y"] = pd.Series(y).astype("Int8").where(frame["anchor_day"] < 3)
    found = by_anchor(frame).set_index("anchor_day")
    here = frame["anchor_day"] == 1
    assert found.loc[1, list(FIGURES)].to_dict() == figures(y[here], p[here])
    assert found.loc[3, "labelled"] == 0 and np.isnan(found.loc[3, "auc"])
    assert found["p_mean"].tolist() == pytest.approx(frame.groupby("anchor_day")["p"].mean().tolist())


def test_windows_of_a_user_count_together() -> None:
    y = np.random.default_rng(0).integers(0, 2, 100).astype(float)
    alone = rate_error(y, np.arange(100))
    assert alone == pytest.approx(y.std() / 10)
    assert rate_error(np.repeat(y, 4), np.repeat(np.arange(100), 4)) == pytest.approx(alone)
