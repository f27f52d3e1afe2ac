"""Rates by value against plain pandas, their errors against statsmodels, bins by their properties."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tschurn import contracts
from tschurn.contracts import DECILES
from tschurn.exploration import deciles as module
from tschurn.exploration.deciles import LEAST_USERS, TENTHS, binned, deciles, training

values = arrays(float, st.integers(1, 300), elements=st.one_of(
    st.sampled_from([0.0, 0.0, 1.0, 2.0, -1.0, np.nan]), st.floats(-50, 50)))  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(values)
def test_bins_are_ordered_and_keep_equal_values_together(x: np.ndarray) -> None:
    bins = binned(x)
    known = ~np.isnan(x)
    assert np.array_equal(np.unique(bins), np.arange(bins.max() + 1))
    edges = pd.Series(x[known]).groupby(bins[known]).agg(["min", "max"])
    assert (edges["max"].to_numpy()[:-1] < edges["min"].to_numpy()[1:]).all()
    if not known.all():
        assert np.array_equal(bins == bins.max(), ~known)
    zero = x == 0
    alone = zero.mean() >= 1 / TENTHS
    if alone:
        assert np.array_equal(bins == bins[zero][0], zero)
    sizes = np.bincount(bins)
    sides = np.sign(edges["max"].to_numpy()) if alone else np.ones(len(edges))
    for side in np.unique(sides[sides != 0] if alone else sides):
        some = sizes[: len(edges)][sides == side]
        assert len(some) == 1 or some.min() >= len(x) / TENTHS / 2


def test_continuous_values_fall_into_tenths() -> None:
    x = np.random.default_rng(1).normal(size=1000) + 10
    assert np.bincount(binned(x)).tolist() == [100] * TENTHS
    assert np.bincount(binned(np.where(np.arange(1000) < 500, 0.0, x))).tolist() == [500] + [100] * 5


@pytest.fixture(scope="module")
def windows() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Windows of users who differ: a variable that tells, one that does not, one constant."""
    random = np.random.default_rng(2)
    user = np.sort(random.integers(0, 150, 3000))
    taste = random.normal(size=150)[user]
    x = random.poisson(np.exp(taste)).astype(float)
    p = 1 / (1 + np.exp(1 + 0.8 * taste - 0.2 * np.minimum(x, 3)))
    profile = pd.DataFrame({"user_id": user, "noise": random.normal(size=3000), "x": x, "flat": 1.0})
    labels = pd.DataFrame(
        {
            "user_id": user,
            "churned": (random.random(3000) < p).astype(int),
            "sticker": pd.array(np.where(random.random(3000) < 0.9, x > 2, np.nan), dtype="Float64"),
        }
    )
    return profile, labels.astype({"churned": "Int8", "sticker": "Int8"})


@pytest.fixture(scope="module")
def table(windows) -> pd.DataFrame:
    found = deciles(*windows)
    DECILES.check(found)
    return found


def test_rates_are_those_of_plain_pandas(windows, table) -> None:
    profile, labels = windows
    for row in table[table["variable"] != "flat"].to_dict("records"):
        label = {"churn": "churned", "sticker": "sticker"}[row["target"]]
        known = labels[label].notna()
        inside = known & profile[row["variable"]].between(row["from"], row["to"])
        assert row["windows"] == inside.sum() > 0
        assert row["users"] == profile.loc[inside, "user_id"].nunique()
        assert row["rate"] == pytest.approx(labels.loc[inside, label].astype(float).mean())


def test_the_error_is_that_of_a_regression_clustered_by_user(windows) -> None:
    profile, labels = windows
    bins = binned(profile["x"].to_numpy())
    y = labels["churned"].astype(float).to_numpy()
    fit = sm.OLS(y, pd.get_dummies(bins).to_numpy(float)).fit(
        cov_type="cluster", cov_kwds={"groups": profile["user_id"], "use_correction": False}
    )
    found = deciles(profile, labels.assign(sticker=np.nan)).query("variable == 'x'")
    g = found["users"].to_numpy()
    variance = fit.bse**2 * g / (g - 1)
    n = np.minimum(fit.params * (1 - fit.params) / variance, found["windows"])
    z = 1.959963984540054
    centre = (fit.params + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(fit.params * (1 - fit.params) / n + z**2 / (4 * n**2))
    np.testing.assert_allclose(found["low"], centre - half, atol=1e-9)
    np.testing.assert_allclose(found["high"], centre + half, atol=1e-9)


def test_windows_that_only_repeat_their_user_make_no_interval_shorter() -> None:
    random = np.random.default_rng(4)
    x, y = random.normal(size=200), (random.random(200) < 0.3).astype(int)
    frames = []
    for times in (1, 30):
        user = np.repeat(np.arange(200), times)
        labels = pd.DataFrame({"user_id": user, "churned": np.repeat(y, times), "sticker": np.nan})
        frames.append(deciles(pd.DataFrame({"user_id": user, "x": np.repeat(x, times)}), labels))
    width = [(f["high"] - f["low"]).to_numpy() for f in frames]
    np.testing.assert_allclose(*width, rtol=0.05)
    assert frames[1]["windows"].sum() == 30 * frames[0]["windows"].sum()


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(5)
    held = []
    for _ in range(120):
        user = np.repeat(np.arange(150), 8)
        p = random.beta(2, 3, 150)[user]  # mean 0.4, users differ much
        labels = pd.DataFrame({"user_id": user, "churned": (random.random(1200) < p).astype(int), "sticker": np.nan})
        found = deciles(pd.DataFrame({"user_id": user, "x": random.normal(size=1200)}), labels)
        held += list((found["low"] < 0.4) & (found["high"] > 0.4))
    assert 0.92 <= np.mean(held) <= 0.98


def test_variables_are_ranked_by_the_spread_of_their_rates(table) -> None:
    churn = table[table["target"] == "churn"].drop_duplicates("variable").set_index("variable")
    assert churn["rank"].to_dict() == {"x": 1, "noise": 2, "flat": 3}
    assert np.isnan(churn.loc["flat", "spread"])
    rates = table.query("target == 'churn' and variable == 'x'")
    rates = rates[(rates["users"] >= LEAST_USERS)]["rate"]
    assert churn.loc["x", "spread"] == pytest.approx(rates.max() - rates.min())


def test_a_bin_of_few_users_makes_no_spread() -> None:
    user = np.repeat(np.arange(100), 10)
    x = (user < LEAST_USERS - 1).astype(float)  # nearly a fifth of the windows, of one user too few
    labels = pd.DataFrame({"user_id": user, "churned": x.astype(int), "sticker": np.nan})
    one = deciles(pd.DataFrame({"user_id": user, "x": x}), labels)
    assert one["spread"].isna().all() and one["rate"].tolist() == [0, 1]
    labels["churned"] = (x2 := (user < LEAST_USERS).astype(float)).astype(int)
    assert deciles(pd.DataFrame({"user_id": user, "x": x2}), labels)["spread"].tolist() == [1, 1]


def test_a_bin_of_few_windows_makes_no_spread() -> None:
    spreads = []
    for each in (99, 101):  # windows of each of 30 users, and one of another value
        user = np.concatenate([np.repeat(np.arange(30), each), np.arange(30)])
        x = np.concatenate([np.zeros(30 * each), np.ones(30)])
        labels = pd.DataFrame({"user_id": user, "churned": x.astype(int), "sticker": np.nan})
        spreads.append(deciles(pd.DataFrame({"user_id": user, "x": x}), labels)["spread"].tolist())
    assert spreads[0] == [1, 1] and np.isnan(spreads[1]).all()


def test_both_targets_have_the_same_bins(table, windows) -> None:
    edges = {t: part[["variable", "bin", "from", "to"]].reset_index(drop=True) for t, part in table.groupby("target")}
    pd.testing.assert_frame_equal(edges["churn"], edges["sticker"])
    profile, labels = windows
    labels = labels.assign(sticker=labels["sticker"].where(profile["x"] > 0))  # a bin that the target does not know
    one = deciles(profile, labels).query("variable == 'x'").groupby("target")["bin"].agg(list)
    assert one["churn"][1:] == one["sticker"] and one["churn"][0] == 0


def test_where_all_agree_each_user_counts_once() -> None:
    labels = pd.DataFrame({"user_id": np.repeat(np.arange(40), 5), "churned": 0, "sticker": np.nan})
    found = deciles(pd.DataFrame({"user_id": labels["user_id"], "x": 1.0}), labels)
    assert found["rate"].tolist() == [0] and found["low"].tolist() == [0]
    assert found["high"].item() == pytest.approx(3.8415 / (40 + 3.8415), rel=1e-3)


def test_one_user_has_no_interval_and_no_spread() -> None:
    labels = pd.DataFrame({"user_id": [1, 1, 1], "churned": [0, 1, 1], "sticker": np.nan})
    found = deciles(pd.DataFrame({"user_id": [1, 1, 1], "x": [0.0, 1.0, 2.0]}), labels)
    DECILES.check(found)
    assert found[["low", "high", "spread"]].isna().all(axis=None)


def test_no_windows_or_labels_no_rows() -> None:
    nothing = pd.DataFrame({"user_id": [], "churned": [], "sticker": []})
    for profile, labels in (
        (pd.DataFrame({"user_id": [], "x": []}), nothing),
        (
            pd.DataFrame({"user_id": [1], "x": [1.0]}),
            pd.DataFrame({"user_id": [1], "churned": [None], "sticker": None}),
        ),
        (pd.DataFrame({"user_id": [1]}), pd.DataFrame({"user_id": [1], "churned": [1], "sticker": None})),
    ):
        found = deciles(profile, labels)
        assert found.empty and DECILES.check(found).num_rows == 0


def index_of(users: int, each: int) -> pd.DataFrame:
    split = np.tile(["train", "train", "test", "validation"], users * each)[: users * each]
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(users), each), "split": split,
                          "churned": 1, "sticker": 0}).sample(frac=1, random_state=3)  # fmt: skip
    frame.loc[frame.index % 8 == 0, "churned"] = 0
    return frame.reset_index(drop=True).astype({"churned": "Int8", "sticker": "Int8"})


def test_only_training_windows_are_looked_at(experiment) -> None:
    index = index_of(10, 8)
    rows, labels = training(index, experiment().targets, 1)
    assert np.array_equal(rows, np.flatnonzero(index["split"] == "train"))
    pd.testing.assert_frame_equal(labels, index[["user_id", "churned", "sticker"]].iloc[rows].reset_index(drop=True))


def test_whole_users_are_drawn_where_there_are_too_many(experiment, monkeypatch) -> None:
    index = index_of(50, 8)
    monkeypatch.setattr(module, "DECILE_WINDOWS", 61)
    rows, labels = training(index, experiment().targets, 1)
    assert 57 <= len(rows) <= 61 and (labels.groupby("user_id").size() == 4).all()
    assert set(index["split"].iloc[rows]) == {"train"}
    assert np.array_equal(rows, training(index, experiment().targets, 1)[0])
    assert not np.array_equal(rows, training(index, experiment().targets, 2)[0])


def test_stickers_given_that_users_stay_are_counted_among_those(experiment) -> None:
    targets = experiment(sticker={"events": ["gift"], "given": "stays"}).targets
    _, labels = training(index_of(10, 8), targets, 1)
    assert labels.loc[labels["churned"] == 1, "sticker"].isna().all()
    assert (labels.loc[labels["churned"] == 0, "sticker"] == 0).all()


def test_the_contract_names_what_is_drawn() -> None:
    assert contracts.DECILE_WINDOWS == module.DECILE_WINDOWS
    assert f"at least {LEAST_USERS} users" in DECILES.about
