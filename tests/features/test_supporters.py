"""Supporters against a slow and plain version, person by person and act by act; and no look into the future."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import ibis
import ibis.expr.operations as ops
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from synthetic import make_log

from tschurn.contracts import EVENT_LOG, FEATURES, SUPPORTERS
from tschurn.errors import LogError
from tschurn.features import supporters as s

FIRST = date(2024, 2, 20)  # so that a 29 February lies inside
MIDNIGHT = pd.Timestamp(FIRST, tz="UTC")
SETTINGS = s.Settings(("like", "reply"), ("gift", "like"), ("post",), ("reply",), quiet_days=3, regular_days=2)
COUNTS = ["active", "new", "returning", "quiet", "answered", "unanswered"]
SHARES = ["top_share", "top_value_share"]
ENGINE = ibis.duckdb.connect(threads=1)


def log_of(events: list[tuple]) -> pd.DataFrame:
    """(user, actor, day, minute, name, value, object) each → EVENT_LOG as a frame."""
    frame = pd.DataFrame(
        events, columns=["user_id", "actor_id", "t", "minute", "event_name", "value", "object"]
    )  # fmt: skip
    time = MIDNIGHT + pd.to_timedelta(frame["t"].astype(int), unit="D")
    frame["event_time"] = (time + pd.to_timedelta(frame["minute"].astype(int), unit="min")).dt.as_unit("us")
    frame["day"] = [FIRST + timedelta(days=int(t)) for t in frame["t"]]
    frame["hour"] = (frame["minute"].astype(int) // 60).astype("int8")
    frame["value"] = frame["value"].astype("float64")
    frame["object"] = frame["object"].astype("string")
    return frame[list(EVENT_LOG.columns)]


def table(frame: pd.DataFrame) -> ibis.expr.types.Table:
    return ENGINE.create_table("log", EVENT_LOG.check(frame), overwrite=True)


# --- the slow version ---------------------------------------------------------------------------
class Score:
    """Σ amount · 2^(t / 28), exactly: 1, 2^(1/28), …, 2^(27/28) are independent over the integers."""

    def __init__(self) -> None:
        self.parts = [0] * 28

    def add(self, t: int, amount: float) -> None:
        self.parts[t % 28] += round(amount * 10) << (t // 28)

    def __float__(self) -> float:
        return sum(part * 2 ** (i / 28) for i, part in enumerate(self.parts))


def top_of(acts: list[tuple[int, str, float]], today: int) -> tuple[float, int] | None:
    """(day, actor, amount) each → the top actor's share and the days since their last act; ties: who acted last."""
    scores: dict[str, Score] = {}
    last: dict[str, int] = {}
    for t, actor, amount in acts:
        if t <= today:
            scores.setdefault(actor, Score()).add(t, amount)
            last[actor] = max(t, last.get(actor, -1))
    if not scores:
        return None
    best = max(scores, key=lambda a: float(scores[a]))
    tied = [a for a in scores if scores[a].parts == scores[best].parts]
    best = max(tied, key=last.__getitem__)
    return float(scores[best]) / sum(map(float, scores.values())), today - last[best]


def slow(frame: pd.DataFrame, settings: s.Settings, days: int) -> pd.DataFrame:
    """SUPPORTERS by its definitions: for each user and day, only what lies before its end is looked at."""
    rows = []
    for user in sorted(frame["user_id"].unique()):
        mine = frame[frame["user_id"] == user]
        things = [None if pd.isna(thing) else thing for thing in mine["object"]]
        t = [(day - FIRST).days for day in mine["day"]]
        columns = t, mine["actor_id"], mine["event_name"], mine["value"], mine["event_time"], things
        events = list(zip(*columns, strict=True))
        received = [e for e in events if e[1] != user]
        acts = [e for e in received if settings.supporter_events is None or e[2] in settings.supporter_events]
        gifts = [(e[0], e[1], e[3]) for e in received if e[2] in settings.sticker_events and e[3] > 0]
        says = bool(settings.post_events and settings.reply_events)
        posts = [e for e in events if says and e[1] == user and e[2] in settings.post_events]
        replies = [e for e in received if e[2] in settings.reply_events]
        for today in range(min((e[0] for e in acts + posts), default=days), days):
            row = slow_supporters(acts, settings, today)
            top = top_of([(e[0], e[1], 1) for e in acts], today) or (0.0, today + 1)
            giver = top_of(gifts, today)
            row |= {"top_share": top[0], "top_value_share": giver[0] if giver else None, "top_recency": top[1]}
            if says:
                yesterday = [p for p in posts if p[0] == today - 1]
                row["answered"] = sum(is_answered(p, replies, today) for p in yesterday)
                row["unanswered"] = len(yesterday) - row["answered"]
            else:
                row |= {"answered": None, "unanswered": None}
            rows.append({"user_id": user, "day": FIRST + timedelta(days=today)} | row)
    return pd.DataFrame(rows, columns=list(SUPPORTERS.columns))


def slow_supporters(acts: list[tuple], settings: s.Settings, today: int) -> dict[str, int]:
    found = dict.fromkeys(("active", "new", "returning", "quiet"), 0)
    for actor in {e[1] for e in acts}:
        active = sorted({e[0] for e in acts if e[1] == actor and e[0] <= today})
        if active and active[-1] == today:
            found["active"] += 1
            found["new"] += len(active) == 1
            found["returning"] += len(active) > 1 and today - active[-2] > settings.quiet_days
        if active and active[-1] == today - settings.quiet_days:
            found["quiet"] += len(active) >= settings.regular_days
    return found


def is_answered(post: tuple, replies: list[tuple], today: int) -> bool:
    return any(
        r[0] <= today and r[4] >= post[4] and (post[5] is None or r[5] == post[5]) for r in replies
    )  # fmt: skip


def assert_equal(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    SUPPORTERS.check(found)
    assert found[["user_id", "day"]].to_numpy().tolist() == expected[["user_id", "day"]].to_numpy().tolist()
    for column in (*COUNTS, "top_recency"):
        assert found[column].astype("Int64").tolist() == expected[column].astype("Int64").tolist(), column
    for column in SHARES:
        np.testing.assert_allclose(
            found[column].to_numpy(), expected[column].to_numpy("float64"), rtol=0, atol=1e-9, err_msg=column
        )
        # cut where engines begin to differ, and never more than all
        pd.testing.assert_series_equal(found[column], found[column].round(9).clip(0, 1), check_exact=True)


# --- logs ---------------------------------------------------------------------------------------
DAYS = 45
SOME = st.builds(
    s.Settings,
    st.sampled_from([None, ("like",), ("like", "reply", "never")]),
    st.sampled_from([(), ("gift",), ("gift", "like"), ("never",)]),
    st.sampled_from([("post",), ("post", "like"), ()]),
    st.sampled_from([("reply",), ("reply", "post")]),
    st.integers(1, 9),
    st.integers(1, 4),
)
SEEDS = st.integers(0, 2**32)


def random_log(seed: int) -> list[tuple]:
    """From crowded to nearly empty users, who act on each other too; days in bouts with weeks in between."""
    random = np.random.default_rng(seed)
    n = int(random.choice([3, 30, 300]))
    bouts = np.clip(random.choice([0, 8, 20, 36], n) + random.integers(0, 7, n), 0, DAYS - 1)
    days = np.where(random.random(n) < 0.8, bouts, random.integers(0, DAYS, n))
    names = random.choice(["post", "reply", "like", "gift", "odd"], n)
    own = names == "post"
    users = random.choice(["u", "v", "w"], n, p=[0.6, 0.3, 0.1])
    actors = np.where(own | (random.random(n) < 0.1), users, random.choice(["u", "v", "f", "g", "h", "i", "j"], n))
    minutes = random.choice([0, 60, 600, 1439], n)
    values = random.choice([1.0, 1.0, 2.5, 0.1, 300.0, 0.0, -40.0], n)
    things = random.choice(["a", "b", ""], n)
    columns = (c.tolist() for c in (users, actors, days, minutes, names, values))
    return list(zip(*columns, [thing or None for thing in things.tolist()], strict=True))


@hypothesis_settings(max_examples=25, deadline=None)
@given(SEEDS, SOME)
def test_the_table_equals_a_slow_version(seed: int, settings: s.Settings) -> None:
    frame = log_of(random_log(seed))
    assert_equal(s.supporters(table(frame), settings, FIRST, DAYS), slow(frame, settings, DAYS))


@pytest.mark.parametrize("ids", [lambda i: i, lambda i: f"'; DROP TABLE log; -- {i}\u0000"[:-1] + "가"])
def test_a_log_with_a_rhythm_equals_a_slow_version(ids: Callable) -> None:
    raw = make_log(users=6, days=60, seed=3)
    t = (raw["timestamp"].dt.normalize() - pd.Timestamp("2024-01-01")).dt.days
    minute = raw["timestamp"].dt.hour * 60 + raw["timestamp"].dt.minute
    columns = (
        raw["user_id"].map(ids),
        raw["actor_id"].map(ids),
        t,
        minute,
        raw["event"],
        raw["value"],
        [None] * len(raw),
    )
    frame = log_of(list(zip(*columns, strict=True)))
    settings = s.Settings(None, ("sticker",), ("post",), ("reply",), quiet_days=7, regular_days=3)
    found = s.supporters(table(frame), settings, FIRST, 60)
    assert_equal(found, slow(frame, settings, 60))
    assert found[["new", "returning", "quiet", "answered", "unanswered"]].sum().min() > 5


# --- by hand: what the words mean -----------------------------------------------------------------
def likes(*days: int, user: str = "u", actor: str = "f", name: str = "like", value: float = 1.0) -> list[tuple]:
    return [(user, actor, d, 0, name, value, None) for d in days]


def by_day(cases: list[list[tuple]], column: str, days: int) -> list[list]:
    """Events towards user u, case by case → the column's days in each, from the first row on; in one go."""
    events = [(f"case {i:02}", a if a != "u" else f"case {i:02}", *e) for i, c in enumerate(cases) for _, a, *e in c]
    frame = s.supporters(table(log_of(events)), SETTINGS, FIRST, days)
    return [part[column].tolist() for _, part in frame.groupby("user_id")]


def test_quiet_is_told_once_on_the_day_it_is_known() -> None:
    assert by_day([likes(0, 1), likes(0, 1, 4), likes(0, 1, 5), likes(0)], "quiet", 8) == [
        [0, 0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],  # back just in time
        [0, 0, 0, 0, 1, 0, 0, 0],  # too late
        [0, 0, 0, 0, 0, 0, 0, 0],  # not a regular
    ]
    assert by_day([likes(0, 1)], "quiet", 4) == [[0] * 4]  # not known yet when the log ends


def test_returning_is_the_other_side_of_quiet() -> None:
    assert by_day([likes(0, 1, 4), likes(0, 1, 5)], "returning", 6) == [[0] * 6, [0, 0, 0, 0, 0, 1]]


def test_an_act_of_28_days_ago_weighs_half() -> None:
    events = likes(0, 0, 0, actor="old") + likes(28, actor="now")
    assert by_day([events], "top_share", 29)[0][-1] == pytest.approx(1.5 / 2.5)
    assert by_day([events], "top_recency", 29)[0][-1] == 28


def test_of_two_equal_supporters_the_later_one_is_the_top() -> None:
    """Two acts weigh as much as one 28 days later: on any day, also where floats are a little apart."""
    cases = [likes(d, d, actor="f") + likes(d + 28, actor="g") for d in range(60)]
    assert {found[-1] - (60 - d) for d, found in enumerate(by_day(cases, "top_recency", 89))} == {0}
    same = [3, 5, 9, 17, 18, 30, 31, 33]
    events = likes(*same, actor="f") + likes(*same, 1, actor="g") + likes(1, actor="f")
    assert by_day([events], "top_recency", 36)[0][-1] == 2


def test_the_top_giver_is_found_by_value_not_by_number() -> None:
    events = likes(0, 0, 0, actor="f", name="gift", value=1.0) + likes(1, actor="g", name="gift", value=9.0)
    events += likes(0) + likes(
        1, actor="h", name="gift", value=-50.0
    )  # a like is a sticker too; one taken back is none
    weight = 2 ** (1 / 28)
    assert by_day([events], "top_value_share", 2)[0] == pytest.approx([1.0, 9 * weight / (9 * weight + 4)], abs=1e-9)


def test_sums_of_decimals_are_exact_in_any_order() -> None:
    """A tenth that no float holds, ten thousand times; asked of the engine, since the shares are rounded."""
    events = likes(*[0] * 10_000, name="gift", value=0.1) + likes(0, name="gift", value=2.0**30)
    for order in (events, events[::-1]):
        log = s._numbered(table(log_of(order)), FIRST, 1)
        assert s._gifts(log, SETTINGS).execute()["amount"].tolist() == [10_000 * 100_000 + 2**30 * 1_000_000]


def test_no_engine_is_asked_to_divide_integers() -> None:
    """Ibis means a fraction by it; PostgreSQL, which gets the bare `/`, drops the remainder."""
    log = s._numbered(table(log_of(likes(0))), FIRST, 9)
    divisions = [d for part in (s._acts, s._gifts) for d in part(log, SETTINGS).op().find(ops.Divide)]
    assert divisions and all(d.left.dtype.is_floating() for d in divisions)


def test_posts_and_their_replies() -> None:
    def post(thing: str | None) -> tuple:
        return ("u", "u", 1, 600, "post", 1.0, thing)

    def reply(day: int, minute: int, thing: str | None = None, actor: str = "f") -> tuple:
        return ("u", actor, day, minute, "reply", 1.0, thing)

    cases = {
        (post(None),): 0,
        (post(None), reply(1, 600)): 1,
        (post(None), reply(1, 599)): 0,
        (post(None), reply(1, 599), reply(1, 601)): 1,
        (post(None), reply(2, 1439)): 1,
        (post(None), reply(3, 0)): 0,
        (post(None), reply(2, 0, actor="u")): 0,  # to oneself
        (post(None), reply(2, 0, "a")): 1,  # a post without an object is answered by any reply
        (post("a"), reply(2, 0, "a")): 1,
        (post("a"), reply(2, 0, "b")): 0,
        (post("a"), reply(2, 0)): 0,
    }
    events = [list(case) for case in cases]
    assert by_day(events, "answered", 4) == [[0, n, 0] for n in cases.values()]  # rows begin with the post
    assert by_day(events, "unanswered", 4) == [[0, 1 - n, 0] for n in cases.values()]


def test_nobody_is_a_supporter_without_supporter_events() -> None:
    off = replace(SETTINGS, supporter_events=())
    events = [*likes(0, 1), ("u", "u", 0, 0, "post", 1.0, None)]
    frame = s.supporters(table(log_of(events)), off, FIRST, 5)
    SUPPORTERS.check(frame)
    assert not len(frame)
    dense = s.compute(table(log_of(events)), off, pd.Index(["u"]), FIRST, 5)
    assert dense.daily.shape == dense.levels.shape == (1, 5, 0)
    assert not len(s.daily_columns(off)) and not len(s.level_columns(off))
    FEATURES.check(s.daily_columns(off))


def test_a_log_of_a_century_is_refused() -> None:
    with pytest.raises(LogError, match="since"):
        s.supporters(table(log_of(likes(0))), SETTINGS, FIRST, 40_000)
    longest = s.supporters(table(log_of(likes(0, s.MOST_DAYS - 1, value=1e12))), SETTINGS, FIRST, s.MOST_DAYS)
    assert longest[SHARES].iloc[-1].tolist() == [1.0, 1.0]


# --- dense --------------------------------------------------------------------------------------
def test_dense_arrays_hold_the_table() -> None:
    """Given users in their order, also such as have no supporters; others of the log are left out."""
    events = likes(2, 3, user="u") + likes(4, user="v", name="gift", value=3.0) + likes(5, user="v")
    events += [*likes(0, user="left out"), ("v", "v", 4, 0, "post", 1.0, None)]
    log = table(log_of(events))
    users = pd.Index(["v", "nobody", "u"])
    dense = s.compute(log, SETTINGS, users, FIRST, 9)
    frame = s.supporters(log, SETTINGS, FIRST, 9)
    names = [c.removeprefix("supporters:") for c in s.daily_columns(SETTINGS)["feature"]]
    names += [c.removeprefix("history:supporters:") for c in s.level_columns(SETTINGS)["feature"]]
    values = np.concatenate([dense.daily, dense.levels], axis=2)
    assert values.dtype == np.float32 and values.shape == (3, 9, len(names))
    filled = {name: 0.0 for name in names}
    for u, user in enumerate(users):
        for d in range(9):
            row = frame[(frame["user_id"] == user) & (frame["day"] == FIRST + timedelta(days=d))]
            expected = row.iloc[0][names].fillna(0).to_dict() if len(row) else filled | {"top_recency": d + 1}
            assert values[u, d].tolist() == pytest.approx(list(expected.values()), abs=1e-7), (user, d)
    kept = dense.frame()
    assert kept["user_id"].unique().tolist() == ["v", "u"]
    pd.testing.assert_frame_equal(
        kept.sort_values(["user_id", "day"], ignore_index=True),
        frame[frame["user_id"] != "left out"].reset_index(drop=True),
    )


@pytest.mark.parametrize("settings", [SETTINGS, replace(SETTINGS, sticker_events=(), reply_events=())])
def test_features_name_the_columns_of_the_arrays(settings: s.Settings) -> None:
    daily, levels = s.daily_columns(settings), s.level_columns(settings)
    both = pd.concat([daily, levels], ignore_index=True)
    FEATURES.check(both)
    dense = s.compute(table(log_of(likes(0))), settings, pd.Index(["u"]), FIRST, 3)
    assert (dense.daily.shape[2], dense.levels.shape[2]) == (len(daily), len(levels))
    full = settings is SETTINGS
    assert ("supporters:answered" in set(daily["feature"])) == full
    assert ("history:supporters:top_value_share" in set(levels["feature"])) == full
    assert set(daily["kind"]) == {"daily"} and set(levels["kind"]) == {"history"}
    assert daily["measure"].tolist() == [f.replace(":", "_") for f in daily["feature"]]
    assert both["label_en"].is_unique and both["label_ko"].is_unique
    assert not both[["label_en", "label_ko"]].stack().str.contains("[{}]").any()


# --- no look into the future ---------------------------------------------------------------------
@hypothesis_settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(0, DAYS - 1), SOME, st.booleans())
def test_the_future_changes_nothing(seed: int, today: int, settings: s.Settings, ends: bool) -> None:
    """Everything after `today` is replaced, or the log ends there: up to and including today all is the same."""
    users = pd.Index(["u", "v", "w"])
    events = random_log(seed)
    changed = [e for e in events if e[2] <= today] + [e for e in random_log(seed + 1) if e[2] > today]
    before = s.compute(table(log_of(events)), settings, users, FIRST, DAYS)
    after = s.compute(table(log_of(changed)), settings, users, FIRST, today + 1 if ends else DAYS)
    for name in before.columns:
        then, now = (dense.columns[name][:, : today + 1] for dense in (before, after))
        np.testing.assert_array_equal(then, now, err_msg=name)
    frames = [dense.frame() for dense in (before, after)]
    kept = [frame[frame["day"] <= FIRST + timedelta(days=today)].reset_index(drop=True) for frame in frames]
    pd.testing.assert_frame_equal(*kept, check_exact=True)


def test_the_order_of_the_rows_changes_nothing() -> None:
    frame = log_of(random_log(0))
    assert len(frame) == 300
    results = [s.supporters(table(f), SETTINGS, FIRST, DAYS) for f in (frame, frame.sample(frac=1, random_state=1))]
    pd.testing.assert_frame_equal(*results, check_exact=True)
