"""collinearity.py against one regression per column and round (statsmodels)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.outliers_influence import variance_inflation_factor

from tschurn.contracts import COLLINEARITY
from tschurn.explain.collinearity import BLOCK, remove_collinear


def plain_removal(matrix: np.ndarray, limit: float) -> tuple[list[tuple[int, float]], dict[int, float]]:
    """Independent, varying columns only: (column, VIF) as removed, and column → VIF of the kept."""
    alive, removed = list(range(matrix.shape[1])), []
    while True:
        design = np.column_stack([np.ones(len(matrix)), matrix[:, alive]])
        vif = [variance_inflation_factor(design, i + 1) for i in range(len(alive))]
        worst = int(np.argmax(vif))
        if vif[worst] <= limit:
            return removed, dict(zip(alive, vif, strict=True))
        removed.append((alive.pop(worst), vif[worst]))


def correlated(rows: int, columns: int, seed: int, noise: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(rows, columns // 3))
    mixed = factors @ rng.normal(size=(columns // 3, columns)) + noise * rng.normal(size=(rows, columns))
    return mixed * rng.uniform(0.01, 100, columns) + rng.uniform(-50, 50, columns)


@pytest.mark.parametrize(("seed", "limit", "noise"), [(0, 10.0, 0.3), (1, 5.0, 0.3), (2, 30.0, 0.01)])
def test_same_order_and_vifs_as_regressions(seed: int, limit: float, noise: float) -> None:
    matrix = correlated(400, 18, seed, noise)
    table = remove_collinear(matrix, [f"c{i}" for i in range(18)], limit)
    removed, left = plain_removal(matrix, limit)
    assert removed, "the case must remove something"
    dropped = table[table["reason"] == "vif"].sort_values("step")
    assert dropped.index.tolist() == [column for column, _ in removed]
    np.testing.assert_allclose(dropped["vif"], [vif for _, vif in removed], rtol=1e-6)
    kept = table[table["kept"]]
    assert kept.index.tolist() == sorted(left)
    np.testing.assert_allclose(kept["vif"], [left[column] for column in kept.index], rtol=1e-6)


def test_constant_and_perfect_columns_go_first_and_the_later_of_a_set() -> None:
    rng = np.random.default_rng(3)
    a, b, c = rng.normal(size=(3, 300)).astype(np.float32)
    matrix = np.column_stack([a, np.full(300, 7.5), b, a + b, c, 2 * a - 3, -c]).astype(np.float32)
    names = ["a", "seven", "b", "sum", "c", "scaled", "minus_c"]
    table = remove_collinear(matrix, names).set_index("column")
    assert table["reason"].tolist() == ["kept", "constant", "kept", "perfect", "kept", "perfect", "perfect"]
    assert table.loc[["seven", "sum", "scaled", "minus_c"], "step"].tolist() == [1, 2, 3, 4]
    assert table.loc["scaled", "stands_for"] == "a" and table.loc["scaled", "correlation"] == pytest.approx(1)
    assert table.loc["minus_c", "stands_for"] == "c" and table.loc["minus_c", "correlation"] == pytest.approx(-1)
    assert pd.isna(table.loc["seven", "stands_for"]) and pd.isna(table.loc["seven", "correlation"])
    assert table.loc[~table["kept"], "vif"].isna().all()


def test_of_two_equal_vifs_the_later_column_goes() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):  # the two VIFs of a pair are equal; rounding may tip either way
        first = rng.normal(size=200)
        table = remove_collinear(np.column_stack([first, first + 0.05 * rng.normal(size=200)]), ["x", "y"])
        assert table["reason"].tolist() == ["kept", "vif"]
        assert table["stands_for"].tolist()[1] == "x"


def test_stands_for_is_the_most_correlated_kept_column() -> None:
    matrix = correlated(500, 15, 5, 0.05)
    table = remove_collinear(matrix, [f"c{i}" for i in range(15)])
    correlation = np.abs(np.corrcoef(matrix.T))
    kept = np.flatnonzero(table["kept"])
    for i in np.flatnonzero(~table["kept"]):
        best = kept[correlation[i, kept].argmax()]
        assert table["stands_for"][i] == f"c{best}"
        assert abs(table["correlation"][i]) == pytest.approx(correlation[i, best])


def test_precision_survives_near_perfect_columns() -> None:
    """VIFs of 10⁷ go first; the VIFs that remain are those of a fresh inverse."""
    rng = np.random.default_rng(6)
    base = rng.normal(size=(3000, 30))
    matrix = np.hstack([base, base @ rng.normal(size=(30, 30)) + 1e-3 * rng.normal(size=(3000, 30))])
    table = remove_collinear(matrix, [f"c{i}" for i in range(60)])
    assert table["vif"].max() > 1e7
    kept = np.flatnonzero(table["kept"])
    fresh = np.diag(np.linalg.inv(np.corrcoef(matrix[:, kept].T)))
    np.testing.assert_allclose(table["vif"][kept], fresh, rtol=1e-6)


@pytest.mark.parametrize("matrix", [np.zeros((5, 3)), np.zeros((0, 3)), np.eye(3)[:1]])
def test_nothing_varies(matrix: np.ndarray) -> None:
    table = remove_collinear(matrix, ["a", "b", "c"])
    assert table["reason"].tolist() == ["constant"] * 3
    COLLINEARITY.check(table)


def test_missing_values_count_as_the_mean_and_input_is_untouched() -> None:
    matrix = np.random.default_rng(8).normal(size=(100, 3)).astype(np.float32)
    matrix[:10, 0] = np.nan
    before = matrix.copy()
    filled = np.where(np.isnan(matrix), np.nanmean(matrix.astype(float), axis=0), matrix)
    pd.testing.assert_frame_equal(remove_collinear(matrix, list("abc")), remove_collinear(filled, list("abc")))
    np.testing.assert_array_equal(matrix, before)
    COLLINEARITY.check(remove_collinear(matrix, list("abc")))


def slow_removal(matrix: np.ndarray, limit: float) -> list[int]:
    """Independent, varying columns only: a fresh inverse each round."""
    alive, removed = list(range(matrix.shape[1])), []
    correlation = np.corrcoef(matrix.T)
    while (vif := np.diag(np.linalg.inv(correlation[np.ix_(alive, alive)]))).max() > limit:
        removed.append(alive.pop(int(vif.argmax())))
    return removed


def test_more_columns_than_a_block_with_dependent_ones_in_each() -> None:
    rng = np.random.default_rng(9)
    count = 2 * BLOCK + 30
    free = correlated(1500, count, 9, 0.5)
    matrix = free.copy()
    twins = {
        BLOCK - 1: 3,
        BLOCK: 5,
        BLOCK + 7: BLOCK + 2,
        2 * BLOCK + 20: 1,
    }  # a column, and the earlier one it repeats
    for later, earlier in twins.items():
        matrix[:, later] = -2 * matrix[:, earlier] + 5
    matrix[:, 2 * BLOCK] = matrix[:, 0] + matrix[:, BLOCK + 1]
    matrix[:, [10, BLOCK + 10]] = rng.normal(size=2)
    table = remove_collinear(matrix, [f"c{i}" for i in range(count)])
    assert table.index[table["reason"] == "constant"].tolist() == [10, BLOCK + 10]
    perfect = table.index[table["reason"] == "perfect"].tolist()
    assert perfect == sorted([*twins, 2 * BLOCK])
    rest = [i for i in range(count) if i not in {10, BLOCK + 10, *perfect}]
    dropped = table[table["reason"] == "vif"].sort_values("step").index.tolist()
    assert len(dropped) > 20
    assert dropped == [rest[i] for i in slow_removal(matrix[:, rest], 10.0)]


def test_the_order_does_not_depend_on_the_order_of_the_windows() -> None:
    rng = np.random.default_rng(10)
    base = correlated(600, 40, 10, 0.4)
    matrix = np.hstack([base, base[:, :10] + 1e-3 * rng.normal(size=(600, 10))]).astype(np.float32)
    names = [f"c{i}" for i in range(50)]
    first = remove_collinear(matrix, names)
    other = remove_collinear(matrix[rng.permutation(600)], names)
    exact = ["column", "kept", "reason", "step", "stands_for"]
    pd.testing.assert_frame_equal(first[exact], other[exact])
    assert first["reason"].value_counts()["vif"] > 10


def test_a_column_without_any_value_is_constant() -> None:
    matrix = np.random.default_rng(11).normal(size=(50, 3)).astype(np.float32)
    matrix[:, 1] = np.nan
    assert remove_collinear(matrix, list("abc"))["reason"].tolist() == ["kept", "constant", "kept"]
