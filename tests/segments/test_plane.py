"""The plane's cells against a plain loop; what is not known is null."""

import runpy
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import PLANE, PREDICTIONS
from tschurn.segments import plane

made = runpy.run_path(str(Path(__file__).parent / "test_priority.py"))
experiment, scores, NEWEST, table_at = (made[n] for n in ("experiment", "scores", "NEWEST", "table_at"))
THEN = NEWEST - timedelta(days=14)
USED = pd.DataFrame({"target": ["churn", "sticker"], "used": ["gru", "recency"]})


def threshold(likely_churn=0.5, likely_sticker=0.4):
    return pd.DataFrame({"likely_churn": [likely_churn], "likely_sticker": [likely_sticker]})


def predictions(p_churn, p_sticker, churned, sticker):
    keys = pd.DataFrame({"user_id": range(len(p_churn)), "anchor_day": THEN, "split": "test"})
    parts = [keys.assign(target="churn", model="gru", p=p_churn, y=churned),
             keys.assign(target="sticker", model="recency", p=p_sticker, y=sticker),
             keys.assign(target="churn", model="other", p=0.99, y=churned),
             keys.assign(target="churn", model="gru", p=0.01, y=churned, split="train",
                         anchor_day=THEN - timedelta(days=28))]  # fmt: skip
    early = keys.assign(split="train", anchor_day=THEN - timedelta(days=35))  # not of the test weeks
    parts += [early.assign(target=t, model=m, p=0.01, y=1) for t, m in USED.itertuples(index=False)]
    table = pd.concat(parts, ignore_index=True).astype({"y": "int8"})
    PREDICTIONS.check(table)
    return table


def money(values, day):
    value = pd.array(values, dtype="Float64")
    return pd.DataFrame({"user_id": range(len(values)), "anchor_day": day, "value_28": value})


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    now, then = np.round(rng.random((2, 200)), 2), np.round(rng.random((2, 500)), 2)
    now[:, 0] = 1.0
    happened = (rng.random((2, 500)) < then).astype(int)
    worth = pd.concat([money(rng.integers(0, 50, 200), NEWEST), money(rng.integers(0, 50, 500), THEN)])
    priority = table_at(scores(*now), 0.5)
    return priority, predictions(*then, *happened), worth


def made_plane(priority, tested, worth, rule=None, used=USED):
    table = plane.plane(priority, threshold() if rule is None else rule, worth, tested, used)
    PLANE.check(table)
    return table


def test_every_cell_is_that_of_a_plain_loop(drawn):
    priority, tested, worth = drawn
    table = made_plane(*drawn)
    assert sorted(set(table["churn_from"])) == [0, 0.25, 0.5, 0.75]
    assert (table["users"].sum(), table["windows"].sum()) == (200, 500)
    test = tested[tested["split"] == "test"]
    wide = {t: test[(test["target"] == t) & (test["model"] == m)].set_index("user_id") for t, m in USED.to_numpy()}
    value = {(row.user_id, row.anchor_day): row.value_28 for row in worth.itertuples()}
    for cell in table.itertuples():

        def inside(p, q, cell=cell):
            return (cell.churn_from <= p < cell.churn_to or p == cell.churn_to == 1) and (
                cell.sticker_from <= q < cell.sticker_to or q == cell.sticker_to == 1
            )  # fmt: skip

        here = [u for u in priority.itertuples() if inside(u.p_churn, u.p_sticker)]
        past = [u for u in wide["churn"].index if inside(wide["churn"].p[u], wide["sticker"].p[u])]
        assert (cell.users, cell.windows) == (len(here), len(past)) and min(cell.users, cell.windows) > 0
        assert cell.value_28 == sum(value[u.user_id, NEWEST] for u in here)
        assert cell.windows_value_28 == sum(value[u, THEN] for u in past)
        assert cell.churned == pytest.approx(np.mean([wide["churn"].y[u] for u in past]))
        assert cell.sticker == pytest.approx(np.mean([wide["sticker"].y[u] for u in past]))


def test_cells_end_at_what_counts_as_likely():
    windows = pd.DataFrame({"p_sticker": np.linspace(0, 0.2, 101)})
    churn, sticker = plane.cell_edges(0.4, 0.18, windows)
    np.testing.assert_allclose(churn, [0, 0.2, 0.4, 0.7, 1])
    np.testing.assert_allclose(sticker, [0, 0.1, 0.18, 1])  # 0.15 is 0.1 or 0.2 in one digit
    assert plane.cell_edges(0.4, None, windows).sticker.tolist()[-1] == 1
    assert (
        plane.cell_edges(0.4, np.nan, windows).sticker.tolist() == plane.cell_edges(0.4, None, windows).sticker.tolist()
    )
    assert plane.cell_edges(0.5, 0.5, pd.DataFrame({"p_sticker": [0.0] * 9})).sticker.tolist() == [0, 0.5, 1]


def test_what_is_not_known_is_null(drawn):
    priority, tested, worth = drawn
    table = made_plane(priority, tested.iloc[:0], worth.assign(value_28=pd.array([None] * len(worth), dtype="Float64")))
    assert table["users"].sum() == 200 and table["windows"].eq(0).all()
    assert table[["value_28", "windows_value_28", "churned", "sticker"]].isna().all(axis=None)
    empty = made_plane(priority.iloc[:0], tested, worth)
    assert empty["windows"].sum() == 500 and empty["users"].eq(0).all() and empty["value_28"].isna().all()
    corner = made_plane(table_at(scores([0.1, 0.1], [0.1, 0.1]), 0.5), tested.iloc[:0], worth)
    assert corner["value_28"].notna().sum() == 1


def test_without_a_sticker_target_there_is_no_plane(drawn):
    _, tested, worth = drawn
    priority = table_at(scores([0.2, 0.9]), 0.5)
    churn_only = tested[tested["target"] == "churn"]
    assert made_plane(priority, churn_only, worth, used=USED.iloc[:1]).empty
    assert made_plane(priority.iloc[:0], churn_only.iloc[:0], worth.iloc[:0]).empty
