"""The raw log shows what was lived, and has what raw logs have: rhythms, bots, repeats, an outage, other places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn.config import SMALL_SIMULATION, Simulation
from tschurn.contracts import CAUSES
from tschurn.errors import SimulationError
from tschurn.simulator import CREATORS_FILE, EVENTS_FILE, TRUTH_FILE, simulate
from tschurn.simulator.behaviour import CHAINS
from tschurn.simulator.causes import CAUSE_FEATURES, CHANNELS, STICKERS
from tschurn.simulator.counts import CONCERNED
from tschurn.simulator.population import BURN_IN, OUTAGE_DAY
from tschurn.simulator.rows import BOTS, ELSEWHERE, FIRST_FAN_ID, NOWHERE, OUTAGE_HOURS

SMALL = Simulation(**SMALL_SIMULATION)
TINY = {"creators": 60, "fans": 500, "rows": 120_000, "days": 60}


def in_rooms(log: pd.DataFrame) -> pd.DataFrame:
    return log[log["user_id"] <= SMALL.creators]


def days_with(rows: pd.DataFrame, creators: np.ndarray) -> np.ndarray:
    """→ [days × creators]: whether there is such a row."""
    grid = np.zeros((SMALL.days, len(creators)), dtype=bool)
    grid[rows["day"], pd.Index(creators).get_indexer(rows["user_id"])] = True
    return grid


def test_own_rows_are_the_acts_that_were_lived(platform, inside) -> None:
    own = in_rooms(platform.log).query("user_id == actor_id")
    acted = inside.life.acted[BURN_IN:]
    logged = days_with(own, inside.world.people.user_id)
    outage = inside.world.calendar.outage_day - BURN_IN
    assert not (logged & ~acted).any()
    differs = np.flatnonzero((logged != acted).any(axis=1))
    assert set(differs) <= {outage}
    assert 0.1 < (logged[outage] != acted[outage]).sum() / acted[outage].sum() < 0.6


def test_size_and_columns(platform) -> None:
    log = platform.log
    assert platform.made.rows == len(log) == SMALL.rows
    assert list(log.columns[:5]) == ["user_id", "actor_id", "timestamp", "event", "value"]
    assert log["timestamp"].is_monotonic_increasing
    assert log["day"].min() == 0 and log["day"].max() == SMALL.days - 1
    creators = pd.read_csv(platform.folder / CREATORS_FILE)["creator_id"]
    assert sorted(creators) == list(range(1, SMALL.creators + 1))
    assert platform.made.churn_rate == pytest.approx(SMALL.churn_rate, rel=0.05)
    assert platform.made.sticker_rate == pytest.approx(SMALL.sticker_rate, rel=0.05)


def test_every_channel_is_logged_on_its_side(platform) -> None:
    rooms = in_rooms(platform.log)
    side = np.where(rooms["user_id"] == rooms["actor_id"], "own", "received")
    found = set(zip(side, rooms["event"], strict=True))
    assert found == {(c.side, c.event) for c in CHANNELS}
    for wanted in ("own", "received"):
        assert sum(c.side == wanted for c in CHANNELS) >= 12


def test_elsewhere_and_nowhere(platform) -> None:
    log = platform.log
    nowhere, others = log[log["user_id"].isna()], log[log["user_id"] >= FIRST_FAN_ID]
    assert set(nowhere["event"]) == set(NOWHERE) and set(others["event"]) == set(ELSEWHERE)
    assert (others["user_id"] == others["actor_id"]).all()
    assert len(nowhere) + len(others) + len(in_rooms(log)) == len(log)
    assert 0.2 < (len(nowhere) + len(others)) / len(log) < 0.6


def test_only_stickers_have_amounts(platform) -> None:
    paid = platform.log["event"].isin(STICKERS)
    assert (platform.log.loc[~paid, "value"] == 1).all()
    for kind, price in STICKERS.items():
        amounts = platform.log.loc[platform.log["event"] == kind, "value"]
        assert (amounts >= price).all() and (amounts % price == 0).all()


def test_the_outage_takes_half_a_day_of_all_but_stickers(platform, inside) -> None:
    log, outage = platform.log, inside.world.calendar.outage_day - BURN_IN
    hour = log["local"].dt.hour
    lost = (log["day"] == outage) & (hour >= OUTAGE_HOURS[0]) & (hour < OUTAGE_HOURS[1])
    assert log.loc[lost, "event"].isin(STICKERS).all()
    usual = ((log["day"] == outage - 7) & (hour >= OUTAGE_HOURS[0]) & (hour < OUTAGE_HOURS[1])).sum()
    assert usual > 500


def test_stickers_outlive_the_outage(tmp_path: Path) -> None:
    settings = Simulation(**TINY | {"sticker_rate": 0.6})
    simulate(settings, tmp_path)
    log = pd.read_parquet(tmp_path / EVENTS_FILE)
    local = log["timestamp"].dt.tz_convert("Asia/Seoul")
    outage = pd.Timestamp(settings.first_day, tz="Asia/Seoul") + pd.Timedelta(days=round(OUTAGE_DAY * settings.days))
    lost = local.between(outage + pd.Timedelta(hours=OUTAGE_HOURS[0]), outage + pd.Timedelta(hours=OUTAGE_HOURS[1]))
    assert lost.sum() > 0 and log.loc[lost, "event"].isin(STICKERS).all()


def test_rhythms(platform) -> None:
    log = in_rooms(platform.log)
    log = log[~log["event"].isin([c.event for c in CHANNELS if c.role in ("independent", "user_constant")])]
    by_hour = log.groupby(log["local"].dt.hour).size()
    assert by_hour[21] > 5 * by_hour[4]
    weekday = (log["day"] + pd.Timestamp(SMALL.first_day).weekday()) % 7
    assert log.groupby(weekday >= 5).size()[True] / 2 > 1.05 * log.groupby(weekday >= 5).size()[False] / 5
    rows = log.groupby("user_id").size().sort_values()
    assert rows.iloc[-len(rows) // 100 :].sum() > 0.05 * rows.sum()  # heavy tail: the first hundredth
    assert rows.quantile(0.99) > 5 * rows.median()


def test_seollal_is_a_holiday(inside) -> None:
    season = inside.world.calendar.season[BURN_IN:]
    seollal = (pd.Timestamp("2023-01-22") - pd.Timestamp(SMALL.first_day)).days
    assert np.flatnonzero(season < 0).tolist() == [seollal - 1, seollal, seollal + 1, seollal + 2]


def test_bots_and_repeats(platform) -> None:
    log = platform.log
    bots = log[log["actor_id"] >= FIRST_FAN_ID + SMALL.fans]
    assert bots["actor_id"].nunique() == BOTS and set(bots["event"]) == {"room_visit"}
    acts = log[(log["actor_id"] >= FIRST_FAN_ID) & (log["actor_id"] < FIRST_FAN_ID + SMALL.fans)].groupby("actor_id")
    assert bots.groupby("actor_id").size().min() > acts.size().quantile(0.99)
    repeated = log.duplicated(["user_id", "actor_id", "timestamp", "event", "value"]).mean()
    assert 0.002 < repeated < 0.01


def test_newcomers_and_old_hands(inside) -> None:
    people, acted = inside.world.people, inside.life.acted[BURN_IN:]
    new = (people.joined >= BURN_IN) & (people.joined < BURN_IN + SMALL.days)
    first = acted.argmax(axis=0)
    assert (first[new] == people.joined[new] - BURN_IN).all()  # they join by acting
    assert 0.2 < new.mean() < 0.5
    assert not acted[:, people.joined > BURN_IN + SMALL.days].any()


def rows_of(platform, inside, event: str, own: bool | None = None) -> np.ndarray:
    """→ [days × creators] rows of an event."""
    rows = in_rooms(platform.log).query("event == @event")
    if own is not None:
        rows = rows[(rows["user_id"] == rows["actor_id"]) == own]
    creators = inside.world.people.user_id
    grid = np.zeros((SMALL.days, len(creators)))
    np.add.at(grid, (rows["day"], pd.Index(creators).get_indexer(rows["user_id"])), 1)
    return grid


def test_each_cause_shows_in_its_channels_and_only_then(platform, inside) -> None:
    logged, calendar = inside.life.states[BURN_IN:], inside.world.calendar
    days = slice(BURN_IN, BURN_IN + SMALL.days)
    bad = {chain: np.stack([s.bad[chain] for s in logged]) for chain in CHAINS}
    shows = {
        "badge_visit": (~bad["supporters_quiet"], 1.0, 0.0),
        "badge_chat": (~bad["supporters_quiet"], 0.9, 0.0),
        "first_comment": (~bad["unanswered_posts"], 0.95, 0.1),
        "recommended": (~bad["falling_reach"], 0.95, 0.2),
        "night_live": (calendar.burst[days], 1.0, 0.05),
        "away_notice": (calendar.notice[days], 1.0, 0.03),
        "fee_page_view": (np.stack([s.price < CONCERNED for s in logged]), 1.0, 0.05),
    }
    assert set(shows) == {c.event for c in CHANNELS if c.role == "cause"}
    acted = inside.life.acted[BURN_IN:].copy()
    acted[calendar.outage_day - BURN_IN] = False
    for event, (when, least, most) in shows.items():
        happens = rows_of(platform, inside, event) > 0
        assert not happens[~inside.life.acted[BURN_IN:]].any(), event
        assert happens[acted & when].mean() >= 0.98 * least, event
        assert happens[acted & ~when].mean() <= most, event


def test_distractors_go_along_with_their_cause(platform, inside) -> None:
    acted = inside.life.acted[BURN_IN:]
    for channel in CHANNELS:
        if channel.role != "distractor":
            continue
        [carrier, *_] = [c for c in CHANNELS if c.role == "cause" and c.cause == channel.cause]
        both = [rows_of(platform, inside, c.event)[acted] for c in (channel, carrier)]
        assert np.corrcoef(*both)[0, 1] > 0.05, channel.event


def test_a_session_begins_with_opening_the_room(platform) -> None:
    own = in_rooms(platform.log).query("user_id == actor_id")
    first = own.groupby(["user_id", "day"])["event"].first()
    assert (first == "room_open").mean() > 0.98  # the outage, and two rows in one millisecond


def test_fans_come_to_rooms_that_are_open(platform, inside) -> None:
    people = inside.world.people
    joined = pd.Series(people.joined - BURN_IN, index=people.user_id)
    noise = [c.event for c in CHANNELS if c.role in ("independent", "user_constant")]
    rows = in_rooms(platform.log)
    rows = rows[~rows["event"].isin(noise)]
    assert (rows["day"].to_numpy() >= joined[rows["user_id"]].to_numpy()).all()


def test_noise_knows_nothing(platform, inside) -> None:
    """Independent channels do not go along with churn; user-constant ones are the same every day."""
    creators = inside.world.people.user_id
    outage = inside.world.calendar.outage_day - BURN_IN
    days = np.arange(SMALL.days) != outage
    for channel in CHANNELS:
        if channel.role not in ("independent", "user_constant"):
            continue
        rows = platform.log[platform.log["event"] == channel.event]
        # repeats and the outage come from the tracker, not from the channel
        rows = rows.drop_duplicates(["user_id", "timestamp"])
        grid = np.zeros((SMALL.days, len(creators)))
        np.add.at(grid, (rows["day"], pd.Index(creators).get_indexer(rows["user_id"])), 1)
        grid = grid[days]
        if channel.role == "user_constant":
            assert (np.ptp(grid, axis=0) <= 1).all() and (np.ptp(grid, axis=0) == 0).mean() > 0.9
        else:
            acted = inside.life.acted[BURN_IN:][days]
            assert abs(np.corrcoef(grid.ravel(), acted.ravel())[0, 1]) < 0.02
            assert 0.3 < grid.mean() < 0.6


def test_the_table_of_causes_names_what_is_logged() -> None:
    assert set(CAUSE_FEATURES) == set(CAUSES)
    carried = {f"{c.side}:{c.event}:count": c.cause for c in CHANNELS if c.role == "cause"}
    for cause, features in CAUSE_FEATURES.items():
        assert len(features) <= 3 and set(features.values()) <= {-1, 1}
        for feature in features:
            assert carried[feature.removeprefix("history:sum:").removesuffix(":28")] == cause
    assert set(carried.values()) == {cause for cause, features in CAUSE_FEATURES.items() if features}


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    settings = Simulation(**TINY)
    for folder in ("a", "b"):
        simulate(settings, tmp_path / folder)
    simulate(settings.model_copy(update={"seed": 8}), tmp_path / "c")
    for name in (EVENTS_FILE, CREATORS_FILE, TRUTH_FILE):
        first, again, other = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert first == again
        assert (first == other) == (name == CREATORS_FILE)


def test_the_log_does_not_depend_on_how_far_the_truth_looks_ahead(tmp_path: Path) -> None:
    settings = Simulation(**TINY)
    for ahead in (7, 21):
        simulate(settings, tmp_path / str(ahead), ahead=ahead)
    near, far = ((tmp_path / ahead / EVENTS_FILE).read_bytes() for ahead in ("7", "21"))
    assert near == far
    known = [pd.read_parquet(tmp_path / ahead / TRUTH_FILE) for ahead in ("7", "21")]
    assert (known[1]["p_churn_true"] <= known[0]["p_churn_true"]).all()
    assert known[1]["p_sticker_true"].mean() > known[0]["p_sticker_true"].mean()


@pytest.mark.parametrize("change", [{"rows": 20_000}, {"churn_rate": 0.001}, {"sticker_rate": 0.999}])
def test_what_cannot_be_is_said_and_nothing_is_written(tmp_path: Path, change: dict) -> None:
    with pytest.raises(SimulationError) as told:
        simulate(Simulation(**TINY | change), tmp_path / "out")
    assert next(iter(change)) in str(told.value) and "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def test_the_least_number_of_rows_is_enough(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="give at least") as told:
        simulate(Simulation(**TINY | {"rows": 20_000}), tmp_path)
    least = int(str(told.value).split("give at least ")[1].split(" rows")[0].replace(",", ""))
    assert simulate(Simulation(**TINY | {"rows": least}), tmp_path).rows == least


@pytest.mark.parametrize("first_day", ["2020-02-20", "2024-01-01", "2029-12-20"])
def test_any_calendar(tmp_path: Path, first_day: str) -> None:
    settings = Simulation(**TINY | {"first_day": first_day})
    made = simulate(settings, tmp_path)
    days = pd.read_parquet(tmp_path / EVENTS_FILE, columns=["timestamp"])["timestamp"].dt.tz_convert("Asia/Seoul")
    assert days.min().date() == settings.first_day
    assert (days.max().date() - settings.first_day).days == 59
    assert made.windows > 0
