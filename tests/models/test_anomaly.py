"""How unusual a week is: exact where an exact answer is known, even where it must be, and planted weeks are found."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logit
from synthetic import lives_of

from tschurn.contracts import ANOMALY, ANOMALY_CALIBRATION, ANOMALY_GAIN, USER_DAYS
from tschurn.features.windows import WindowSet
from tschurn.models import anomaly as a
from tschurn.models.anomaly_view import anomaly_view

FIRST, NEVER = date(2024, 1, 1), -60.0  # a parameter so low that its part is as good as none
DAYS, USERS, TRAINED = 280, 300, 200  # days of the log, users, days that are learned from


def diary_of(own: np.ndarray, received: np.ndarray | None = None) -> pd.DataFrame:
    """Acts [users × days] → USER_DAYS."""
    received = np.zeros_like(own) if received is None else received
    user, day = np.nonzero(own + received)
    table = pd.DataFrame(
        {"user_id": user + 10, "day": [FIRST + timedelta(days=int(d)) for d in day], "active": own[user, day] > 0,
         "own": own[user, day], "received": received[user, day], "stickers": 0, "sticker_value": 0.0,
         "first_hour": None, "last_hour": None, "actors": 0}
    )  # fmt: skip
    USER_DAYS.check(table)
    return table


def index_of(users: int = USERS, days: int = DAYS, stride: int = 7) -> pd.DataFrame:
    anchor, user = (g.ravel() for g in np.meshgrid(np.arange(6, days, stride), np.arange(users), indexing="ij"))
    half = np.where(user % 2, "validation", "calibration")
    split = np.select([anchor < TRAINED, anchor < DAYS - 14], ["train", half], "test")
    return pd.DataFrame({"user_id": user + 10, "user": user, "anchor": anchor, "split": split,
                         "anchor_day": [FIRST + timedelta(days=int(d)) for d in anchor]})  # fmt: skip


def simulated(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Users with rates of their own, acts on a share of their days; received acts with weeks of their own."""
    random = np.random.default_rng(seed)
    share, rate = random.beta(2, 2, USERS), random.gamma(1.5, 2.0, USERS)
    own = random.poisson(rate[:, None] + 0.2, (USERS, DAYS)) * (random.random((USERS, DAYS)) < share[:, None])
    weekly = random.gamma(4, 1 / 4, (USERS, DAYS // 7)).repeat(7, axis=1)
    return own, random.poisson(random.gamma(1, 3.0, USERS)[:, None] / 7 * weekly)


@pytest.fixture(scope="module")
def acts() -> tuple[np.ndarray, np.ndarray]:
    return simulated()


@pytest.fixture(scope="module")
def learned(acts) -> tuple[a.Diary, a.Anomalies]:
    diary = a.Diary(diary_of(*acts))
    anomalies = a.Anomalies(diary.measures)
    anomalies.learn(diary.weeks(*a.weeks_of(diary, index_of(), 1)))
    return diary, anomalies


def test_weeks_equal_plain_sums_and_only_whole_weeks_of_the_user_count(acts) -> None:
    own, received = (part.copy() for part in acts)
    own[0, :40] = 0  # begins later
    own[0, 40], received[0, 3] = 2, 1  # received before the first own act: no week of the user's yet
    diary = a.Diary(diary_of(own, received).sample(frac=1, random_state=1))
    user, day = np.array([0, 0, 1, 2]), np.array([60, 75, 100, 20])
    weeks = diary.weeks(user, (np.datetime64(FIRST) + day).astype(np.int64))
    for i, (u, d) in enumerate(zip(user, day, strict=True)):
        for k in range(a.PAST + 1):
            days = [x for x in range(d - 7 * k - 6, d - 7 * k + 1) if x >= 0]
            assert weeks.counts["own_acts"][i, k] == own[u, days].sum()
            assert weeks.counts["received_acts"][i, k] == received[u, days].sum()
            assert weeks.counts["active_days"][i, k] == (own[u, days] > 0).sum()
            if k:
                assert weeks.known[i, k - 1] == (d - 7 * k - 6 >= np.flatnonzero(own[u])[0])
    assert weeks.comparable.tolist() == [False, True, True, False]  # 2, 4, 13 and 2 whole weeks before the last


def test_days_are_beta_binomial_where_nothing_scatters_or_is_forgotten() -> None:
    days = a.Days(7)
    days._at = np.array([logit(0.3), np.log(5.0), -NEVER, NEVER])
    past, known = np.array([[2.0, 3.0, 7.0], [0.0, 0.0, 0.0]]), np.array([[True, True, False], [False] * 3])
    for x in range(8):
        most, less, mean = days.predict(np.array([x, x]), past, known)
        exact = [stats.betabinom(7, 0.3 * 5 + 5, 0.7 * 5 + 9), stats.betabinom(7, 1.5, 3.5)]
        assert most == pytest.approx([e.cdf(x) for e in exact])
        assert less == pytest.approx([e.cdf(x - 1) for e in exact])
        assert mean == pytest.approx([e.mean() for e in exact])


def test_counts_are_gamma_poisson_where_nothing_scatters_or_is_forgotten() -> None:
    more = a.More()
    more._at = np.array([np.log(3.0), np.log(2.0), -NEVER, NEVER])
    past, known = np.array([[2.0, 3.0, 7.0], [0.0, 0.0, 0.0]]), np.array([[True, True, False], [False] * 3])
    for x in (-1, 0, 1, 5, 40):
        most, less, mean = more.predict(np.array([x, x]), past, known)
        exact = [stats.nbinom(11, 4 / 5), stats.nbinom(6, 2 / 3)]  # shape 3·2 + 5 after 2 + 2 weeks
        assert most == pytest.approx([e.cdf(x) for e in exact])
        assert less == pytest.approx([e.cdf(x - 1) for e in exact])
        assert mean == pytest.approx([e.mean() for e in exact])


def test_newer_weeks_weigh_more_and_scatter_widens() -> None:
    more, known = a.More(), np.ones((2, 10), dtype=bool)
    more._at = np.array([0.0, 0.0, -3.0, NEVER])
    rising, falling = np.arange(10.0)[None, ::-1], np.arange(10.0)[None]  # the first column is the newest week
    mean = more.predict(np.array([3.0, 3.0]), np.vstack([rising, falling]), known)[2]
    assert mean[0] > 4.5 > mean[1]
    calm = more.predict(np.array([0.0]), rising, known[:1])[0]
    more._at[3] = 0.0
    assert more.predict(np.array([0.0]), rising, known[:1])[0] > 3 * calm
    days = a.Days(7)
    days._at = np.array([0.0, 0.0, 0.0, NEVER])
    calm = days.predict(np.array([0.0]), np.full((1, 10), 4.0), known[:1])
    days._at[3] = -1.0
    scattered = days.predict(np.array([0.0]), np.full((1, 10), 4.0), known[:1])
    assert scattered[0] > 3 * calm[0] and scattered[2] == pytest.approx(calm[2])


def test_few_scattered_weeks_tell_less_of_a_level_than_many() -> None:
    more = a.More()
    more._at = np.array([np.log(50.0), -3.0, -NEVER, 0.0])
    few, many = (more.predict(np.array([2.0]), np.full((1, n), 50.0), np.ones((1, n), bool))[0] for n in (2, 20))
    assert few > 1.3 * many


def test_a_week_without_an_act_says_nothing_of_how_many_there_are_in_others() -> None:
    counts, known = a.Counts(), np.ones((1, 4), dtype=bool)
    counts._more._at = np.array([1.0, 0.0, -NEVER, 0.0])
    expected = counts.predict(np.ones(1), np.array([[10.0, 0.0, 10.0, 0.0]]), known)[2]
    more = counts._more.predict(np.zeros(1), np.array([[9.0, 9.0]]), known[:, :2])[2]
    any_ = counts._any.predict(np.zeros(1), np.array([[True, False, True, False]]), known)[2]
    assert expected == pytest.approx(any_ * (1 + more))


def test_a_count_is_its_two_parts_put_together() -> None:
    counts, random = a.Counts(), np.random.default_rng(0)
    past, known = random.poisson(2.0, (1, 8)).astype(float), np.ones((1, 8), dtype=bool)
    p = [float(np.subtract(*counts.predict(np.array([x]), past, known)[:2])[0]) for x in range(400)]
    most, _, mean = counts.predict(np.array([399.0]), past, known)
    assert sum(p) == pytest.approx(1, abs=1e-3) and most[0] == pytest.approx(sum(p))
    assert min(p) >= 0 and p[0] == counts._any.predict(np.zeros(1), past > 0, known)[0][0]
    assert sum(x * q for x, q in enumerate(p)) == pytest.approx(mean[0], rel=0.05)


@pytest.mark.parametrize("block", ["train", "later"])
def test_ordinary_weeks_are_spread_evenly_over_their_expectations(learned, block: str) -> None:
    diary, anomalies = learned
    index = index_of()
    weeks = diary.weeks(*a.weeks_of(diary, index, 2, ("train",) if block == "train" else ("validation", "calibration")))
    tails = anomalies.tails(weeks)
    assert len(tails) > 2000 and tails.notna().all().all()
    random = np.random.default_rng(3).random(len(tails))
    for name in anomalies.measures:
        less, most = tails[f"{name}:less"], tails[f"{name}:most"]
        shares = np.histogram(less + random * (most - less), 10, (0, 1))[0] / len(tails)
        assert np.abs(shares - 0.1).max() < 0.035, (name, shares)
        assert shares[0] == pytest.approx(0.1, abs=0.02) and shares[-1] == pytest.approx(0.1, abs=0.025)


def test_planted_weeks_are_found_and_told(acts, learned) -> None:
    own, received = (part.copy() for part in acts)
    busy = np.flatnonzero((own[:, 150:].sum(axis=1) > 7 * 20) & ((own[:, 150:] > 0).mean(axis=1) > 0.6))
    quiet, loud = busy[:20], busy[20:40]
    last = slice(DAYS - 7, DAYS)
    own[quiet, last], own[loud, last] = 0, 3 * own[loud, last] + 5
    own[quiet, DAYS - 1] = 1
    now = pd.DataFrame({"user_id": np.arange(USERS) + 10, "anchor_day": FIRST + timedelta(days=DAYS - 1)})
    told = learned[1].largest(a.Diary(diary_of(own, received)).of(now))
    ordinary = np.setdiff1d(np.arange(USERS), busy[:40])
    for group, direction in ((quiet, "quieter"), (loud, "busier")):
        assert (told["direction"][group] == direction).all() and (told["times"][group] > 40).mean() > 0.9
        assert told["measure"][group].isin(["own_acts", "active_days"]).all()
    assert (told["times"][ordinary].dropna().astype(float) > 40).mean() < 0.12
    assert (told["value"][quiet] <= 1).all() and (told["expected"][quiet] > told["value"][quiet]).all()
    assert told["times"].max() <= 1 / a.RAREST


def test_days_after_the_anchor_change_nothing(acts, learned) -> None:
    diary, anomalies = learned
    index = index_of()
    part = index[index["anchor"] <= 150]
    own, received = (part.copy() for part in acts)
    later = np.random.default_rng(5).permuted(own[:, 151:], axis=1) * 3
    own[:, 151:], received[:, 151:] = later, later
    changed = a.Diary(diary_of(own, received))
    pd.testing.assert_frame_equal(anomalies.tails(diary.of(part)), anomalies.tails(changed.of(part)))


def test_what_is_learned_is_learned_on_training_days_only(acts) -> None:
    own, received = (part.copy() for part in acts)
    index = index_of()
    own[:, TRAINED:], received[:, TRAINED:] = own[::-1, TRAINED:] * 4, 0
    parts = []
    for table in (diary_of(*acts), diary_of(own, received)):
        diary = a.Diary(table)
        anomalies = a.Anomalies(diary.measures)
        anomalies.learn(diary.weeks(*a.weeks_of(diary, index, 1)))
        parts.append(anomalies._parts["active_days"]._at)
    assert (parts[0] == parts[1]).all()


def test_users_without_weeks_of_their_own_are_not_compared(acts) -> None:
    own, received = (part.copy() for part in acts)
    own[0, : DAYS - 20] = 0  # new
    own[1, DAYS - 60 : DAYS - 3] = 0  # away for weeks, and back
    own[[0, 1], DAYS - 1] = 1
    diary = a.Diary(diary_of(own, received))
    anomalies = a.Anomalies(diary.measures)
    now = pd.DataFrame({"user_id": [10, 11, 12], "anchor_day": FIRST + timedelta(days=DAYS - 1)})
    told = anomalies.largest(diary.of(now))
    assert told["measure"].isna().tolist() == [True, True, False]
    assert np.isnan(anomalies.columns(diary.of(now))[:2]).all()


def test_a_log_without_received_acts_has_no_such_measure(acts) -> None:
    assert a.Diary(diary_of(acts[0])).measures == ["active_days", "own_acts"]


# --- the view --------------------------------------------------------------------------------------
def windows_of(own: np.ndarray, churned: np.ndarray, index: pd.DataFrame) -> WindowSet:
    features = pd.DataFrame({"feature": ["own:a:count"], "kind": ["daily"], "side": ["own"], "measure": ["count"],
                             "label_en": ["a"], "label_ko": ["a"]})  # fmt: skip
    index = index.assign(churned=pd.array(churned, dtype="Int8"), sticker=pd.array(churned, dtype="Int8"))
    panel = own[:, :, None].astype(np.float32)
    return WindowSet(index, features, panel, np.zeros((len(index), 0), np.float32), 7, lives_of(panel))


@pytest.fixture(scope="module")
def view(acts, learned):
    """Churn follows from how unusual the last week is for the user; stickers from how many acts it has."""
    diary, anomalies = learned
    index = index_of()
    random = np.random.default_rng(8)
    scores = anomalies.columns(diary.of(index))[:, :2].min(axis=1)
    churned = np.nan_to_num(-3 * scores) + random.logistic(size=len(index)) > 2.0
    windows = windows_of(acts[0], churned, index)
    week = windows.batch(np.arange(len(index)))[:, :, 0].sum(axis=1)
    windows.index["sticker"] = pd.array(0.3 * (week - 15) + random.logistic(size=len(index)) > 0, dtype="Int8")
    newest = windows.newest()
    return anomaly_view(windows, diary_of(*acts), newest, ["churn", "sticker"], 1, 1), newest


def test_the_view_keeps_its_contracts(view) -> None:
    tables, newest = view
    for table in (ANOMALY, ANOMALY_CALIBRATION, ANOMALY_GAIN):
        table.check(tables[table.name])
    assert 0.9 * len(newest) < len(tables["anomaly"]) <= len(newest)
    assert tables["anomaly_calibration"].groupby(["measure", "block"])["share"].sum().to_numpy() == pytest.approx(1)


def test_it_says_that_it_adds_where_it_does_and_that_it_does_not_where_it_does_not(view) -> None:
    gain = view[0]["anomaly_gain"].set_index(["target", "inputs"])
    assert gain.loc[("churn", "usual_and_anomaly"), "low"] > 0
    assert gain.loc[("churn", "anomaly"), "auc"] > 0.8
    index = index_of()
    assert set(gain["windows"]) == {index["split"].isin(["validation", "calibration"]).sum()}
    there = gain.loc[("sticker", "usual_and_anomaly")]
    assert there["low"] < 0 < there["high"] or there["high"] < 0
    assert gain.loc[("sticker", "usual"), "auc"] > gain.loc[("sticker", "anomaly"), "auc"]
    alone = gain.loc[("churn", "usual_and_anomaly")]
    assert alone["difference"] == pytest.approx(alone["ap"] - gain.loc[("churn", "usual"), "ap"])
    assert gain.xs("usual", level="inputs")[["difference", "low", "high"]].isna().all().all()


def test_of_a_target_given_that_users_stay_only_they_tell_what_it_adds(acts) -> None:
    index = index_of()
    random = np.random.default_rng(3)
    churned = random.random(len(index)) < 0.3
    windows = windows_of(acts[0], churned, index)
    windows.lives = replace(windows.lives, of_staying=frozenset({"sticker"}))
    found = []
    for of_churned in (random.random(len(index)) < 0.5, np.ones(len(index), bool)):
        had = np.where(churned, of_churned, np.arange(len(index)) % 3 == 0)
        windows.index["sticker"] = pd.array(had, dtype="Int8")
        view = anomaly_view(windows, diary_of(*acts), windows.newest(), ["churn", "sticker"], 1, 1)
        found.append(view["anomaly_gain"])
    pd.testing.assert_frame_equal(*found)
    measured = index["split"].isin(["validation", "calibration"]).to_numpy()
    counts = found[0].groupby("target")["windows"].unique()
    assert list(counts["churn"]) == [measured.sum()] and list(counts["sticker"]) == [(measured & ~churned).sum()]


def test_a_log_of_few_weeks_has_no_view(acts) -> None:
    index = index_of(users=20, days=40)
    windows = windows_of(acts[0][:20, :40], np.zeros(len(index)), index)
    tables = anomaly_view(windows, diary_of(acts[0][:20, :40]), windows.newest(), ["churn"], 1, 1)
    for table in (ANOMALY, ANOMALY_CALIBRATION, ANOMALY_GAIN):
        assert tables[table.name].empty and list(tables[table.name].columns) == list(table.columns)


def test_what_is_learned_foretells_as_well_as_the_truth() -> None:
    random = np.random.default_rng(1)
    p = random.beta(0.4 * 6, 0.6 * 6, 8000)
    weeks, known = random.binomial(7, p[:, None], (8000, 4)).astype(float), np.ones((4000, 3), dtype=bool)
    days, fresh = a.Days(7), weeks[4000:]
    days.learn(weeks[:4000, 0], weeks[:4000, 1:], known)
    most, less, _ = days.predict(fresh[:, 0], fresh[:, 1:], known)
    seen = fresh[:, 1:].sum(axis=1)
    truth = stats.betabinom(7, 0.4 * 6 + seen, 0.6 * 6 + 21 - seen).logpmf(fresh[:, 0])
    assert np.mean(np.log(most - less)) == pytest.approx(truth.mean(), abs=0.005)
