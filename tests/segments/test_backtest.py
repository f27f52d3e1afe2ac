"""The backtest against a plain slow version, against lists that know and lists that guess, and with next to nothing."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from tschurn.config import parse
from tschurn.contracts import BACKTEST, BACKTEST_SCORES, SCORES_COMPARED
from tschurn.segments.backtest import backtest
from tschurn.segments.weeks import Weeks


def experiment(**sections):
    return parse({"experiment": {"name": "test"}, "log": {"path": "x"}} | sections, "test")


def made(users=20, anchors=5, seed=0, ties=False):
    """Windows under every score; who is at risk has a higher priority on average."""
    rng = np.random.default_rng(seed)
    days = [date(2024, 1, 1) + timedelta(days=7 * week) for week in range(anchors)]
    keys = [(u, day) for day in days for u in range(users) if rng.random() < 0.9]
    windows = pd.DataFrame(keys, columns=["user_id", "anchor_day"])
    n = len(windows)
    windows["users"] = (rng.random(n) < 0.25).astype(float)
    windows["value"] = windows["users"] * rng.integers(1, 30, n)
    for name in SCORES_COMPARED:
        windows[name] = rng.random(n)
    windows["priority"] += 0.4 * windows["users"]
    windows["random"] = 0.0
    return windows.round({name: 1 for name in SCORES_COMPARED}) if ties else windows


def checked(windows):
    found = backtest(windows, experiment())
    BACKTEST.check(found["backtest"])
    BACKTEST_SCORES.check(found["backtest_scores"])
    return found["backtest"], found["backtest_scores"].set_index(["score", "caught"])


def slow_found(windows, score, what, share):
    """What lists of a share hold, by walking down each anchor's list, group of ties by group of ties."""
    total = caught = 0.0
    for _, week in windows.groupby("anchor_day"):
        left = share * len(week)
        for _, tied in sorted(week.groupby(score), reverse=True):
            part = min(1.0, left / len(tied))
            caught += part * tied[what].sum()
            left -= part * len(tied)
        total += week[what].sum()
    return caught / total if total else np.nan


@pytest.mark.parametrize("ties", [False, True])
def test_curves_equal_a_slow_version(ties):
    windows = made(ties=ties)
    curves, _ = checked(windows)
    mean = len(windows) / 5
    for (score, what), curve in curves.groupby(["score", "caught"]):
        assert curve["share"].is_monotonic_increasing and curve["share"].iloc[-1] == 1
        sizes = np.arange(1, round(mean) + 1) / round(mean)
        assert list(curve["share"]) == sorted({*sizes, 0.1, 0.2})
        np.testing.assert_allclose(curve["calls"], curve["share"] * mean)
        slow = [slow_found(windows, score, what, share) for share in curve["share"]]
        np.testing.assert_allclose(curve["found"], slow, atol=1e-12)
        np.testing.assert_allclose(curve["lift"], curve["found"] / curve["share"])
        assert (curve["found_low"] <= curve["found_high"]).all()


@pytest.mark.parametrize("ties", [False, True])
def test_lines_equal_a_slow_version(ties):
    windows = made(ties=ties)
    _, lines = checked(windows)
    most = round(len(windows) / 5)
    shares = np.arange(1, most + 1) / most
    for what in ("value", "users"):
        best = np.mean([slow_found(windows, what, what, s) / s for s in shares])
        for score in ("priority", "recency", "random"):
            line = lines.loc[(score, what)]
            mean = np.mean([slow_found(windows, score, what, s) / s for s in shares])
            assert line["quality"] == pytest.approx(100 * (mean - 1) / (best - 1), abs=1e-6)
            for lift, share in (("lift_10", 0.1), ("lift_20", 0.2)):
                assert line[lift] == pytest.approx(slow_found(windows, score, what, share) / share)
            assert (line["windows"], line["anchors"], line["at_risk"]) == (len(windows), 5, windows[what].sum())


def test_intervals_are_those_of_copied_users_and_anchors():
    windows = made(users=12, anchors=4)
    _, lines = checked(windows)
    weeks = Weeks.of(windows, 7)
    days = sorted(windows["anchor_day"].unique())
    lifts = []
    for users, anchors in zip(weeks.users[1:], weeks.anchors[1:], strict=True):
        copies = [
            week.loc[np.repeat(week.index, users[weeks.user[week.index]])].assign(anchor_day=f"{day} {copy}")
            for day, times in zip(days, anchors, strict=True) for copy in range(times)
            for week in [windows[windows["anchor_day"] == day]]
        ]  # fmt: skip
        lifts.append(slow_found(pd.concat(copies), "priority", "users", 0.2) / 0.2)
    low, high = np.nanpercentile(lifts, [2.5, 97.5])
    line = lines.loc[("priority", "users")]
    assert (line["lift_20_low"], line["lift_20_high"]) == (pytest.approx(low), pytest.approx(high))
    assert low < line["lift_20"] < high


def test_a_list_that_knows_has_a_hundred_and_one_that_guesses_nothing():
    windows = made()
    windows["p_churn"], windows["recency"], windows["stickers_7"] = windows["value"], -windows["value"], 5.0
    curves, lines = checked(windows)
    knows, wrong, same, chance = (lines.loc[(s, "value")] for s in ("p_churn", "recency", "stickers_7", "random"))
    assert knows["quality"] == knows["quality_low"] == knows["quality_high"] == 100
    assert wrong["quality_high"] < -20
    for line in (same, chance):
        assert line["quality"] == line["quality_low"] == line["quality_high"] == 0
        assert line["lift_10"] == pytest.approx(1) and line["lift_20_high"] == pytest.approx(1)
    diagonal = curves[curves["score"] == "random"]
    np.testing.assert_allclose(diagonal[["found", "found_low", "found_high"]].T, [diagonal["share"]] * 3)


def test_behind_is_paired_and_points_at_the_better_one():
    windows = made(users=80)
    windows["p_churn"] = windows["priority"] * 2 + 1  # the same order
    windows["recency"] = windows["value"]
    _, lines = checked(windows)
    assert lines.loc[("priority", "value"), ["behind", "behind_low", "behind_high"]].isna().all()
    assert (lines.loc[("p_churn", "value"), ["behind", "behind_low", "behind_high"]] == 0).all()
    ahead, chance = lines.loc[("recency", "value")], lines.loc[("random", "value")]
    assert ahead["behind_high"] < 0 < chance["behind_low"]
    quality = lines.xs("value", level="caught")["quality"]
    np.testing.assert_allclose(lines.xs("value", level="caught")["behind"].drop("priority"),
                               (quality["priority"] - quality).drop("priority"))  # fmt: skip


def test_large_weeks_keep_the_tables_small_and_the_mean_right():
    windows = made(users=1500, anchors=2)
    curves, lines = checked(windows)
    assert curves.groupby(["score", "caught"]).size().max() <= 200
    most = round(len(windows) / 2)
    shares = np.arange(1, most + 1) / most

    def mean_lift(score):
        weeks = [week.sort_values(score, ascending=False)["users"] for _, week in windows.groupby("anchor_day")]
        held = [np.interp(shares * len(w), np.arange(len(w) + 1), np.append(0, w.cumsum())) for w in weeks]
        return (sum(held) / windows["users"].sum() / shares).mean()

    expected = 100 * (mean_lift("priority") - 1) / (mean_lift("users") - 1)
    assert lines.loc[("priority", "users"), "quality"] == pytest.approx(expected, abs=0.1)


def test_scores_that_are_not_known_have_no_rows():
    windows = made().drop(columns=["value_at_risk", "lightgbm"])
    curves, lines = checked(windows)
    kept = [s for s in SCORES_COMPARED if s not in ("value_at_risk", "lightgbm")]
    assert list(lines.xs("users", level="caught").index) == kept == list(curves["score"].unique())


def test_what_was_not_at_risk_has_no_rows():
    nothing = made().assign(value=0.0, users=0.0)
    for windows in (nothing, nothing.iloc[:0]):
        assert all(frame.empty for frame in backtest(windows, experiment()).values())
        checked(windows)
    curves, lines = checked(made().assign(value=0.0))
    assert set(curves["caught"]) == {"users"} == set(lines.index.get_level_values("caught"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("users", "anchors"), [(1, 1), (1, 4), (2, 1), (2, 3)])
def test_next_to_nobody(users, anchors):
    windows = made(users=users, anchors=anchors).assign(users=1.0, value=3.0)
    curves, lines = checked(windows)
    assert np.isfinite(curves[["found", "lift"]]).all(axis=None)
    assert lines["quality"].isna().all()  # all are at risk: a list that knew is no better than chance
    assert curves["found_low"].isna().all() == (users == 1)


@pytest.mark.filterwarnings("error")
def test_one_at_risk_among_few():
    windows = made(users=6, anchors=3).assign(users=0.0, value=0.0)
    windows.loc[4, ["users", "value"]] = [1.0, 9.0]
    _, lines = checked(windows)
    line = lines.loc[("priority", "value")]
    assert np.isfinite(line["quality"]) and line["lift_10_low"] <= line["lift_10_high"]
