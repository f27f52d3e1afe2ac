"""value.py: who gives much is expected to; who churns teaches nothing; test teaches nothing; nothing from nothing."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, mean_tweedie_deviance

from tschurn.contracts import EXPECTED_VALUES, VALUE_MODEL
from tschurn.models.value import expected_values, judged

planted = runpy.run_path(str(Path(__file__).parent / "test_ablation.py"))["planted"]


def made(users: int = 300):
    """Windows, and MONEY: of those who stay, a compound Poisson amount that grows with the first column of history."""
    windows = planted(users)
    index = windows.index
    index["churned"] = np.where(index["split"] == "open", 0, index["churned"])
    rng = np.random.default_rng(3)
    level = np.exp(windows.history(np.arange(len(index)))[:, 0] / 2)
    number = rng.poisson(0.4 * level / level.mean())
    value = np.array([rng.gamma(2.0, 50.0, n).sum() for n in number])
    value[index["churned"].to_numpy(float) == 1] = 1e6  # what churners have is another question: it must not be seen
    closed = (index["split"] != "open").to_numpy()
    money = pd.DataFrame({"value_next": np.where(closed, value, np.nan), "value_28": np.where(closed, value, 0.0)})
    return windows, money, level


@pytest.fixture(scope="module")
def found():
    windows, money, level = made()
    return windows, money, level, expected_values(windows, money, 7, 5, 1)


def test_the_tables_keep_their_contracts(found) -> None:
    windows, _, _, tables = found
    EXPECTED_VALUES.check(tables["expected_values"])
    VALUE_MODEL.check(tables["value_model"])
    fits = tables["expected_values"].groupby("fit").size()
    newest = windows.index["anchor"] == windows.index["anchor"].max()
    assert fits.to_dict() == {"evaluated": (windows.index["split"] == "test").sum(), "refit": newest.sum()}


def test_what_drives_the_value_is_learned_and_churners_are_left_out(found) -> None:
    windows, _, level, tables = found
    rows = (windows.index["split"] == "test").to_numpy()
    table = tables["expected_values"]
    expected = table.loc[table["fit"] == "evaluated", "expected"].to_numpy()
    assert np.corrcoef(expected, level[rows])[0, 1] > 0.7
    assert expected.min() > 0 and expected.max() < 5_000  # a churner's million would show
    assert table.loc[table["fit"] == "refit", "expected"].max() < 5_000
    by = tables["value_model"].set_index("by")
    assert by.loc["model", "spearman"] > 0.1 and by.loc["model", "d2"] > 0
    assert by.loc["model", "error"] < by.loc["mean", "error"]
    assert by.loc["model", "expected"] == pytest.approx(by.loc["model", "mean"], rel=0.3)


def test_the_future_of_test_windows_changes_no_expectation_of_them(found) -> None:
    windows, money, _, tables = found
    test = (windows.index["split"] == "test").to_numpy()
    rng = np.random.default_rng(0)
    other = money.assign(value_next=money["value_next"].mask(test, rng.gamma(1, 1e4, len(money))))
    again = expected_values(windows, other, 7, 5, 1)["expected_values"]
    before = tables["expected_values"]
    same = before["fit"] == "evaluated"
    pd.testing.assert_frame_equal(before[same], again[same])
    assert not np.allclose(before.loc[~same, "expected"], again.loc[~same, "expected"])  # the refit learns from test


def test_won_and_cents_are_the_same(found) -> None:
    windows, money, _, tables = found
    cents = expected_values(windows, money * 1000, 7, 5, 1)["expected_values"]
    np.testing.assert_allclose(cents["expected"], 1000 * tables["expected_values"]["expected"], rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, np.nan, -3.0])
def test_where_nobody_has_had_anything_there_is_no_model(value: float) -> None:
    windows, money, _ = made(60)
    tables = expected_values(windows, money.assign(value_next=value), 7, 5, 1)
    for table, contract in (("expected_values", EXPECTED_VALUES), ("value_model", VALUE_MODEL)):
        assert tables[table].empty
        contract.check(tables[table])


def test_figures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    value = np.where(rng.random(200) < 0.7, 0, rng.gamma(2, 3, 200))
    guess = rng.gamma(2, 1, 200)
    rows = judged(value, {"model": guess, "none": np.zeros(200)}).set_index("by")
    assert rows.loc["model", "error"] == pytest.approx(mean_absolute_error(value, guess))
    mean = np.full(200, value.mean())
    d2 = 1 - mean_tweedie_deviance(value, guess, power=1.5) / mean_tweedie_deviance(value, mean, power=1.5)
    assert rows.loc["model", "d2"] == pytest.approx(d2)
    tenth = value[np.argsort(-guess)[:20]].sum() / value.sum()
    assert rows.loc["model", "top_decile"] == pytest.approx(tenth)
    assert rows.loc["none", ["spearman", "top_decile", "d2"]].isna().all()
    assert judged(np.zeros(0), {"model": np.zeros(0)}).empty
