"""boruta_shap.py: planted causes are found, noise is not, users are not split between themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tschurn.contracts import SELECTION
from tschurn.explain import boruta_shap
from tschurn.explain.boruta_shap import draw_windows, kept, select


def logs(users: int, anchors: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns 0, 1: causes; 2: a user trait that is a cause; 3-6: noise; 7-12: noise constant per user."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), anchors)
    matrix = rng.normal(size=(len(user), 13)).astype(np.float32)
    matrix[:, 2] = rng.normal(size=users)[user]
    matrix[:, 7:] = rng.normal(size=(users, 6))[user]
    log_odds = 1.5 * matrix[:, 0] - 1.2 * matrix[:, 1] + 1.2 * matrix[:, 2] + 1.5 * rng.normal(size=users)[user]
    return matrix, (rng.random(len(user)) < 1 / (1 + np.exp(-log_odds))).astype(np.int8), user


NAMES = [f"c{i}" for i in range(13)]


@pytest.mark.parametrize("users", [200, 1000])
def test_causes_accepted_and_noise_not(users: int) -> None:
    matrix, y, user = logs(users, 8, 1)
    table = select(matrix, NAMES, y, user, trials=15, seed=0)
    assert table["decision"].tolist()[:3] == ["accepted"] * 3
    assert set(kept(table)) == {"c0", "c1", "c2"}
    rejected = table["decision"] == "rejected"
    assert rejected.sum() >= 8
    # A column that never wins leaves as soon as the test can tell, and takes part no longer.
    soonest = next(n for n in range(1, 16) if boruta_shap._decide(np.array([0]), n, 13)[0] == "rejected")
    assert (table["trials"][rejected & (table["hits"] == 0)] == soonest).all()
    assert table["importance"][:3].min() > table["importance"][3:].max()
    accepted = table[table["decision"] == "accepted"]
    assert (accepted["importance"] > accepted["shadow_max"]).all()
    SELECTION.check(table.assign(target="churn"))


def test_rows_of_one_user_do_not_make_noise_look_useful() -> None:
    """Churn is a trait of the user; columns constant per user can only tell users apart. None may stay."""
    found = 0
    for seed in range(2):
        rng = np.random.default_rng(seed)
        user = np.repeat(np.arange(60), rng.integers(8, 14, 60))
        matrix = rng.normal(size=(60, 12))[user].astype(np.float32)
        y = (rng.random(len(user)) < 1 / (1 + np.exp(-3 * rng.normal(size=60)[user]))).astype(int)
        found += (select(matrix, NAMES[:12], y, user, trials=15, seed=seed)["decision"] == "accepted").sum()
    assert found == 0


def test_regression_is_chosen_by_y() -> None:
    matrix, _, user = logs(600, 4, 2)
    y = 20 + 3 * matrix[:, 4] + np.random.default_rng(0).normal(size=len(user))  # as classes: one only
    assert kept(select(matrix, NAMES, y, user, trials=12, seed=0)) == ["c4"]


def test_same_seed_same_table_and_another_order_of_columns_same_verdict() -> None:
    matrix, y, user = logs(300, 2, 3)
    matrix, columns = matrix[:, :6], NAMES[:6]
    first = select(matrix, columns, y, user, trials=10, seed=5)
    pd.testing.assert_frame_equal(first, select(matrix, columns, y, user, trials=10, seed=5))
    assert not first.equals(select(matrix, columns, y, user, trials=10, seed=6))
    turned = select(matrix[:, ::-1], columns[::-1], y, user, trials=10, seed=5)
    assert {"c0", "c1"} <= set(kept(first)) & set(kept(turned))


def test_trials_end_when_all_is_decided_and_rejected_columns_leave() -> None:
    matrix, y, user = logs(800, 2, 4)
    seen = []
    table = select(
        matrix[:, [0, 3]], ["cause", "noise"], y, user, trials=60, seed=0, progress=lambda *a: seen.append(a)
    )
    assert table["decision"].tolist() == ["accepted", "rejected"]
    assert table["trials"].max() < 60
    assert table["trials"][1] <= table["trials"][0]
    assert len(seen) == table["trials"].max() + 1 and seen[-1][1:3] == (60, 60)


@pytest.mark.parametrize("trials", [5, 12, 13, 20, 30, 60])
@pytest.mark.parametrize("tests", [1, 2, 20, 60, 150])
def test_decisions_are_two_sided_binomial_tests_with_bonferroni(trials: int, tests: int) -> None:
    hits = np.arange(trials + 1)
    p = np.array([stats.binomtest(int(h), trials, 0.5).pvalue for h in hits]) * tests
    wanted = np.where(p >= 0.05, "tentative", np.where(hits > trials / 2, "accepted", "rejected"))
    assert boruta_shap._decide(hits, trials, tests).tolist() == wanted.tolist()


def test_kept_takes_tentative_columns_that_won_most_trials() -> None:
    table = pd.DataFrame(
        {
            "column": list("abcd"),
            "decision": ["accepted", "tentative", "tentative", "rejected"],
            "hits": [9, 6, 5, 8],
            "trials": [10, 10, 10, 10],
        }
    )
    assert kept(table) == ["a", "b"]


def test_a_draw_is_of_distinct_windows_at_random() -> None:
    rng = np.random.default_rng(0)
    user = rng.permutation(np.repeat(np.arange(100), np.r_[np.full(50, 1), np.full(50, 20)]))
    rows, owner, slot, slots = draw_windows(user, np.random.default_rng(1), 1_000)
    assert len(np.unique(rows)) == len(rows) == slots.sum()
    assert (slots == np.r_[np.full(50, 1), np.full(50, boruta_shap.MOST_SLOTS)]).all()
    assert (user[rows] == owner).all()  # users are 0 .. 99
    assert (slot == pd.Series(owner).groupby(owner).cumcount()).all()
    again = draw_windows(user, np.random.default_rng(2), 1_000)[0]
    assert len(np.intersect1d(rows, again)) < len(rows)


def test_many_users_give_one_window_each() -> None:
    user = np.repeat(np.arange(6000), 3)
    rows, owner, _, slots = draw_windows(user, np.random.default_rng(0), 5_000)
    assert len(rows) == 5_000 and (slots == 1).all() and len(np.unique(user[rows])) == len(rows)
    assert len(np.unique(owner)) == len(rows)
    assert len(draw_windows(user, np.random.default_rng(0), 10_000)[0]) == 6000


@pytest.mark.parametrize(("columns", "users"), [(1, 300), (20, 200), (100, 40), (1_000, 40)])
def test_a_trial_has_as_many_users_as_values_fit(columns: int, users: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the true sizes: all 27,662 training windows of the founding project's 252 columns, 5,000 of thousands."""
    assert boruta_shap.MOST_VALUES >= 27_662 * 252 and boruta_shap.FEWEST_USERS == 5_000
    monkeypatch.setattr(boruta_shap, "MOST_VALUES", 4_000)
    monkeypatch.setattr(boruta_shap, "FEWEST_USERS", 40)
    monkeypatch.setattr(boruta_shap, "TRIAL_ROWS", 1)
    seen = []

    def importances(values: np.ndarray, feature: np.ndarray, *_: object) -> np.ndarray:
        seen.append(len(values))
        return np.zeros(feature.max() + 1)

    monkeypatch.setattr(boruta_shap, "_importances", importances)
    matrix = np.zeros((300, columns), dtype=np.float32)
    select(matrix, [f"c{i}" for i in range(columns)], np.arange(300) % 2, np.arange(300), trials=1, seed=0)
    assert seen == [users]


def test_a_shadow_trades_whole_users_with_equally_many_windows() -> None:
    slots = np.r_[np.full(40, 1), np.full(40, 3)]
    owner = np.repeat(np.arange(80), slots)
    slot = np.concatenate([np.arange(s) for s in slots])
    # Column 0 names the user, column 1 the slot: a shadow keeps slots and moves users as a whole.
    real = np.column_stack([owner, slot, owner]).astype(np.float32)
    # Columns 0 and 2 are of two features, column 3 is of the first.
    real = np.column_stack([real, owner + 1000]).astype(np.float32)
    shadow = np.full_like(real, np.nan)
    boruta_shap._shuffle(real, shadow, np.array([0, 1, 2, 0]), owner, slot, slots, np.random.default_rng(0))
    assert (shadow[:, 1] == slot).all()
    partner = shadow[slot == 0, 0].astype(int)
    assert sorted(partner) == list(range(80)) and (slots[partner] == slots).all()
    assert (shadow[:, 0] == partner[owner]).all()
    assert (partner == np.arange(80)).mean() < 0.2
    assert (shadow[:, 0] != shadow[:, 2]).any()  # each feature is shuffled anew,
    assert (shadow[:, 3] == shadow[:, 0] + 1000).all()  # its columns together


def weekly(seed: int) -> tuple[np.ndarray, list[str], list[str], np.ndarray, np.ndarray]:
    """Features of seven days each: a weak push on every day of the first, noise on the days of the others."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(700), 6)
    matrix = rng.poisson(0.5, (len(user), 12 * 7)).astype(np.float32)
    matrix[:, 42:] = rng.poisson(0.5, (700, 42))[user]  # half of the noise is constant per user
    log_odds = 0.14 * matrix[:, :7].sum(axis=1) - 0.5 + rng.normal(size=700)[user]
    y = (rng.random(len(user)) < 1 / (1 + np.exp(-log_odds))).astype(int)
    features = [f"f{i // 7}" for i in range(84)]
    return matrix, [f"{f}@{i % 7}" for i, f in enumerate(features)], features, y, user


def test_a_weak_push_on_every_day_is_found_by_testing_its_days_together() -> None:
    matrix, columns, features, y, user = weekly(0)
    together = select(matrix, columns, y, user, trials=20, seed=0, features=features)
    assert kept(together) == columns[:7]
    assert (together.groupby(pd.Series(features))["decision"].nunique() == 1).all()
    apart = select(matrix, columns, y, user, trials=20, seed=0)
    assert len(kept(apart)) < 7


def test_days_together_do_not_make_noise_look_useful() -> None:
    """No more noise features are kept than have a day that is kept when each day races alone; and few."""
    together, apart, many = 0, 0, 0
    for seed in range(4):
        matrix, columns, features, y, user = weekly(seed)
        noise = matrix[:, 7:], columns[7:], y, user
        together += len(kept(select(*noise, trials=12, seed=seed, features=features[7:]))) // 7
        apart += len({column.split("@")[0] for column in kept(select(*noise, trials=12, seed=seed))})
        many += len(set(features)) - 1
    assert together <= apart
    assert together < 0.1 * many


def test_a_feature_races_shadows_with_no_more_columns_than_it_has() -> None:
    few = boruta_shap.FEWEST_SHADOWS
    size = np.r_[np.full(few, 1), np.full(few, 3), np.full(few, 7)]
    shadows = np.random.default_rng(0).random(len(size)) + size
    order = np.random.default_rng(1).permutation(len(size))
    bars = boruta_shap._bars(np.array([1, 2, 3, 7, 9]), shadows[order], size[order])
    expected = [shadows[size <= n].max() for n in (1, 2, 3, 7, 9)]
    assert bars.tolist() == expected
    scarce = boruta_shap._bars(np.array([1, 7]), np.array([5.0, 1.0, 9.0]), np.array([7, 1, 3]))
    assert scarce.tolist() == [9.0, 9.0]


def test_missing_values_are_values_and_results_stay_finite() -> None:
    """A column that is missing where users stay is a cause; one missing at random, or throughout, is not."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(500), 2)
    y = rng.integers(0, 2, len(user))
    matrix = rng.normal(size=(len(user), 6)).astype(np.float32)
    matrix[(y == 1) & (rng.random(len(user)) < 0.7), 0] = np.nan
    matrix[rng.random(len(user)) < 0.4, 1] = np.nan
    matrix[:, 2] = np.nan
    table = select(matrix, NAMES[:6], y, user, trials=14, seed=0)
    assert kept(table) == ["c0"]
    assert table["decision"].tolist()[:3] == ["accepted", "rejected", "rejected"]
    assert np.isfinite(table[["importance", "shadow_max"]].to_numpy()).all()


@pytest.mark.parametrize("cause", [True, False])
def test_one_feature_races_enough_shadows(cause: bool) -> None:
    matrix, y, user = logs(700, 2, 6)
    column = 0 if cause else 3
    table = select(matrix[:, [column]], ["only"], y, user, trials=20, seed=0)
    assert table["decision"].tolist() == ["accepted" if cause else "rejected"]
    assert table["trials"].max() < 20


def test_thousands_of_features_are_sifted() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(400, 2_000)).astype(np.float32)
    y = (rng.random(400) < 1 / (1 + np.exp(-4 * matrix[:, 7]))).astype(int)
    columns = [f"c{i}" for i in range(2_000)]
    table = select(matrix, columns, y, np.arange(400), trials=3, seed=0)  # too few to decide: the majority counts
    assert "c7" in kept(table) and len(kept(table)) <= 3
    assert np.isfinite(table[["importance", "shadow_max"]].to_numpy()).all()
    assert table["importance"].idxmax() == 7


@pytest.mark.parametrize("rows", [0, 40])
def test_where_nothing_can_be_learned_nothing_is_decided(rows: int) -> None:
    """No rows, or one class: no trial is held, which is not the same as having lost all of them."""
    matrix, _, user = logs(40, 1, 5)
    table = select(matrix[:rows], NAMES, np.ones(rows), user[:rows], trials=30, seed=0)
    assert (table["decision"] == "tentative").all() and (table["trials"] == 0).all() and kept(table) == []
    SELECTION.check(table.assign(target="churn"))


@pytest.mark.parametrize("case", ["one class", "no columns", "one row", "constant columns"])
def test_degenerate_input_keeps_nothing(case: str) -> None:
    matrix, y, user = logs(30, 2, 5)
    columns = NAMES
    if case == "one class":
        y = np.zeros_like(y)
    elif case == "no columns":
        matrix, columns = matrix[:, :0], []
    elif case == "one row":
        matrix, y, user = matrix[:1], y[:1], user[:1]
    else:
        matrix = np.ones_like(matrix)
    table = select(matrix, columns, y, user, trials=6, seed=0)
    assert len(table) == len(columns) and kept(table) == [] and (table["hits"] == 0).all()
