"""shap_values.py against shap, SciPy and scikit-learn."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
import shap
from scipy import stats

from tschurn.explain.shap_values import importance, sample


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
    assert np.isnan(table.loc["constant", "direction"])
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
    assert len(sample(zeros, zeros, names, seed=0)) == shape[0] * shape[1]
