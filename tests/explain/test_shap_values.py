"""shap_values.py against shap, SciPy and scikit-learn."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
import shap
from scipy import stats

from tschurn.explain.shap_values import importance, sample, spearman_interval


def fitted() -> tuple[lightgbm.Booster, np.ndarray]:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(500, 4)).astype(np.float32)
    matrix[:, 3] = 1.0
    y = 2 * matrix[:, 0] - 3 * matrix[:, 1] + 0.1 * rng.normal(size=500)
    parameters = {"objective": "regression", "num_leaves": 8, "verbose": -1, "num_threads": 1}
    return lightgbm.train(parameters, lightgbm.Dataset(matrix, y), num_boost_round=40), matrix


def test_native_contributions_are_those_of_shap() -> None:
    booster, matrix = fitted()
    native = booster.predict(matrix, pred_contrib=True)
    np.testing.assert_allclose(native.sum(axis=1), booster.predict(matrix), atol=1e-6)
    np.testing.assert_allclose(native[:, :-1], shap.TreeExplainer(booster).shap_values(matrix), atol=1e-6)


def test_importance_order_and_direction() -> None:
    booster, matrix = fitted()
    contributions = booster.predict(matrix, pred_contrib=True)[:, :-1]
    table = importance(contributions, matrix, ["up", "down", "nothing", "constant"]).set_index("column")
    assert table.index.tolist()[:2] == ["down", "up"]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert table.loc["up", "direction"] > 0.9 and table.loc["down", "direction"] < -0.9
    assert np.isnan(table.loc["constant", ["direction", "direction_low", "direction_high"]].to_numpy(float)).all()
    assert (table["direction_low"].dropna() <= table["direction"].dropna()).all()
    assert (table["direction_high"].dropna() >= table["direction"].dropna()).all()
    for i, name in enumerate(["up", "down", "nothing"]):
        assert table.loc[name, "importance"] == pytest.approx(np.abs(contributions[:, i]).mean())
        expected = stats.spearmanr(matrix[:, i], contributions[:, i]).statistic
        assert table.loc[name, "direction"] == pytest.approx(expected)


def test_equal_importances_keep_the_order_of_columns() -> None:
    table = importance(np.ones((3, 4)), np.ones((3, 4)), list("dbca"))
    assert table["column"].tolist() == list("dbca")


def test_sample_pairs_values_with_their_contributions() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(50, 5)).astype(np.float32)
    contributions = matrix * np.array([0.1, 5.0, 1.0, 3.0, 0.0])
    table = sample(contributions, matrix, list("abcde"), top=3, rows=20, seed=0)
    assert table["column"].unique().tolist() == ["b", "d", "c"] and len(table) == 60
    scale = table["column"].map({"b": 5.0, "d": 3.0, "c": 1.0})
    np.testing.assert_allclose(table["shap"], table["value"] * scale, rtol=1e-6)
    first = table[table["column"] == "b"]["value"]
    assert first.nunique() == 20 and np.isin(first.astype(np.float32), matrix[:, 1]).all()
    assert table.equals(sample(contributions, matrix, list("abcde"), top=3, rows=20, seed=0))
    assert len(sample(contributions, matrix, list("abcde"), seed=0)) == 250


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (1, 3)])
def test_empty_and_tiny_input(shape: tuple[int, int]) -> None:
    zeros, names = np.zeros(shape), list("abc")[: shape[1]]
    table = importance(zeros, zeros, names)
    assert len(table) == shape[1] and table["direction"].isna().all() and (table["importance"] == 0).all()
    assert table[["direction_low", "direction_high"]].isna().all(axis=None)
    assert len(sample(zeros, zeros, names, seed=0)) == shape[0] * shape[1]


def clustered(users: int, windows: int, seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two correlated variables that are mostly traits of the user, and the user of each row."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), windows)
    both = 0.8 * rng.normal(size=(users, 2))[user] + 0.6 * rng.normal(size=(users * windows, 2))
    left = np.round(2 * np.maximum(both[:, 0], 0)) if ties else both[:, 0]
    return left, 0.5 * both[:, 0] + both[:, 1], user


@pytest.mark.parametrize("ties", [False, True])
def test_interval_is_that_of_a_bootstrap_over_users(ties: bool) -> None:
    left, right, user = clustered(120, 5, 0, ties)
    r, low, high = spearman_interval(left, right, user)
    assert r == pytest.approx(stats.spearmanr(left, right).statistic)
    rng = np.random.default_rng(1)
    rows = np.arange(600).reshape(120, 5)
    drawn = [rows[rng.integers(0, 120, 120)].ravel() for _ in range(600)]
    spread = np.std([np.arctanh(stats.spearmanr(left[d], right[d]).statistic) for d in drawn])
    reach = stats.t.ppf(0.975, 119) * spread
    assert np.arctanh(high) - np.arctanh(r) == pytest.approx(reach, rel=0.12)
    assert np.arctanh(r) - np.arctanh(low) == pytest.approx(reach, rel=0.12)


@pytest.mark.parametrize("levels", [2, 5, 200])
def test_error_is_that_of_leaving_out_one_user_after_the_other(levels: int) -> None:
    left, right, user = clustered(150, 4, 4, False)
    left = np.round((left - left.min()) / np.ptp(left) * (levels - 1))
    right = right + 3 * (left == np.median(left))  # neither up nor down
    r, low, high = spearman_interval(left, right, user)
    without = [stats.spearmanr(left[user != u], right[user != u]).statistic for u in range(150)]
    error = np.sqrt(149 / 150 * ((without - np.mean(without)) ** 2).sum()) / (1 - r**2)
    assert (np.arctanh(high) - np.arctanh(low)) / 2 == pytest.approx(stats.t.ppf(0.975, 149) * error, rel=0.02)


def test_interval_covers_the_correlation_of_all_users_as_often_as_it_says() -> None:
    truth = stats.spearmanr(*clustered(20_000, 5, 99, True)[:2]).statistic
    found = [spearman_interval(*clustered(100, 5, seed, True)) for seed in range(300)]
    covered = np.mean([low <= truth <= high for _, low, high in found])
    assert 0.91 <= covered <= 0.98


def test_windows_of_one_user_do_not_count_as_many_users() -> None:
    """Each window ten times over is no more evidence than once."""
    left, right, user = clustered(60, 1, 2, False)
    once = spearman_interval(left, right, user)
    again = spearman_interval(np.repeat(left, 10), np.repeat(right, 10), np.repeat(user, 10))
    assert again == pytest.approx(once, abs=1e-12)
    alone = spearman_interval(np.repeat(left, 10), np.repeat(right, 10), np.arange(600))
    assert alone[2] - alone[1] < 0.5 * (once[2] - once[1])


def test_a_perfect_order_has_no_width_and_one_user_no_interval() -> None:
    x = np.arange(40.0)
    assert spearman_interval(x, x**3, np.arange(40)) == (1.0, 1.0, 1.0)
    assert spearman_interval(x, -x, np.arange(40)) == (-1.0, -1.0, -1.0)
    r, low, high = spearman_interval(x, np.sin(x), np.zeros(40))
    assert r == pytest.approx(stats.spearmanr(x, np.sin(x)).statistic) and np.isnan([low, high]).all()


def test_direction_is_told_by_the_windows_whose_value_is_known() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(300, 2))
    contributions = values * np.array([1.0, -1.0]) + 0.3 * rng.normal(size=(300, 2))
    user, known = np.repeat(np.arange(100), 3), rng.random(300) < 0.7
    values[~known, 0] = np.nan
    values[:, 1] = np.nan
    table = importance(contributions, values, ["a", "b"], user).set_index("column")
    expected = spearman_interval(values[known, 0], contributions[known, 0], user[known])
    assert table.loc["a", ["direction", "direction_low", "direction_high"]].tolist() == pytest.approx(expected)
    assert np.isnan(table.loc["b", "direction"]) and table.loc["b", "importance"] > 0
