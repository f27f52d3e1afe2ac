"""Daily series against plain pandas, their decomposition against statsmodels."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.seasonal import STL

from tschurn.contracts import SEASONALITY
from tschurn.exploration.decomposition import decompose, seasonality

FIRST, LAST = date(2024, 1, 1), date(2024, 2, 29)
STICKER = {"sticker": {"events": ["gift"], "side": "received"}, "churn": {"events": ["post", "chat"]}}


@pytest.fixture(scope="module")
def events():
    """Two months of a log with weekly rhythm and days without any event."""
    rng = np.random.default_rng(11)
    n = 1500
    day = rng.integers(2, 57, n)
    day = day[(day % 7 != 3) | (rng.random(n) < 0.2)]
    user = rng.integers(1, 20, len(day))
    return pd.DataFrame(
        {
            "user_id": user,
            "actor_id": np.where(rng.random(len(day)) < 0.6, user, 99),
            "event_time": pd.Timestamp(FIRST, tz="UTC") + pd.to_timedelta(day * 86400 + 3600, unit="s"),
            "event_name": rng.choice(["post", "chat", "like", "gift"], len(day)),
        }
    )


@pytest.fixture(scope="module")
def frame(events, to_log, experiment):
    return seasonality(to_log(events), FIRST, LAST, experiment(**STICKER).targets)


def test_series_equal_plain_pandas(events, frame):
    own = events["user_id"] == events["actor_id"]
    activity = events[own & events["event_name"].isin(["post", "chat"])]
    days = pd.date_range(FIRST, LAST, tz="UTC")
    of_day = {
        "active_users": activity.groupby(activity["event_time"].dt.normalize())["user_id"].nunique(),
        "own_events": events[own].groupby(events["event_time"].dt.normalize()).size(),
        "received_events": events[~own].groupby(events["event_time"].dt.normalize()).size(),
        "sticker_events": events[~own & (events["event_name"] == "gift")]
        .groupby(events["event_time"].dt.normalize())
        .size(),
    }
    assert list(frame["series"].unique()) == list(of_day)
    for name, expected in of_day.items():
        observed = frame.loc[frame["series"] == name]
        np.testing.assert_array_equal(observed["observed"], expected.reindex(days, fill_value=0))
        np.testing.assert_array_equal(observed["day"], days.tz_localize(None))


def test_components_sum_to_the_observed_and_equal_statsmodels(frame):
    np.testing.assert_allclose(frame["trend"] + frame["seasonal"] + frame["remainder"], frame["observed"], atol=1e-9)
    for _, rows in frame.groupby("series"):
        fit = STL(rows["observed"].to_numpy(), period=7).fit()
        np.testing.assert_allclose(rows["trend"], fit.trend, atol=1e-9)
        np.testing.assert_allclose(rows["seasonal"], fit.seasonal, atol=1e-9)


def test_robust_is_passed_on(frame):
    series = frame[frame["series"] == "own_events"].set_index("day")["observed"].rename("own_events")
    series.iloc[30] = 1000.0  # an outlier that the plain fit follows
    np.testing.assert_allclose(
        decompose(series, robust=True)["trend"], STL(series.to_numpy(), period=7, robust=True).fit().trend
    )
    assert not np.allclose(decompose(series, robust=True)["trend"], decompose(series)["trend"])


def test_a_pure_week_is_all_season():
    days = pd.date_range("2024-01-01", periods=70)
    series = pd.Series(np.tile([5.0, 1, 1, 2, 4, 9, 6], 10), index=days, name="own_events")
    np.testing.assert_allclose(decompose(series)["remainder"], 0, atol=1e-6)
    np.testing.assert_allclose(decompose(series)["trend"], 4, atol=1e-6)


def test_no_sticker_target_no_sticker_series(events, to_log, experiment):
    frame = seasonality(to_log(events), FIRST, LAST, experiment().targets)
    assert list(frame["series"].unique()) == ["active_users", "own_events", "received_events"]


@pytest.mark.parametrize(("days", "rows"), [(13, 0), (14, 4 * 14)])
def test_two_weeks_are_the_shortest_log(events, to_log, experiment, days, rows):
    last = (pd.Timestamp(FIRST) + pd.Timedelta(days=days - 1)).date()
    frame = seasonality(to_log(events), FIRST, last, experiment(**STICKER).targets)
    assert len(frame) == rows
    assert SEASONALITY.check(frame).num_rows == rows


def test_row_order_changes_nothing(events, frame, to_log, experiment):
    shuffled = to_log(events.sample(frac=1, random_state=5))
    pd.testing.assert_frame_equal(frame, seasonality(shuffled, FIRST, LAST, experiment(**STICKER).targets))
