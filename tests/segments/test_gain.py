"""The gain of calling against a plain slow version, and where calling nobody or everybody pays best."""

import numpy as np
import pandas as pd
import pytest

from tschurn.config import parse
from tschurn.contracts import GAIN
from tschurn.segments.gain import gain
from tschurn.segments.weeks import Weeks

COSTS = {"contact": 1.0, "success": 0.5, "margin": 0.4}


def experiment(costs=COSTS, score="priority"):
    raw = {"experiment": {"name": "test"}, "log": {"path": "x"}, "segments": {"score": score}}
    return parse(raw | ({} if costs is None else {"costs": costs}), "test")


def made(users=30, anchors=4, seed=0):
    rng = np.random.default_rng(seed)
    windows = pd.DataFrame([(u, f"2024-01-{day:02}") for day in range(1, anchors + 1) for u in range(users)
                            if u < 5 * day or day > 2], columns=["user_id", "anchor_day"])  # fmt: skip
    at_risk = rng.random(len(windows)) < 0.3
    windows["value"] = at_risk * rng.integers(1, 40, len(windows)).astype(float)
    windows["users"] = at_risk.astype(float)
    windows["priority"] = np.round(rng.random(len(windows)) + 0.5 * at_risk, 1)
    windows["value_at_risk"] = windows["value"] + 0.1 * rng.random(len(windows))
    return windows


def checked(windows, rule):
    found = gain(windows, rule)
    GAIN.check(found)
    return found


def slow_gain(windows, score, calls, costs):
    """Mean over anchors of what the first calls bring, by walking down each list; ties bring their mean."""
    gains = []
    for _, week in windows.groupby("anchor_day"):
        left, held = min(calls, len(week)), 0.0
        paid = left
        for _, tied in sorted(week.groupby(score), reverse=True):
            part = min(1.0, left / len(tied))
            held, left = held + part * tied["value"].sum(), left - part * len(tied)
        gains.append(costs["success"] * costs["margin"] * held - costs["contact"] * paid)
    return np.mean(gains)


@pytest.mark.parametrize("score", ["priority", "value_at_risk"])
def test_it_equals_a_slow_version(score):
    windows = made()
    found = checked(windows, experiment(score=score))
    assert list(found["calls"]) == list(range(round(len(windows) / 4) + 1))
    slow = [slow_gain(windows, score, k, COSTS) for k in found["calls"]]
    np.testing.assert_allclose(found["gain"], slow, atol=1e-12)
    best = found[found["best"]]
    assert len(best) == 1 and best["gain"].item() == found["gain"].max()
    assert best["best_low"].item() <= best["calls"].item() <= best["best_high"].item()
    assert found.loc[~found["best"], ["best_low", "best_high"]].isna().all(axis=None)
    assert (found["gain_low"] <= found["gain_high"]).all() and (
        found.loc[0, ["gain", "gain_low", "gain_high"]] == 0
    ).all()


def test_intervals_are_those_of_copied_users_and_anchors():
    windows = made(users=12)
    windows["priority"] += np.linspace(0, 0.05, len(windows))  # no ties
    found = checked(windows, experiment())
    weeks, sizes = Weeks.of(windows, 7), found["calls"].to_numpy()
    gains = np.zeros((500, len(sizes)))
    for r, (users, anchors) in enumerate(zip(weeks.users[1:], weeks.anchors[1:], strict=True)):
        for (_, week), times in zip(windows.groupby("anchor_day"), anchors, strict=True):
            best_first = week.sort_values("priority", ascending=False)
            value = np.repeat(best_first["value"], users[weeks.user[best_first.index]]).to_numpy()
            for i, size in enumerate(sizes):
                gains[r, i] += times * (0.5 * 0.4 * value[:size].sum() - min(size, len(value)))
        gains[r] /= anchors.sum()
    low, high = np.percentile(gains, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(found[["gain_low", "gain_high"]].T, [low, high], atol=1e-9)
    best = np.sort(sizes[np.round(gains, 9).argmax(axis=1)])
    row = found[found["best"]]
    assert (row["best_low"].item(), row["best_high"].item()) == (best[12], best[487])
    assert row["best_low"].item() < row["best_high"].item()


def test_where_no_call_pays_the_best_is_to_call_nobody():
    found = checked(made(), experiment(COSTS | {"contact": 1e6}))
    best = found[found["best"]].iloc[0]
    assert (best["calls"], best["gain"], best["best_low"], best["best_high"]) == (0, 0, 0, 0)


def test_where_calls_are_free_more_never_hurts():
    found = checked(made(), experiment(COSTS | {"contact": 0}))
    assert (found["gain"].diff().dropna() >= -1e-9).all()
    assert found["gain"].max() == found.loc[found["best"], "gain"].item()
    first = found.index[np.isclose(found["gain"], found["gain"].max(), rtol=0, atol=0)][0]
    assert found.loc[first, "best"]  # of equal gains the smallest list


def test_there_is_nothing_without_costs_a_score_or_something_at_risk():
    windows = made()
    for part, rule in (
        (windows, experiment(costs=None)),
        (windows.drop(columns="value_at_risk"), experiment(score="value_at_risk")),
        (windows.assign(value=0.0), experiment()),
        (windows.iloc[:0], experiment()),
    ):
        assert checked(part, rule).empty


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("users", "anchors"), [(1, 1), (2, 1), (2, 4)])
def test_next_to_nobody(users, anchors):
    found = checked(made(users=users, anchors=anchors).assign(value=9.0), experiment())
    assert list(found["calls"]) == list(range(users + 1))
    assert found["gain"].iloc[-1] == pytest.approx(users * (0.2 * 9 - 1))
    assert found["gain_low"].isna().all() == found["best_low"].isna().all() == (users == 1)
