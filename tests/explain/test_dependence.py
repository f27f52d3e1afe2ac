"""dependence.py against shap: its approximate interactions, and the exact interaction values of trees."""

from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd
import pytest
import shap

from tschurn.contracts import DEPENDENCE
from tschurn.explain.dependence import dependence, interactions

COLUMNS = ["moves", "switch", "alone", "noise", "other"]


def fitted() -> tuple[lightgbm.Booster, np.ndarray, np.ndarray]:
    """Trees on a product of the first two columns, the third by itself, and a weaker product of first and last."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(3000, 5)).astype(np.float32)
    y = 2 * matrix[:, 0] * (matrix[:, 1] > 0) + 1.5 * matrix[:, 2] + 0.4 * matrix[:, 0] * matrix[:, 4]
    parameters = {"objective": "regression", "num_leaves": 15, "verbose": -1, "num_threads": 1, "seed": 0}
    booster = lightgbm.train(parameters, lightgbm.Dataset(matrix, y), num_boost_round=80)
    return booster, matrix, booster.predict(matrix, pred_contrib=True)[:, :-1]


def test_interactions_stand_in_the_order_of_shap() -> None:
    _, matrix, contributions = fitted()
    rows = slice(0, 2950)  # chunks of equal size: shap adds the correlations up
    for i in range(5):
        theirs = shap.utils.approximate_interactions(i, contributions[rows], matrix[rows].astype(float))
        mine = interactions(i, contributions[rows], matrix[rows].astype(float))
        assert np.argsort(-mine, kind="stable").tolist() == theirs.tolist()
        assert mine[i] == 0 and (mine <= 1).all()


def test_partners_are_those_of_the_exact_interaction_values() -> None:
    booster, matrix, contributions = fitted()
    exact = np.abs(shap.TreeExplainer(booster).shap_interaction_values(matrix[:200])).mean(axis=0)
    np.fill_diagonal(exact, 0)
    table = dependence(contributions, matrix, COLUMNS, seed=0)
    partners = table.drop_duplicates("column").set_index("column")["partner"]
    for column in ("moves", "switch", "other"):
        assert partners[column] == COLUMNS[exact[COLUMNS.index(column)].argmax()]
    assert partners["moves"] == "switch"


def test_what_interacts_with_nothing_has_no_partner() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(3000, 40))
    contributions = matrix + 0.01 * rng.normal(size=matrix.shape)  # what trees leave of noise
    table = dependence(contributions, matrix, [f"c{i}" for i in range(40)], top=40, seed=0)
    assert table["column"].nunique() == 40
    assert table[["partner", "interaction", "partner_value"]].isna().all(axis=None)
    DEPENDENCE.check(table.assign(target="churn", model="m"))


def test_rows_are_windows_with_their_own_values() -> None:
    _, matrix, contributions = fitted()
    table = dependence(contributions, matrix, COLUMNS, top=3, rows=100, seed=5)
    DEPENDENCE.check(table.assign(target="churn", model="m"))
    size = np.abs(contributions).mean(axis=0)
    order = [COLUMNS[i] for i in np.argsort(-size)[:3]]
    assert table["column"].unique().tolist() == order
    assert table.groupby("column")["rank"].unique().map(list).to_dict() == {c: [i + 1] for i, c in enumerate(order)}
    part = table[table["column"] == "moves"]
    windows = np.array([np.flatnonzero(matrix[:, 0] == np.float32(v))[0] for v in part["value"]])
    assert len(set(windows)) == 100
    np.testing.assert_allclose(part["shap"], contributions[windows, 0])
    np.testing.assert_allclose(part["partner_value"], matrix[windows, COLUMNS.index(part["partner"].iloc[0])])
    pd.testing.assert_frame_equal(table, dependence(contributions, matrix, COLUMNS, top=3, rows=100, seed=5))


def test_missing_values_of_a_partner_stay_missing_and_do_not_hide_it() -> None:
    _, matrix, contributions = fitted()
    matrix = matrix.copy()
    gone = np.random.default_rng(2).random(3000) < 0.2
    matrix[gone, 1] = np.nan
    table = dependence(contributions, matrix, COLUMNS, seed=0)
    part = table[table["column"] == "moves"]
    assert (part["partner"] == "switch").all() and 0.1 < part["partner_value"].isna().mean() < 0.3


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (1, 3), (7, 1), (50, 3)])
@pytest.mark.parametrize("flat", [False, True])
def test_empty_tiny_and_constant_input(shape: tuple[int, int], flat: bool) -> None:
    values = np.zeros(shape) if flat else np.random.default_rng(0).normal(size=shape)
    table = dependence(values, values, list("abc")[: shape[1]], seed=0)
    DEPENDENCE.check(table.assign(target="churn", model="m"))
    assert len(table) == (0 if flat else shape[0] * shape[1])
    assert np.isfinite(table["shap"]).all()
