"""RFM and its transitions against a slow version, user by user."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.config import parse
from tschurn.contracts import RFM, RFM_TRANSITIONS
from tschurn.errors import ConfigError
from tschurn.segments.rfm import ABSENT, CLASSES, rfm, transitions

FIRST = date(2024, 1, 1)


def experiment(sticker=True, **section):
    targets = {"targets": {"sticker": {"events": ["gift"]}}} if sticker else {}
    return parse({"experiment": {"name": "test"}, "log": {"path": "x"}, "rfm": section, **targets}, "test")


def log(days):
    return pd.DataFrame({"first_day": [FIRST], "last_day": [FIRST + timedelta(days=days - 1)], "days": [days]})


def user_days(users=60, days=40, seed=0, stickers=0.1):
    rng = np.random.default_rng(seed)
    cells = [(u, d) for u in range(users) for d in range(days) if rng.random() < 0.02 + 0.5 * (u / users) ** 2]
    table = pd.DataFrame(cells, columns=["user_id", "day"])
    table["active"] = rng.random(len(table)) < 0.7
    table["own"] = np.where(table["active"], rng.integers(1, 5, len(table)), 0)
    table["sticker_value"] = np.where(rng.random(len(table)) < stickers, rng.integers(1, 9, len(table)) * 100.0, 0.0)
    return table.assign(day=[FIRST + timedelta(days=int(d)) for d in table["day"]])


def slow(table, days, length, cuts=5, weights=(0.3, 0.2, 0.5), classes=(0.2, 0.2, 0.2), value="sticker_value"):
    """(period, user) → recency, frequency, value, r, f, m, score, class."""
    found, users = {}, set()
    for period in (1, 2):
        end = FIRST + timedelta(days=days - 1 - (2 - period) * length)
        start = end - timedelta(days=length - 1)
        rows = [r for r in table.itertuples() if start <= r.day <= end]
        measures = {}
        for user in {r.user_id for r in rows if r.active}:
            mine = [r for r in rows if r.user_id == user]
            acting = [r.day for r in mine if r.active]
            measures[user] = ((end - max(acting)).days, len(acting), sum(getattr(r, value) for r in mine))
        n, bins, scores = len(measures), {}, {}
        for user, mine in measures.items():
            less = [sum(other[i] < mine[i] for other in measures.values()) for i in range(3)]
            b = [1 + int(cuts * k / n + 1e-9) for k in less]
            bins[user] = (cuts + 1 - b[0], b[1], b[2])
            scores[user] = sum(w * v for w, v in zip(weights, bins[user], strict=True)) / sum(weights) * 100 / cuts
        for user in measures:
            above = sum(s > scores[user] + 1e-7 for s in scores.values())
            equal = sum(abs(s - scores[user]) <= 1e-7 for s in scores.values())
            middle, bound, name = (above + equal / 2) / n, 0.0, "other"
            for share, one in zip(classes, CLASSES, strict=False):
                bound += share
                if middle < bound - 1e-9:
                    name = one
                    break
            found[period, user] = (*measures[user], *bins[user], scores[user], name)
        users |= set(measures)
    return {(p, u): found.get((p, u)) for p in (1, 2) for u in users}


def check_slow(found, expected):
    RFM.check(found)
    assert {(r.period, r.user_id) for r in found.itertuples()} == set(expected)
    for row in found.itertuples(index=False):
        period, user, _, _, *mine = row
        if expected[period, user] is None:
            assert mine[-1] == ABSENT and pd.isna(mine[:-1]).all()
        else:
            assert [float(v) for v in mine[:-1]] == pytest.approx(expected[period, user][:-1])
            assert mine[-1] == expected[period, user][-1]


@pytest.mark.parametrize("seed", range(3))
def test_it_equals_a_slow_version(seed):
    table = user_days(seed=seed)
    check_slow(rfm(table, log(40), experiment()), slow(table, 40, 20))
    rule = {"days": 9, "cuts": 3, "weights": (1.0, 0.5, 0.5), "classes": (0.1, 0.5, 0.4)}
    expected = slow(table, 40, 9, 3, rule["weights"], rule["classes"])
    check_slow(rfm(table.sample(frac=1, random_state=1), log(40), experiment(**rule)), expected)
    check_slow(rfm(table, log(41), experiment(sticker=False)), slow(table, 41, 20, value="own"))


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(14, 20), st.integers(2, 7))
@settings(max_examples=40, deadline=None)
def test_it_equals_a_slow_version_with_few_users_and_many_ties(seed, users, days, cuts):
    table = user_days(users, days, seed, stickers=0.4)
    found = rfm(table, log(days), experiment(cuts=cuts))
    if found.empty:
        assert not table["active"][table["day"] >= FIRST + timedelta(days=days % 2)].any()
    else:
        check_slow(found, slow(table, days, days // 2, cuts))


def test_periods_follow_each_other_up_to_the_last_day():
    found = rfm(user_days(), log(40), experiment(days=9))
    spans = found.groupby("period")[["first_day", "last_day"]].first()
    last = FIRST + timedelta(days=39)
    assert spans.loc[2].tolist() == [last - timedelta(days=8), last]
    assert spans.loc[1].tolist() == [last - timedelta(days=17), last - timedelta(days=9)]


def test_weights_need_not_add_up_to_one():
    table = user_days()
    one, ten = (rfm(table, log(40), experiment(weights=w)) for w in ((0.3, 0.2, 0.5), (0.06, 0.04, 0.1)))
    pd.testing.assert_frame_equal(one, ten)
    assert one["score"].max() <= 100 and one["score"].min() >= 20
    with pytest.raises(ConfigError, match="weights"):
        experiment(weights=(0.0, 0.0, 0.0))


def test_where_most_have_no_sticker_those_are_the_least_and_nobody_is_torn_from_an_equal():
    found = rfm(user_days(stickers=0.02), log(40), experiment())
    second = found[(found["period"] == 2) & found["m"].notna()]
    without = second["value"] == 0
    assert without.mean() > 0.5
    assert set(second.loc[without, "m"]) == {1} and second.loc[~without, "m"].min() > 3
    assert (second.groupby("value")["m"].nunique() == 1).all()
    assert (second.groupby("recency")["r"].nunique() == 1).all()
    assert second.loc[second["recency"] == second["recency"].min(), "r"].eq(5).all()


def test_all_equal_are_neither_best_nor_last():
    days = [FIRST + timedelta(days=d) for d in range(14)]
    table = pd.DataFrame([(u, d, True, 1, 0.0) for u in range(9) for d in days],
                         columns=["user_id", "day", "active", "own", "sticker_value"])  # fmt: skip
    for part in (table, table[table["user_id"] == 0]):
        found = rfm(part, log(14), experiment())
        RFM.check(found)
        assert set(found["class"]) == {"fair"} and found["score"].nunique() == 1
        assert transitions(found, segments(1)).query("users > 0")["share_of_all"].tolist() == [1]


@pytest.mark.parametrize(("days", "section"), [(13, {}), (40, {"days": 21}), (1, {})])
def test_a_log_shorter_than_two_periods_has_none(days, section):
    found = rfm(user_days(days=days), log(days), experiment(**section))
    RFM.check(found)
    assert found.empty
    moved = transitions(found, segments(5))
    RFM_TRANSITIONS.check(moved)
    assert moved.empty


def test_nobody_active_has_none():
    table = user_days().assign(active=False)
    assert rfm(table, log(40), experiment()).empty and rfm(table.iloc[:0], log(40), experiment()).empty


def segments(users, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"user_id": np.arange(users), "segment": rng.choice(["priority", "rest"], users)})


def test_transitions_equal_a_count():
    table = user_days(users=120, seed=4)
    found, now = rfm(table, log(40), experiment()), segments(100, 1)
    moved = transitions(found, now)
    RFM_TRANSITIONS.check(moved)
    by_user = {u: dict(zip(p["period"], p["class"], strict=True)) for u, p in found.groupby("user_id")}
    group = dict(zip(now["user_id"], now["segment"], strict=True))
    order = [*CLASSES, ABSENT]
    assert [tuple(row) for row in moved[["from", "to"]].to_numpy()] == [(a, b) for a in order for b in order][:-1]
    assert moved["users"].sum() == len(by_user) and moved["share_of_all"].sum() == pytest.approx(1)
    for row in moved.to_dict("records"):
        who = [u for u, both in by_user.items() if (both[1], both[2]) == (row["from"], row["to"])]
        start = [u for u, both in by_user.items() if both[1] == row["from"]]
        scored = [group[u] for u in who if u in group]
        assert (row["users"], row["scored"]) == (len(who), len(scored))
        assert row["share_of_all"] == len(who) / len(by_user)
        assert row["share_of_from"] == len(who) / len(start) if start else np.isnan(row["share_of_from"])
        assert row["priority"] == scored.count("priority") / len(scored) if scored else np.isnan(row["priority"])
    assert moved["priority"].notna().any() and moved["users"].max() > moved["scored"].max() / 2
