"""Mixed lives against a plain slow version: the mixed days written out, and all of history computed from them anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import FIRST, build, experiment, make_log

from tschurn.features import history as h
from tschurn.features.groups import Groups
from tschurn.features.labels import Activity
from tschurn.features.windows import WindowSet

N = 24
LEVELS = ("top_share", "top_value_share", "top_recency")


@pytest.fixture(scope="module", params=["all events", "some events"])
def windows(request, tmp_path_factory: pytest.TempPathFactory) -> WindowSet:
    """A two-sided log with posts that are answered; with and without own events that do not count as activity."""
    log = {"post_events": ["post"], "reply_events": ["reply"], "path": "x.csv"}
    churn = {"events": ["post", "photo"]} if request.param == "some events" else {}
    features = {"max_events": 2} if churn else {}
    targets = {"churn": churn, "sticker": {"events": ["sticker"]}}
    exp = experiment(targets=targets, log=log, features=features)
    built, _ = build(make_log(users=40, seed=5), tmp_path_factory.mktemp("mixed"), exp)
    return built


def drawn(windows: WindowSet, seed: int, groups: Groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    rows, others = (random.choice(len(windows), N) for _ in range(2))
    return rows, others, random.integers(0, 1 << len(groups), (N, 1 + windows.observe_days))


def plain_life(
    windows: WindowSet, groups: Groups, row: int, other: int, own: np.ndarray
) -> tuple[np.ndarray, Activity]:
    """The mixed life day by day, up to the anchor: its panel [1 × days × features], and its activity."""
    record, lives = windows.record, windows.lives
    features = windows.features[windows.features["kind"] == "daily"].reset_index(drop=True)
    (user, anchor), (his, hers) = (
        (int(windows.index["user"].iloc[r]), int(windows.index["anchor"].iloc[r])) for r in (row, other)
    )
    count = features["measure"] == "count"
    own_acts = (count & (features["side"] == "own")).to_numpy()
    received = (count & (features["side"] == "received")).to_numpy()
    events = record.churn_events
    counted = own_acts & (features["event_name"].isin(events).to_numpy() if events else True)
    folded = np.flatnonzero(features["feature"] == "own:other:count")
    rare = groups.of_feature[folded[0]] if len(folded) else 0
    panel = np.zeros((1, anchor + 1, len(features)), dtype=np.float32)
    days = {f: np.zeros((1, anchor + 1), dtype=np.float32) for f in ("stickers", "sticker_value")}
    hours = np.full((2, 1, anchor + 1), -1, dtype=np.int8)
    active = np.zeros((1, anchor + 1), dtype=bool)
    for day in range(anchor + 1):
        ago = anchor - day
        bits = own[0] if ago >= windows.observe_days else own[1 + windows.observe_days - 1 - ago]
        sources = [(user, day, True), (his, hers - ago, False)]
        for who, when, mine in sources:
            if when < 0:
                continue
            from_here = np.array([bool(bits >> g & 1) == mine for g in groups.of_feature])
            values = windows._panel[who, when]
            panel[0, day, from_here] = values[from_here]
            if bool(bits >> groups.stickers & 1) == mine:
                days["stickers"][0, day] = lives.stickers[who, when]
                days["sticker_value"][0, day] = record.sticker_value[who, when]
            if (values[counted & from_here] > 0).any():
                active[0, day] = True
            hidden = lives.active[who, when] and not (values[counted] > 0).any()
            if hidden and bool(bits >> rare & 1) == mine:
                active[0, day] = True
            if (values[own_acts & from_here] > 0).any():
                for end, (grid, better) in enumerate(((record.first_hour, min), (record.last_hour, max))):
                    known = [x for x in (int(hours[end, 0, day]), int(grid[who, when])) if x >= 0]
                    hours[end, 0, day] = better(known)
        acts = panel[0, day, received].sum()
        people = features["feature"] == "received:actors"
        panel[0, day, people] = np.clip(panel[0, day, people], min(acts, 1), acts)
        some = features["measure"].isin(["supporters_active", "supporters_new", "supporters_returning"])
        panel[0, day, some] = np.minimum(panel[0, day, some], panel[0, day, people])
    activity = Activity(
        active, panel[:, :, own_acts].sum(axis=2), panel[:, :, received].sum(axis=2), **days,
        first_hour=hours[0], last_hour=hours[1],
    )  # fmt: skip
    return panel, activity


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("most", [6, 12])
def test_every_input_is_that_of_the_life_written_out(windows: WindowSet, seed: int, most: int) -> None:
    groups = windows.groups(most=most)
    rows, others, own = drawn(windows, seed, groups)
    mixed = windows.mixed(groups, rows, others, own)
    past = windows.features[windows.features["kind"] == "history"]["feature"].tolist()
    known = [i for i, f in enumerate(past) if not f.startswith(("history:supporters:", "history:fact:"))]
    for i in range(N):
        panel, activity = plain_life(windows, groups, rows[i], others[i], own[i])
        anchor = panel.shape[1] - 1
        np.testing.assert_array_equal(mixed.batch(np.array([i]))[0], panel[0, anchor + 1 - windows.observe_days :])
        weekday = FIRST.day_of_week
        (expected,) = h.at_anchors(panel, activity, np.array([anchor]), weekday, True, "history:first_hour" in past)
        found = mixed.history(np.array([i]))[0, known]
        wrong = ~np.isclose(found, expected[0], rtol=1e-6, atol=1e-5)
        assert not wrong.any(), [(past[k], f, e) for k, f, e in zip(known, found, expected[0], strict=True) if f != e]
        first = activity.active[0].argmax() if activity.active.any() else 0
        assert mixed.lives.first[i] == first
        np.testing.assert_array_equal(mixed.lives.active[i, : anchor + 1], activity.active[0])
        np.testing.assert_array_equal(mixed.lives.stickers[i, : anchor + 1], activity.stickers[0])
        np.testing.assert_array_equal(mixed.days(np.array([i]), np.arange(anchor + 1)[None])[0], panel[0])


def test_a_life_of_ones_own_is_the_window(windows: WindowSet) -> None:
    groups = windows.groups()
    rows, others, _ = drawn(windows, 1, groups)
    mixed = windows.mixed(groups, rows, others, np.full((N, 1 + windows.observe_days), -1))
    every = np.arange(N)
    np.testing.assert_array_equal(mixed.batch(every), windows.batch(rows))
    np.testing.assert_allclose(mixed.history(every), windows.history(rows), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(mixed.lives.first, windows.lives.first[windows.index["user"].to_numpy()[rows]])
    values, which = mixed.distinct_days(every)
    np.testing.assert_array_equal(values[which], windows.batch(rows))


def test_a_life_of_anothers_is_the_others_window_on_this_calendar(windows: WindowSet) -> None:
    groups = windows.groups()
    rows, others, _ = drawn(windows, 2, groups)
    anchors = windows.index["anchor"].to_numpy()
    here = anchors[others] <= anchors[rows]  # of a longer life only as much as this user's log goes back
    rows, others = rows[here], others[here]
    mixed = windows.mixed(groups, rows, others, np.zeros((len(rows), 1 + windows.observe_days), dtype=int))
    every = np.arange(len(rows))
    np.testing.assert_array_equal(mixed.batch(every), windows.batch(others))
    past = windows.features[windows.features["kind"] == "history"]["feature"].tolist()
    wanted = windows.history(others).copy()
    weekday = past.index("history:weekday")
    wanted[:, weekday] = windows.history(rows)[:, weekday]
    # what never happened did not happen for as long as this user's log goes back
    same = windows.index["anchor"].to_numpy()[rows] == windows.index["anchor"].to_numpy()[others]
    capped = [past.index("history:sticker_recency"), past.index("history:supporters:top_recency")]
    wanted[~same[:, None] & np.isin(np.arange(len(past)), capped)] = 0
    found = mixed.history(every)
    found[~same[:, None] & np.isin(np.arange(len(past)), capped)] = 0
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_in_an_empty_life_nothing_has_happened(windows: WindowSet) -> None:
    groups = windows.groups()
    rows, _, _ = drawn(windows, 3, groups)
    mixed = windows.mixed(groups, rows, np.full(N, -1), np.zeros((N, 1 + windows.observe_days), dtype=int))
    every = np.arange(N)
    assert not mixed.batch(every).any()
    past = pd.DataFrame(
        mixed.history(every), columns=windows.features[windows.features["kind"] == "history"]["feature"].tolist()
    )
    anchor = windows.index["anchor"].to_numpy()[rows]
    for name in ("recency", "sticker_recency", "supporters:top_recency"):
        assert (past[f"history:{name}"] == anchor + 1).all(), name
    zero = past.loc[:, past.columns.str.contains("sum:|active_days|own_acts|received_acts|stickers|top_share|week:")]
    assert not zero.to_numpy().any()


def test_what_happens_in_masked_cells_moves_nothing(windows: WindowSet) -> None:
    """Another life's cells that are not taken may hold anything."""
    groups = windows.groups()
    rows, others, own = drawn(windows, 4, groups)
    own[:, 3] = -1  # of this day everything is the user's own
    elsewhere = np.roll(others, 1)
    one, two = (windows.mixed(groups, rows, o, np.where(np.arange(8) == 3, -1, own)) for o in (others, elsewhere))
    np.testing.assert_array_equal(one.batch(np.arange(N))[:, 2], two.batch(np.arange(N))[:, 2])


def test_levels_follow_the_days_they_are_taken_from(windows: WindowSet) -> None:
    groups = windows.groups()
    rows, others, _ = drawn(windows, 5, groups)
    past = windows.features[windows.features["kind"] == "history"]["feature"].tolist()
    own = np.full((N, 8), -1)
    own[:, -1] = 0  # the last day is another's
    mixed = windows.mixed(groups, rows, others, own).history(np.arange(N))
    user, anchor = (windows.index[c].to_numpy()[rows] for c in ("user", "anchor"))
    his, hers = (windows.index[c].to_numpy()[others] for c in ("user", "anchor"))
    share, recency = (windows.record.levels[:, :, LEVELS.index(name)] for name in ("top_share", "top_recency"))
    step = share[his, hers] - np.where(hers > 0, share[his, np.maximum(hers - 1, 0)], 0)
    expected = np.clip(share[user, anchor - 1] + step, 0, 1)
    np.testing.assert_allclose(mixed[:, past.index("history:supporters:top_share")], expected, atol=1e-6)
    came = recency[his, hers] == 0
    np.testing.assert_array_equal(
        mixed[:, past.index("history:supporters:top_recency")], np.where(came, 0, recency[user, anchor - 1] + 1)
    )


@pytest.mark.parametrize("most", [6, 8, 12])
def test_groups_share_out_the_features(windows: WindowSet, most: int) -> None:
    groups = windows.groups(["received:like:count"], most)
    assert 1 < len(groups) <= most
    assert set(groups.of_feature) <= set(range(len(groups)))
    names = groups.table["group"].tolist()
    assert len(set(names)) == len(names)
    daily = windows.features[windows.features["kind"] == "daily"]["feature"].tolist()
    assert names[groups.of_feature[daily.index("received:like:count")]] == "received:like"
    assert names[groups.of_feature[daily.index("received:sticker:value")]] == "stickers"
    assert (groups.table[["label_en", "label_ko"]] != "").all(axis=None)


def test_windows_without_a_record_say_so(windows: WindowSet, tmp_path: Path) -> None:
    bare = WindowSet(windows.index, windows.features, windows._panel, windows._history, 7, windows.lives)
    with pytest.raises(ValueError, match="record"):
        bare.mixed(windows.groups(), np.arange(2), np.arange(2), np.zeros((2, 8), dtype=int))
