"""The lists of the test weeks against plain slow versions: ties by all their orders, replicates by copied rows."""

from datetime import date, timedelta
from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.contracts import EXPECTED_VALUES, MONEY, PREDICTIONS, SCORES_COMPARED
from tschurn.segments.weeks import Weeks, held, interval, list_sizes, scored_windows

USED = pd.DataFrame({"target": ["churn", "sticker"], "used": ["gru", "average"]})
MODELS = ("gru", "average", "lightgbm_history", "lightgbm_7days")
DAYS = [date(2024, 1, 1) + timedelta(days=7 * week) for week in range(4)]


def run(users=30, seed=0, models=MODELS):
    """PREDICTIONS, MONEY and EXPECTED_VALUES of some users at four anchors, the first of them in training."""
    rng = np.random.default_rng(seed)
    keys = pd.DataFrame([(u, day) for u in range(users) for day in DAYS if rng.random() < 0.8])
    keys.columns = ["user_id", "anchor_day"]
    keys["split"] = np.where(keys["anchor_day"] == DAYS[0], "train", "test")
    y = rng.random((2, len(keys))) < 0.4
    predictions = pd.concat([
        keys.assign(target=target, model=model, p=rng.random(len(keys)), y=y[t].astype(np.int8))
        for t, target in enumerate(USED["target"]) for model in models
    ])  # fmt: skip
    stickers = rng.poisson(1, len(keys)).astype(float)
    worth = stickers * rng.integers(1, 9, len(keys))
    money = keys[["user_id", "anchor_day"]].assign(
        recency=rng.integers(0, 7, len(keys)), stickers_7=np.floor(stickers / 2), stickers_28=stickers, value_28=worth,
        value_next=0.0,
    )  # fmt: skip
    test = (keys["split"] == "test").to_numpy()
    evaluated = keys.loc[test, ["user_id", "anchor_day"]].assign(fit="evaluated", expected=worth[test] / 3)
    expected = pd.concat([evaluated, evaluated.tail(1).assign(fit="refit", expected=99.0)])
    PREDICTIONS.check(predictions)
    MONEY.check(money.astype({"recency": "int32"}))
    EXPECTED_VALUES.check(expected)
    return predictions.sample(frac=1, random_state=1), money.sample(frac=1, random_state=2), expected


def lookup(table, user, day):
    return table[(table["user_id"] == user) & (table["anchor_day"] == day)].iloc[0]


def test_every_score_is_what_its_name_says():
    predictions, money, expected = run()
    windows = scored_windows(predictions, USED, money, expected)
    assert list(windows) == ["user_id", "anchor_day", "value", "users", *SCORES_COMPARED]
    keys = predictions.loc[predictions["split"] == "test", ["user_id", "anchor_day"]].drop_duplicates()
    assert len(windows) == len(keys) and windows["anchor_day"].nunique() == 3
    p = predictions.set_index(["target", "model", "user_id", "anchor_day"])
    for row in windows.itertuples():
        at = (row.user_id, row.anchor_day)
        churn, sticker = p.loc[("churn", "gru", *at)], p.loc[("sticker", "average", *at), "p"]
        about, stays = lookup(money, *at), lookup(expected[expected["fit"] == "evaluated"], *at)["expected"]
        assert row.value == (about["value_28"] if churn["y"] else 0)
        assert row.users == (churn["y"] == 1 and about["stickers_28"] > 0)
        assert row.priority == churn["p"] * sticker and row.p_churn == churn["p"]
        assert row.value_at_risk == churn["p"] * stays and row.p_churn_value_28 == churn["p"] * about["value_28"]
        assert row.recency == about["recency"] and row.stickers_7 == about["stickers_7"] and row.random == 0
        light = [p.loc[(target, "lightgbm_history", *at), "p"] for target in ("churn", "sticker")]
        assert row.lightgbm == light[0] * light[1]


def test_scores_that_are_not_known_of_every_window_are_left_out():
    predictions, money, expected = run()
    assert "value_at_risk" not in scored_windows(predictions, USED, money, expected.iloc[1:])
    assert "value_at_risk" not in scored_windows(predictions, USED, money, expected.iloc[:0])
    seven = predictions[predictions["model"] != "lightgbm_history"]
    found = scored_windows(seven, USED, money, expected)
    assert not found["lightgbm"].equals(scored_windows(predictions, USED, money, expected)["lightgbm"])
    neither = seven[seven["model"] != "lightgbm_7days"]
    assert "lightgbm" not in scored_windows(neither, USED, money, expected)


def test_value_below_nothing_is_no_value_at_risk():
    predictions, money, expected = run()
    windows = scored_windows(predictions, USED, money.assign(value_28=-money["value_28"]), expected)
    assert (windows["value"] == 0).all() and windows["users"].sum() > 0


def test_without_a_sticker_target_or_test_windows_there_are_no_windows():
    predictions, money, expected = run()
    churn = predictions[predictions["target"] == "churn"]
    for part, used in ((churn, USED[USED["target"] == "churn"]), (churn, USED),
                       (predictions[predictions["split"] == "train"], USED)):  # fmt: skip
        assert scored_windows(part, used, money, expected).empty
    with pytest.raises(ValueError, match="no test windows"):
        Weeks.of(scored_windows(churn, USED, money, expected), 7)


# --- what a list holds ----------------------------------------------------------------------------
SCORED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=6)


@given(SCORED)
@settings(max_examples=60, deadline=None)
def test_ties_hold_what_the_mean_over_all_their_orders_does(rows):
    score, amount = np.array(rows, dtype=float).T
    n = len(score)
    orders = [o for o in permutations(range(n)) if all(score[a] >= score[b] for a, b in pairwise(o))]
    expected = [np.mean([amount[list(o[:k])].sum() for o in orders]) for k in range(n + 1)]
    found = held(score, amount[:, None], np.ones((1, n), dtype=np.uint8), np.arange(n + 1)[None].astype(float))
    np.testing.assert_allclose(found[0, :, 0], expected, atol=1e-12)


@given(SCORED, st.lists(st.integers(0, 3), min_size=18, max_size=18), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_user_drawn_twice_is_two_users(rows, drawn, share):
    score, amount = np.array(rows, dtype=float).T
    times = np.array(drawn, dtype=np.uint8).reshape(3, 6)[:, : len(score)]
    amounts = np.stack([amount, amount > 2], axis=1)
    found = held(score, amounts, times, times.sum(axis=1)[:, None] * np.array([[share, 1.0]]))
    for r, counts in enumerate(times):
        copies = np.repeat(np.arange(len(score)), counts)
        if not len(copies):
            assert (found[r] == 0).all()
            continue
        ones = np.ones((1, len(copies)), dtype=np.uint8)
        sizes = np.array([[share * len(copies), len(copies)]])
        np.testing.assert_allclose(found[r], held(score[copies], amounts[copies], ones, sizes)[0], atol=1e-9)


def test_a_list_is_cut_at_each_anchor_and_drawn_anchors_count_as_often():
    windows = pd.DataFrame({
        "user_id": ["a", "b", "c", "a", "b"], "anchor_day": [DAYS[1]] * 3 + [DAYS[0]] * 2,
        "score": [3.0, 2.0, 1.0, 9.0, 8.0], "value": [0.0, 5.0, 7.0, 11.0, 0.0],
    })  # fmt: skip
    weeks = Weeks.of(windows, 7, replicates=60)
    assert weeks.size == 2.5
    calls, found = weeks.called(windows["score"].to_numpy(), windows[["value"]].to_numpy(), lambda n: n[:, None] * 0.5)
    # half of three users: a, and half of b; half of two: a
    assert calls[0, 0] == 1.5 + 1 and found[0, 0, 0] == 2.5 + 11
    for r in range(61):
        slow = 0.0
        for anchor, rows in enumerate(([3, 4], [0, 1, 2])):
            copies = [i for i in rows for _ in range(weeks.users[r, weeks.user[i]])]
            size = len(copies) / 2
            for place, i in enumerate(copies):  # best first within an anchor
                slow += weeks.anchors[r, anchor] * windows["value"][i] * min(1, max(0, size - place))
        assert found[r, 0, 0] == pytest.approx(slow)


def test_users_and_anchors_are_both_drawn_and_a_seed_repeats_the_draw():
    windows = scored_windows(run()[0], USED, *run()[1:])
    weeks, again, other = (Weeks.of(windows, seed, replicates=400) for seed in (7, 7, 8))
    for drawn, n in ((weeks.users, windows["user_id"].nunique()), (weeks.anchors, 3)):
        assert drawn.shape == (401, n) and (drawn[0] == 1).all() and (drawn.sum(axis=1) == n).all()
        # of n draws among n each is drawn once on average, with the variance of a binomial
        assert np.abs(drawn[1:].mean(axis=0) - 1).max() < 0.2
        assert drawn[1:].var() == pytest.approx(1 - 1 / n, abs=0.08)
    assert (weeks.users == again.users).all() and not (weeks.users == other.users).all()


def test_in_pieces_it_is_the_same(monkeypatch):
    windows = scored_windows(run()[0], USED, *run()[1:])
    weeks = Weeks.of(windows, 7, replicates=50)

    def whole():
        return weeks.called(windows["priority"].to_numpy(), windows[["value"]].to_numpy(), lambda n: n[:, None] * 0.3)

    at_once = whole()
    monkeypatch.setattr("tschurn.segments.weeks._CELLS", 100)
    for one, other in zip(at_once, whole(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_sizes_of_lists():
    assert list(list_sizes(1)) == [1] and list(list_sizes(5)) == [1, 2, 3, 4, 5]
    for most in (195, 196, 197, 1354, 100_000):
        sizes = list_sizes(most)
        assert sizes[0] == 1 and sizes[-1] == most and len(sizes) <= 196 and (np.diff(sizes) > 0).all()
    assert list(list_sizes(1354)[:5]) == [1, 2, 3, 4, 5]  # denser where lists are short


def test_an_interval_needs_replicates_that_are_defined():
    values = np.arange(100.0)[:, None] * [1, 1]
    values[19:, 1] = np.nan
    low, high = interval(values)
    np.testing.assert_allclose([low[0], high[0]], np.percentile(np.arange(100), [2.5, 97.5]))
    assert np.isnan(low[1]) and np.isnan(high[1])
