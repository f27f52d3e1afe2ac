"""Labels, splits, history and windows against slow and plain versions; and no look into the future."""

from __future__ import annotations

from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from synthetic import make_log

from tschurn import config, features
from tschurn.contracts import DAILY, FEATURES, FLAT_COLUMNS, PROFILE, SPLITS, UNSCORED, WINDOWS, silent
from tschurn.errors import LogError, TooShortError
from tschurn.features import splits
from tschurn.features.windows import WindowSet

FIRST = pd.Timestamp("2024-01-01")


def experiment(**sections: dict) -> config.Experiment:
    base = {
        "experiment": {"name": "t"},
        "log": {"path": "x.csv"},
        "targets": {"sticker": {"events": ["sticker"]}},
    }
    return config.parse(base | sections, "t.toml")


def event_log(frame: pd.DataFrame) -> pd.DataFrame:
    """The raw frame of the fixtures → EVENT_LOG in UTC."""
    return pd.DataFrame(
        {"user_id": frame["user_id"], "actor_id": frame["actor_id"],
         "event_time": frame["timestamp"].dt.tz_localize("UTC"),
         "day": frame["timestamp"].dt.date, "event_name": frame["event"], "value": frame["value"]}
    )  # fmt: skip


def build(
    frame: pd.DataFrame, folder: Path, exp: config.Experiment, days: int = 84
) -> tuple[WindowSet, dict[str, pd.DataFrame]]:
    folder.mkdir(exist_ok=True)
    summary = pd.DataFrame({"first_day": [FIRST.date()], "days": [days]})
    table = ibis.duckdb.connect().create_table("log", event_log(frame))
    tables, history = features.build_windows(table, summary, exp, folder, silent)
    panel = np.load(folder / "panel.npy", mmap_mode="r")
    return features.open_windows(
        tables["windows"], tables["features"], panel, history, exp.windows.observe_days
    ), tables


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, WindowSet, dict[str, pd.DataFrame]]:
    frame = make_log()
    return frame, *build(frame, tmp_path_factory.mktemp("windows"), experiment())


def test_tables_keep_their_contracts(built) -> None:
    _, windows, tables = built
    for contract in (DAILY, FEATURES, WINDOWS, UNSCORED):
        contract.check(tables[contract.name])
    FLAT_COLUMNS.check(windows.flat_columns())
    PROFILE.check(windows.profile(windows.newest()))
    assert set(tables["windows"]["split"]) == set(SPLITS)


def test_labels_and_inputs_equal_a_slow_version(built) -> None:
    """Window by window from the raw log, with nothing but comparisons of days."""
    frame, windows, tables = built
    day = (frame["timestamp"].dt.normalize() - FIRST).dt.days
    own = frame["user_id"] == frame["actor_id"]
    daily = tables["features"].query("kind == 'daily'").reset_index(drop=True)
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
            for i, f in enumerate(daily.itertuples()):
                rows = today & (own if f.side == "own" else ~own)
                if f.measure == "actors":
                    value = frame.loc[rows, "actor_id"].nunique()
                else:
                    rows &= frame["event"] == f.event_name
                    value = rows.sum() if f.measure == "count" else frame.loc[rows, "value"].sum()
                assert batch[offset, i] == value


def test_history_equals_a_slow_version(built) -> None:
    frame, windows, tables = built
    names = tables["features"].query("kind == 'history'")["feature"].to_list()
    day = (frame["timestamp"].dt.normalize() - FIRST).dt.days
    own = frame["user_id"] == frame["actor_id"]
    for row in np.random.default_rng(1).choice(len(windows), 40, replace=False):
        w = windows.index.iloc[row]
        mine = frame["user_id"] == w["user_id"]
        past = mine & (day <= w["anchor"])
        active = np.unique(day[past & own])
        got = dict(zip(names, windows.history(np.array([row]))[0], strict=True))
        stickers = past & ~own & (frame["event"] == "sticker")
        ago = w["anchor"] - day
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
    _, tables = build(frame, tmp_path / "w", experiment(features={"max_events": 1}))
    names = tables["daily"].groupby("side")["event_name"].unique().map(set).to_dict()
    assert names == {"own": {"post", "other"}, "received": {"like", "sticker", "other"}}
    assert tables["daily"]["n"].sum() == len(frame)


def test_churn_may_count_some_events_only(tmp_path: Path) -> None:
    frame = make_log()
    windows, _ = build(frame, tmp_path / "w", experiment(targets={"churn": {"events": ["photo"]}}))
    everything, _ = build(frame, tmp_path / "v", experiment())
    assert len(windows) < len(everything)
    with pytest.raises(LogError, match="foto"):
        build(frame, tmp_path / "u", experiment(targets={"churn": {"events": ["foto"]}}))


@given(
    days=st.integers(42, 400), observe=st.integers(1, 14), outcome=st.integers(1, 14),
    stride=st.integers(1, 10), share=st.floats(0.05, 0.5),
)  # fmt: skip
def test_blocks_of_time_never_touch(days: int, observe: int, outcome: int, stride: int, share: float) -> None:
    shape = config.WindowShape(observe_days=observe, outcome_days=outcome, stride_days=stride)
    try:
        found = splits.split_anchors(days, shape, config.Split(test_share=share))
    except TooShortError:
        return
    closed = [a for a in range(observe - 1, days, stride) if a + outcome <= days - 1]
    assert list(found) == closed
    block = {name: [a for a, s in found.items() if s == name] for name in ("train", "validation", "test")}
    assert all(block.values())
    for earlier, later in (("train", "validation"), ("validation", "test")):
        assert max(block[earlier]) + outcome < min(block[later]) - observe + 1
    assert block["test"] == closed[-max(1, round(share * len(closed))) :]


def test_42_days_are_enough_and_41_are_not() -> None:
    shape, split = config.WindowShape(), config.Split()
    assert list(splits.split_anchors(42, shape, split).values()) == ["train", "purged", "validation", "purged", "test"]
    with pytest.raises(TooShortError, match=r"spans 41 days.*at least 42"):
        splits.split_anchors(41, shape, split)


def test_user_split_works_with_one_anchor_and_keeps_users_apart() -> None:
    user = np.arange(200)
    found = splits.assign(user, np.full(200, 6), 14, config.WindowShape(), config.Split(kind="user"), 0)
    assert set(found) == {"train", "validation", "calibration", "test"}
    assert (found == "test").sum() == 50
    validation, calibration = ((found == s).sum() for s in ("validation", "calibration"))
    assert validation + calibration == round(0.15 * 150) and abs(validation - calibration) <= 1


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
