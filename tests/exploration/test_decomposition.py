"""Daily series against plain pandas, their decomposition against statsmodels, days on which the log fails."""

from __future__ import annotations

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.seasonal import STL

from tschurn.contracts import KINDS_DECOMPOSED, SEASONALITY
from tschurn.exploration.decomposition import decompose, seasonality

FIRST, LAST = date(2024, 1, 1), date(2024, 2, 29)
STICKER = {"sticker": {"events": ["gift"], "side": "received"}, "churn": {"events": ["post", "chat"]}}
TOTALS = ["active_users", "own_events", "received_events", "sticker_events"]


def daily_of(frame: pd.DataFrame) -> ibis.Table:
    """DAILY's columns that the module reads, as an Ibis table."""
    return ibis.memtable(frame[["user_id", "day", "side", "event_name", "n"]])


def platform(first: date = FIRST, last: date = LAST, flags: dict[int, str] | None = None) -> pd.DataFrame:
    days = pd.date_range(first, last)
    flag = [(flags or {}).get(i) for i in range(len(days))]
    return pd.DataFrame({"day": [d.date() for d in days], "flag": flag})


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Two months of a log with weekly rhythm and days without any event."""
    rng = np.random.default_rng(11)
    n = 1500
    day = rng.integers(2, 57, n)
    day = day[(day % 7 != 3) | (rng.random(n) < 0.2)]
    frame = pd.DataFrame({"user_id": rng.integers(1, 20, len(day)), "day": day,
                          "side": np.where(rng.random(len(day)) < 0.6, "own", "received"),
                          "event_name": rng.choice(["post", "chat", "like", "gift"], len(day))})  # fmt: skip
    frame["day"] = [(pd.Timestamp(FIRST) + pd.Timedelta(days=d)).date() for d in frame["day"]]
    keys = ["user_id", "day", "side", "event_name"]
    frame = frame.drop_duplicates(keys).assign(n=lambda one: rng.integers(1, 9, len(one)))
    return frame.sort_values(keys, ignore_index=True)


@pytest.fixture(scope="module")
def frame(rows, experiment) -> pd.DataFrame:
    return seasonality(daily_of(rows), platform(), experiment(**STICKER).targets, robust=False)


def test_series_equal_plain_pandas(rows, frame):
    own = rows["side"] == "own"
    activity = rows[own & rows["event_name"].isin(["post", "chat"])]
    of_day = {
        "active_users": activity.groupby("day")["user_id"].nunique(),
        "own_events": rows[own].groupby("day")["n"].sum(),
        "received_events": rows[~own].groupby("day")["n"].sum(),
        "sticker_events": rows[~own & (rows["event_name"] == "gift")].groupby("day")["n"].sum(),
    }
    for (side, name), part in rows.groupby(["side", "event_name"]):
        of_day[f"{side}:{name}"] = part.groupby("day")["n"].sum()
    assert set(frame["series"]) == set(of_day) and list(frame["series"].unique())[:4] == TOTALS
    days = pd.date_range(FIRST, LAST)
    for name, expected in of_day.items():
        observed = frame.loc[frame["series"] == name]
        expected.index = pd.DatetimeIndex(expected.index)
        np.testing.assert_array_equal(observed["observed"], expected.reindex(days, fill_value=0))
        np.testing.assert_array_equal(observed["day"], days)
    SEASONALITY.check(frame)


def test_kinds_come_by_their_rows_and_totals_have_no_kind(rows, frame):
    totals = frame["series"].isin(TOTALS)
    assert frame.loc[totals, ["side", "event_name"]].isna().all(axis=None)
    assert (frame.loc[~totals, "side"] + ":" + frame.loc[~totals, "event_name"] == frame.loc[~totals, "series"]).all()
    order = rows.groupby(["side", "event_name"])["n"].sum().sort_values(ascending=False)
    assert list(frame.loc[~totals, "series"].unique()) == [f"{side}:{name}" for side, name in order.index]


def test_no_more_kinds_than_said_the_most_frequent_ones(experiment):
    days = pd.date_range(FIRST, LAST)
    names = [f"e{i:03}" for i in range(KINDS_DECOMPOSED + 7)]
    rows = pd.DataFrame([(1, day.date(), "own", name, 1 + (i == len(names) - 1)) for i, name in enumerate(names)
                         for day in days], columns=["user_id", "day", "side", "event_name", "n"])  # fmt: skip
    found = seasonality(daily_of(rows), platform(), experiment().targets)
    kinds = list(found["event_name"].dropna().unique())
    assert kinds == [names[-1], *names[: KINDS_DECOMPOSED - 1]]  # ties by name


def test_components_sum_to_the_observed_and_equal_statsmodels(frame):
    np.testing.assert_allclose(frame["trend"] + frame["seasonal"] + frame["remainder"], frame["observed"], atol=1e-9)
    for _, rows in frame.groupby("series"):
        fit = STL(rows["observed"].to_numpy(), period=7).fit()
        np.testing.assert_allclose(rows["trend"], fit.trend, atol=1e-9)
        np.testing.assert_allclose(rows["seasonal"], fit.seasonal, atol=1e-9)


def usage(days: int = 140) -> pd.Series:
    random = np.random.default_rng(3)
    values = 100 + 0.3 * np.arange(days) + 20 * np.sin(2 * np.pi * np.arange(days) / 7) + random.normal(0, 2, days)
    return pd.Series(values, pd.date_range("2024-01-01", periods=days), name="own_events")


def test_robust_keeps_a_single_day_from_bending_the_fit():
    series = usage()
    clean = decompose(series)
    series.iloc[60] = 2000.0
    near = slice(54, 67)
    moved = {r: np.abs(decompose(series, None, r)["trend"] - clean["trend"])[near].max() for r in (True, False)}
    assert moved[True] < 2 < 20 < moved[False]
    np.testing.assert_allclose(decompose(series, None, True)["trend"], STL(series.to_numpy(), period=7, robust=True)
                               .fit().trend)  # fmt: skip


def test_a_series_of_zeros_on_most_days_is_fitted_plainly():
    series = usage().where(np.arange(140) % 7 == 2, 0.0)
    found = decompose(series, None, True)
    assert not found["robust"].any()
    np.testing.assert_allclose(found["trend"], STL(series.to_numpy(), period=7).fit().trend)
    assert decompose(usage(), None, True)["robust"].all()


@pytest.mark.parametrize("robust", [True, False])
def test_outage_days_do_not_bend_the_fit_and_stay_as_observed(robust):
    series = usage()
    clean = decompose(series, None, robust)
    outage = np.zeros(140, dtype=bool)
    outage[70:78] = True  # more than a week: each weekday fails, one of them twice
    failed = series.where(~outage, 0.0)
    found = decompose(failed, outage, robust)
    assert np.abs(found["trend"] - clean["trend"]).max() < 5
    assert np.abs(found["seasonal"] - clean["seasonal"])[50:100].max() < 5  # of a season of ±20
    np.testing.assert_array_equal(found["observed"], failed)
    np.testing.assert_array_equal(found["outage"], outage)
    np.testing.assert_allclose(found["remainder"], found["observed"] - found["trend"] - found["seasonal"])
    assert (found["remainder"][70:78] < -60).all()
    assert decompose(failed, None, False)["trend"][74] < 60  # otherwise the trend falls into the hole


def test_the_stand_in_lies_between_the_neighbours_of_the_weekday():
    series = pd.Series(np.tile([5.0, 1, 1, 2, 4, 9, 6], 10), pd.date_range("2024-01-01", periods=70), name="x")
    outage = np.zeros(70, dtype=bool)
    outage[[0, 30, 37, 69]] = True  # the first and the last day too
    found = decompose(series.where(~outage, 0.0), outage)
    np.testing.assert_allclose(found["trend"] + found["seasonal"], series, atol=1e-6)


def test_a_log_that_fails_altogether_or_on_one_weekday_has_a_fit():
    series = usage(28)
    assert decompose(series, np.ones(28, dtype=bool))["trend"].notna().all()
    assert decompose(series, np.arange(28) % 7 == 1)["trend"].notna().all()


def test_flags_of_the_platforms_days_are_the_outages(rows, experiment):
    days = platform(flags={9: "silent", 20: "low"}).sample(frac=1, random_state=1)
    found = seasonality(daily_of(rows), days, experiment(**STICKER).targets)
    for _, part in found.groupby("series"):
        assert list(np.flatnonzero(part["outage"])) == [9, 20]


def test_a_pure_week_is_all_season():
    days = pd.date_range("2024-01-01", periods=70)
    series = pd.Series(np.tile([5.0, 1, 1, 2, 4, 9, 6], 10), index=days, name="own_events")
    np.testing.assert_allclose(decompose(series)["remainder"], 0, atol=1e-6)
    np.testing.assert_allclose(decompose(series)["trend"], 4, atol=1e-6)


def test_no_sticker_target_no_sticker_series(rows, experiment):
    frame = seasonality(daily_of(rows), platform(), experiment().targets)
    assert "sticker_events" not in set(frame["series"])


@pytest.mark.parametrize(("days", "found"), [(1, 0), (13, 0), (14, 4 * 14)])
def test_two_weeks_are_the_shortest_log(rows, experiment, days, found):
    last = (pd.Timestamp(FIRST) + pd.Timedelta(days=days - 1)).date()
    frame = seasonality(daily_of(rows), platform(last=last), experiment(**STICKER).targets)
    assert (frame["event_name"].isna()).sum() == found
    assert SEASONALITY.check(frame).num_rows == len(frame)


def test_row_order_changes_nothing(rows, experiment):
    one, other = (seasonality(daily_of(r), platform(), experiment(**STICKER).targets)
                  for r in (rows, rows.sample(frac=1, random_state=5)))  # fmt: skip
    pd.testing.assert_frame_equal(one, other)
