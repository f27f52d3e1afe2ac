"""Labels, splits, history and windows against slow and plain versions; and no look into the future."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from synthetic import FIRST, build, experiment, make_log

from tschurn import blocks
from tschurn.contracts import (
    FEATURES,
    FLAT_COLUMNS,
    PROFILE,
    SPLITS,
    SUPPORTERS,
    UNSCORED,
    USER_DAYS,
    VOCABULARY,
    WINDOWS,
)  # fmt: skip
from tschurn.errors import LogError, TooShortError
from tschurn.features import panel
from tschurn.features.windows import WindowSet


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, WindowSet, dict[str, pd.DataFrame]]:
    frame = make_log()
    return frame, *build(frame, tmp_path_factory.mktemp("windows"), experiment())


def test_a_day_of_an_anchor_is_its_window(built) -> None:
    _, windows, _ = built
    index = windows.index[windows.index["closed"]]
    user, anchor = index["user"].to_numpy(), index["anchor"].to_numpy()
    for target, label in (("churn", "churned"), ("sticker", "sticker")):
        found = windows.lives.outcome(target, np.arange(len(windows.lives.active)))[user, anchor]
        np.testing.assert_array_equal(found, index[label].to_numpy(int))
    weekday = (windows.lives.first_weekday + anchor) % 7
    np.testing.assert_array_equal(weekday, [d.weekday() for d in index["anchor_day"]])


def test_tables_keep_their_contracts(built) -> None:
    _, windows, tables = built
    for contract in (VOCABULARY, USER_DAYS, SUPPORTERS, FEATURES, WINDOWS, UNSCORED):
        contract.check(tables[contract.name])
    FLAT_COLUMNS.check(windows.flat_columns())
    PROFILE.check(windows.profile(windows.newest()))
    assert set(tables["windows"]["split"]) == set(SPLITS) - {"excluded"}


def test_labels_and_inputs_equal_a_slow_version(built) -> None:
    """Window by window from the raw log, with nothing but comparisons of days."""
    frame, windows, tables = built
    day = (frame["timestamp"].dt.normalize() - FIRST).dt.days
    own = frame["user_id"] == frame["actor_id"]
    daily = tables["features"].query("kind == 'daily'").reset_index(drop=True)
    supporters = tables["supporters"].set_index(["user_id", "day"])
    expected = set()
    for user in frame.loc[own, "user_id"].unique():
        acts = set(day[own & (frame["user_id"] == user)])
        for anchor in range(6, 84, 7):
            if acts & set(range(anchor - 6, anchor + 1)):
                expected.add((user, anchor))
    index = windows.index
    assert set(zip(index["user_id"], index["anchor"], strict=True)) == expected
    for row in np.random.default_rng(0).choice(len(index), 60, replace=False):
        w = index.iloc[row]
        mine = frame["user_id"] == w["user_id"]
        after = mine & day.between(w["anchor"] + 1, w["anchor"] + 7)
        if w["closed"]:
            assert w["churned"] == int(not (after & own).any())
            assert w["sticker"] == int((after & ~own & (frame["event"] == "sticker")).any())
        else:
            assert pd.isna(w["churned"]) and pd.isna(w["sticker"])
        batch = windows.batch(np.array([row]))[0]
        for offset in range(7):
            today = mine & (day == w["anchor"] - 6 + offset)
            date = (FIRST + pd.Timedelta(days=int(w["anchor"]) - 6 + offset)).date()
            for i, f in enumerate(daily.itertuples()):
                if f.feature.startswith("supporters:"):
                    known = (w["user_id"], date) in supporters.index
                    told = supporters.loc[(w["user_id"], date), f.feature.split(":")[1]] if known else 0
                    assert batch[offset, i] == told
                    continue
                rows = today & (own if f.side == "own" else ~own)
                rows &= True if pd.isna(f.event_name) else frame["event"] == f.event_name
                if f.measure == "actors":
                    value = frame.loc[rows, "actor_id"].nunique()
                else:
                    value = rows.sum() if f.measure == "count" else frame.loc[rows, "value"].sum()
                assert batch[offset, i] == value


def test_history_equals_a_slow_version(built) -> None:
    frame, windows, tables = built
    names = tables["features"].query("kind == 'history'")["feature"].to_list()
    day = (frame["timestamp"].dt.normalize() - FIRST).dt.days
    hour = frame["timestamp"].dt.hour
    supporters = tables["supporters"].set_index(["user_id", "day"])
    own = frame["user_id"] == frame["actor_id"]
    for row in np.random.default_rng(1).choice(len(windows), 40, replace=False):
        w = windows.index.iloc[row]
        mine = frame["user_id"] == w["user_id"]
        past = mine & (day <= w["anchor"])
        active = np.unique(day[past & own])
        got = dict(zip(names, windows.history(np.array([row]))[0], strict=True))
        stickers = past & ~own & (frame["event"] == "sticker")
        ago = w["anchor"] - day
        date = w["anchor_day"]
        expected = {
            "history:recency": w["anchor"] - active[-1],
            "history:tenure": w["anchor"] - active[0],
            "history:active_days:28": (active > w["anchor"] - 28).sum(),
            "history:own_acts:14": (past & own & (ago < 14)).sum(),
            "history:received_acts:56": (past & ~own & (ago < 56)).sum(),
            "history:week:3": ((active <= w["anchor"] - 14) & (active > w["anchor"] - 21)).sum(),
            "history:rate": len(active) / (w["anchor"] - active[0] + 1),
            "history:weekday": (FIRST + pd.Timedelta(days=w["anchor"])).day_of_week,
            "history:stickers:28": (stickers & (ago < 28)).sum(),
            "history:sticker_value:56": frame.loc[stickers & (ago < 56), "value"].sum(),
            "history:sticker_days": day[stickers].nunique(),
            "history:first_hour": hour[past & own & (ago < 28)].groupby(day).min().mean(),
            "history:last_hour": hour[past & own & (ago < 28)].groupby(day).max().mean(),
            "history:supporters:top_recency": supporters["top_recency"].get((w["user_id"], date), w["anchor"] + 1),
            "history:supporters:top_share": supporters["top_share"].get((w["user_id"], date), 0.0),
            "history:sticker_recency": ago[stickers].min() if stickers.any() else w["anchor"] + 1,
            "history:sum:own:post:count:28": (past & own & (ago < 28) & (frame["event"] == "post")).sum(),
        }
        if len(active) > 1:
            expected["history:mean_gap"] = np.diff(active).mean()
        for name, value in expected.items():
            assert got[name] == pytest.approx(value, rel=1e-5), name


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(anchor=st.sampled_from([34, 48, 62]), seed=st.integers(0, 1000))
def test_no_feature_moves_when_the_future_is_shuffled(built, tmp_path: Path, anchor: int, seed: int) -> None:
    """Everything after an anchor is given to other users, renamed and rescaled."""
    frame, windows, _ = built
    random = np.random.default_rng(seed)
    changed = frame.copy()
    later = ((changed["timestamp"].dt.normalize() - FIRST).dt.days > max(anchor, 20)).to_numpy()
    own = (changed["user_id"] == changed["actor_id"]).to_numpy()
    changed.loc[later, "user_id"] = random.permutation(changed.loc[later, "user_id"].to_numpy())
    changed.loc[later & own, "actor_id"] = changed.loc[later & own, "user_id"]
    changed.loc[later, "event"] = random.choice(["post", "like", "sticker", "never seen before"], later.sum())
    changed.loc[later, "value"] = random.random(later.sum()) * 100
    try:
        other, _ = build(changed, tmp_path / "other", experiment())
    except TooShortError:  # such a future may leave one class in a block
        reject()
    before, after = windows.index.query("anchor == @anchor"), other.index.query("anchor == @anchor")
    assert before["user_id"].to_list() == after["user_id"].to_list()
    columns = [c for c in windows.flat_columns()["column"] if c in set(other.flat_columns()["column"])]
    assert len(columns) == len(windows.flat_columns())
    new = set(other.flat_columns()["column"]) - set(columns)
    assert all(":other:" in column for column in new)  # names that training days do not hold get no feature
    one = pd.DataFrame(windows.flat(before.index.to_numpy()), columns=windows.flat_columns()["column"])
    two = pd.DataFrame(other.flat(after.index.to_numpy()), columns=other.flat_columns()["column"])
    pd.testing.assert_frame_equal(one[columns], two[columns])


def test_without_the_last_outcome_days_windows_become_open(built, tmp_path: Path) -> None:
    frame, windows, _ = built
    cut = frame[(frame["timestamp"].dt.normalize() - FIRST).dt.days < 80]
    shorter, _ = build(cut, tmp_path / "cut", experiment(), days=80)
    assert windows.index.query("anchor == 76")["closed"].all()
    assert not shorter.index.query("anchor == 76")["closed"].any()


def test_rare_events_are_folded_by_training_days_but_stickers_stay(tmp_path: Path) -> None:
    frame = make_log()
    windows, tables = build(frame, tmp_path / "w", experiment(features={"max_events": 1}))
    words = tables["vocabulary"]
    kept = words[~words["folded"]].groupby("side")["event_name"].unique().map(set).to_dict()
    assert kept == {"own": {"post"}, "received": {"like", "sticker"}}
    assert set(words.loc[words["folded"], "event_name"]) == {"chat", "photo", "reply"}
    features = windows.features.query("kind == 'daily'").reset_index(drop=True)
    values = windows._panel
    own = frame["user_id"] == frame["actor_id"]
    rare = {"own": own & frame["event"].isin(["chat", "photo"]), "received": ~own & (frame["event"] == "reply")}
    for side, rows in rare.items():
        other = (features["side"] == side) & (features["event_name"] == "other") & (features["measure"] == "count")
        place = features.index[other][0]
        day = (frame.loc[rows, "timestamp"].dt.normalize() - FIRST).dt.days
        expected = frame[rows].groupby([frame.loc[rows, "user_id"], day]).size()
        user = np.searchsorted(np.sort(frame["user_id"].unique()), expected.index.get_level_values(0))
        assert (values[user, expected.index.get_level_values(1), place] == expected.to_numpy()).all()
        assert values[:, :, place].sum() == rows.sum()


def test_churn_may_count_some_events_only(tmp_path: Path) -> None:
    frame = make_log()
    windows, _ = build(frame, tmp_path / "w", experiment(targets={"churn": {"events": ["photo"]}}))
    everything, _ = build(frame, tmp_path / "v", experiment())
    assert len(windows) < len(everything)
    with pytest.raises(LogError, match="foto"):
        build(frame, tmp_path / "u", experiment(targets={"churn": {"events": ["foto"]}}))


def test_people_by_event_are_different_people(tmp_path: Path) -> None:
    frame = make_log()
    _, tables = build(frame, tmp_path / "w", experiment(features={"actors": "event", "max_events": 2}))
    received = frame[frame["user_id"] != frame["actor_id"]].assign(day=frame["timestamp"].dt.date)
    people = tables["user_days"].set_index(["user_id", "day"])
    expected = received.groupby(["user_id", "day"])["actor_id"].nunique()
    pd.testing.assert_series_equal(people["actors"][people["actors"] > 0].astype(int), expected, check_names=False)
    counted = tables["features"].query("kind == 'daily' and measure == 'actors'")["event_name"].dropna().to_list()
    assert counted == ["like", "reply", "sticker"]  # two by frequency, one kept as a target
    for k, name in enumerate(counted):
        expected = received[received["event"] == name].groupby(["user_id", "day"])["actor_id"].nunique()
        known = people[f"actors_{k}"][people[f"actors_{k}"] > 0].astype(int)
        pd.testing.assert_series_equal(known, expected, check_names=False)


def test_people_are_told_apart_by_more_events_than_an_integer_has_bits(tmp_path: Path) -> None:
    frame = make_log()
    received = frame["user_id"] != frame["actor_id"]
    names = np.array([f"kind {k:02d}" for k in range(70)])
    frame["event"] = np.where(received, names[np.arange(len(frame)) % 70], "post")
    chosen = {"targets": {"sticker": {"events": ["kind 00"]}}}
    exp = experiment(features={"actors": "event", "max_events": 66}, **chosen)
    _, tables = build(frame, tmp_path / "w", exp)
    counted = tables["features"].query("kind == 'daily' and measure == 'actors'")["event_name"].dropna().to_list()
    assert len(counted) == 67 and counted[-1] == "other"
    people = tables["user_days"].set_index(["user_id", "day"])
    rows = frame[received].assign(
        day=frame["timestamp"].dt.date, word=frame["event"].where(frame["event"].isin(counted), "other")
    )
    for k, name in enumerate(counted):
        expected = rows[rows["word"] == name].groupby(["user_id", "day"])["actor_id"].nunique()
        assert people[f"actors_{k}"].sum() == expected.sum()


def test_an_event_named_other_joins_the_rare_ones(tmp_path: Path) -> None:
    frame = make_log()
    frame.loc[frame["event"] == "like", "event"] = "other"  # the most frequent of the received events
    windows, tables = build(frame, tmp_path / "w", experiment(features={"actors": "event", "max_events": 1}))
    features = windows.features.query("kind == 'daily'").reset_index(drop=True)
    received = frame[frame["user_id"] != frame["actor_id"]].assign(day=frame["timestamp"].dt.date)
    rare = received[received["event"] != "sticker"]
    expected = {"count": len(rare), "actors": rare.groupby(["user_id", "day"])["actor_id"].nunique().sum()}
    for measure, total in expected.items():
        place = features.index[(features["feature"] == f"received:other:{measure}")][0]
        assert windows._panel[:, :, place].sum() == total
    assert features["feature"].is_unique and len(tables["vocabulary"]) == 6


def test_rows_that_come_to_the_log_after_it_was_grouped_move_nothing(built, tmp_path: Path) -> None:
    frame, windows, _ = built
    late = pd.DataFrame({"user_id": [3, 99_999], "actor_id": [1001, 1001], "event": "like", "value": 1.0})
    late["timestamp"] = pd.to_datetime(["2024-03-30 10:00", "2024-02-01 10:00"])
    other, _ = build(frame, tmp_path / "w", experiment(), late=late)
    pd.testing.assert_frame_equal(windows.index, other.index)
    rows = np.arange(len(windows))
    np.testing.assert_array_equal(windows.flat(rows), other.flat(rows))


def test_blocks_of_users_and_days_change_nothing(built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, windows, tables = built
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 700)
    monkeypatch.setattr(panel, "BLOCK_BYTES", 200_000)
    cut, others = build(frame, tmp_path / "w", experiment())
    pd.testing.assert_frame_equal(windows.index, cut.index)
    rows = np.arange(len(windows))
    np.testing.assert_array_equal(windows.flat(rows), cut.flat(rows))
    for name in ("vocabulary", "supporters", "user_days", "features", "unscored"):
        pd.testing.assert_frame_equal(tables[name].reset_index(drop=True), others[name].reset_index(drop=True))


def test_windows_on_outage_days_may_be_left_out(tmp_path: Path) -> None:
    frame = make_log(users=300)  # of fewer, a silent day would be no wonder
    day = (frame["timestamp"].dt.normalize() - FIRST).dt.days
    silent_day = frame[day != 50]
    kept, _ = build(silent_day, tmp_path / "kept", experiment())
    left, tables = build(silent_day, tmp_path / "left", experiment(windows={"skip_outages": True}))
    assert tables["flags"]["flag"].to_list() == ["silent"]
    assert not kept.index["split"].eq("excluded").any()
    touched = left.index["closed"] & left.index["anchor"].between(50 - 7, 50 + 6)
    assert left.index["split"].eq("excluded").to_list() == touched.to_list() and touched.any()


def test_users_must_be_known_for_a_while(tmp_path: Path) -> None:
    frame = make_log()
    everybody, _ = build(frame, tmp_path / "w", experiment())
    older, tables = build(frame, tmp_path / "o", experiment(windows={"min_history_days": 21}))
    tenure = everybody.history(np.arange(len(everybody)))[:, 1]
    assert everybody.features.query("kind == 'history'")["feature"].iloc[1] == "history:tenure"
    expected = everybody.index[tenure >= 21]
    assert list(zip(older.index["user_id"], older.index["anchor"], strict=True)) == list(
        zip(expected["user_id"], expected["anchor"], strict=True)
    )
    assert set(tables["unscored"]["reason"]) <= {"not_active", "too_new"}


def test_static_facts_join_the_history(tmp_path: Path) -> None:
    frame = make_log()
    users = np.sort(frame["user_id"].unique())
    facts = pd.DataFrame({"id": users[:-1], "plan": np.where(users[:-1] % 3, "free", "paid"), "age": users[:-1] + 0.5})
    facts.to_csv(tmp_path / "facts.csv", index=False)
    log = {"log": {"path": "x.csv", "facts": str(tmp_path / "facts.csv")}}
    windows, _ = build(frame, tmp_path / "w", experiment(**log))
    features = windows.features.query("kind == 'history'")["feature"].to_list()
    got = pd.DataFrame(windows.history(np.arange(len(windows))), columns=features)
    user = windows.index["user_id"].to_numpy()
    known = user != users[-1]
    assert (got["history:fact:age"] == np.where(known, user + 0.5, 0)).all()
    assert (got["history:fact:age:unknown"] == ~known).all()
    assert (got["history:fact:plan=paid"] == (known & (user % 3 == 0))).all()
    assert (got["history:fact:plan=free"] == (known & (user % 3 > 0))).all()


def test_validation_users_are_halved(built) -> None:
    index = built[1].index
    halves = [set(index.loc[index["split"] == s, "user_id"]) for s in ("validation", "calibration")]
    assert halves[0] and halves[1] and not halves[0] & halves[1]


def test_the_random_split_is_the_founding_projects(tmp_path: Path) -> None:
    windows, _ = build(make_log(), tmp_path / "w", experiment(split={"kind": "random"}))
    sizes = windows.index["split"].value_counts()
    assert "purged" not in sizes
    inside = sizes[["train", "validation", "calibration"]]
    assert inside["train"] / inside.sum() == pytest.approx(0.8, abs=0.05)


def test_unscored_users_are_those_without_an_act_in_the_newest_window(built) -> None:
    frame, windows, tables = built
    scored = set(windows.index.iloc[windows.newest()]["user_id"])
    unscored = set(tables["unscored"]["user_id"])
    assert not scored & unscored and scored | unscored == set(frame["user_id"])
