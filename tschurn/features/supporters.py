"""EVENT_LOG → SUPPORTERS: who acts towards a user day by day, who has gone quiet, whether posts are answered.

Everything that looks at single supporters runs in the engine, in two stages: rows become one row per user,
supporter and day, and those, seen in the order of their days, one row per user and day. What is left to do here
is per user and day, dense.

The score of a supporter is the number of their acts, each weighing half as much after HALF_LIFE_DAYS as before.
All scores fade alike, so they are kept without fading, an act of day t weighing 2^(t / HALF_LIFE_DAYS): then a
score never falls, the best score seen so far names the top supporter of every day, and it is attained for the
last time by the top supporter's last act.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from tschurn.errors import LogError

HALF_LIFE_DAYS = 28
MOST_DAYS = 25_000  # 2^(days / 28), and what is summed of it, must fit into a float64
MICRO = 1_000_000  # values are summed as integers, six decimals deep: sums do not depend on the order of the rows
TIE = 1e-9  # scores as near as this are one score: the engines sum and exponentiate a little differently
SHARE_DECIMALS = 9  # for the same reason

COUNTS = {
    "active": ("supporters who acted", "활동한 서포터 수"),
    "new": ("supporters who acted for the first time", "처음 활동한 서포터 수"),
    "returning": ("supporters back after {n} days or more", "{n}일 이상 쉬었다 돌아온 서포터 수"),
    "quiet": ("regular supporters gone quiet ({n} days without an act)", "{n}일간 활동이 없어 조용해진 단골 서포터 수"),
}
ANSWERS = {
    "answered": ("own posts of the day before, answered by now", "전날 게시물 중 답을 받은 수"),
    "unanswered": ("own posts of the day before, still unanswered", "전날 게시물 중 아직 답이 없는 수"),
}
LEVELS = {
    "top_share": ("share of the received acts from the top supporter", "받은 활동 중 최다 후원 서포터의 비율"),
    "top_value_share": ("share of the sticker value from the top giver", "스티커 금액 중 최다 선물 서포터의 비율"),
    "top_recency": ("days since the top supporter's last act", "최다 후원 서포터의 마지막 활동 후 경과일"),
}
_FEATURES = ["feature", "kind", "side", "event_name", "measure", "lookback", "label_en", "label_ko"]


@dataclass(frozen=True)
class Settings:
    """What counts as a supporter's act, and when a supporter has gone quiet.

    supporter_events: received events; None: all of them; (): nobody is a supporter, and there are no columns.
    sticker_events: received events whose value is given. post_events: own, reply_events: received events;
    with either empty nothing is said about answers. A supporter with `regular_days` active days so far is
    gone quiet `quiet_days` after the last of them.
    """

    supporter_events: tuple[str, ...] | None
    sticker_events: tuple[str, ...]
    post_events: tuple[str, ...]
    reply_events: tuple[str, ...]
    quiet_days: int
    regular_days: int

    @property
    def counts(self) -> list[str]:
        """The columns that may be summed over days."""
        if self.supporter_events == ():
            return []
        return [*COUNTS, *(ANSWERS if self.post_events and self.reply_events else ())]

    @property
    def levels(self) -> list[str]:
        """The columns that hold at a day, and may not be summed."""
        if self.supporter_events == ():
            return []
        return [name for name in LEVELS if name != "top_value_share" or self.sticker_events]


@dataclass(frozen=True)
class Supporters:
    """SUPPORTERS of given users as arrays [users × days], one a column; `start`: the first day of a user's rows.

    Before it counts are 0, shares 0 (of the stickers: nan) and top_recency is one more than the days gone by;
    so they are, on every day, for users to whom nobody acts. `start` is the number of days for them.
    """

    settings: Settings
    users: pd.Index
    first_day: date
    start: np.ndarray
    columns: dict[str, np.ndarray]  # int32, shares float64

    @property
    def daily(self) -> np.ndarray:
        """→ [users × days × columns] float32, in the order of `daily_columns`."""
        return self._stacked(self.settings.counts)

    @property
    def levels(self) -> np.ndarray:
        """→ [users × days × columns] float32, in the order of `level_columns`; no sticker yet is a share of 0."""
        return np.nan_to_num(self._stacked(self.settings.levels), copy=False)

    def frame(self) -> pd.DataFrame:
        """→ SUPPORTERS, ordered as the users are, then by day."""
        days = next(iter(self.columns.values())).shape[1]
        user, day = np.nonzero(np.arange(days) >= self.start[:, None])
        dates = np.array([self.first_day + timedelta(days=d) for d in range(days)], dtype=object)
        frame = pd.DataFrame({"user_id": self.users.take(user), "day": dates[day]})
        for name in (*COUNTS, *LEVELS, *ANSWERS):
            known = self.columns.get(name)
            frame[name] = pd.array([pd.NA] * len(frame), "Int32") if known is None else known[user, day]
        frame["top_value_share"] = frame["top_value_share"].astype("float64")
        return frame

    def _stacked(self, names: list[str]) -> np.ndarray:
        stacked = np.empty((*next(iter(self.columns.values())).shape, len(names)), dtype=np.float32)
        for i, name in enumerate(names):
            stacked[:, :, i] = self.columns[name]
        return stacked


def supporters(event_log: ir.Table, settings: Settings, first_day: date, days: int) -> pd.DataFrame:
    """EVENT_LOG → SUPPORTERS of everybody who has any, ordered by its key."""
    users = pd.Index(event_log.select("user_id").distinct().execute()["user_id"])
    return compute(event_log, settings, users.sort_values(), first_day, days).frame()


def daily_columns(settings: Settings) -> pd.DataFrame:
    """→ FEATURES rows of `Supporters.daily`."""
    texts = COUNTS | ANSWERS
    rows = [
        (f"supporters:{name}", "daily", "received", None, f"supporters_{name}", None,
         *(text.format(n=settings.quiet_days) for text in texts[name]))
        for name in settings.counts
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=_FEATURES)


def level_columns(settings: Settings) -> pd.DataFrame:
    """→ FEATURES rows of `Supporters.levels`."""
    rows = [
        (f"history:supporters:{name}", "history", "received", None, name, None, *LEVELS[name])
        for name in settings.levels
    ]
    return pd.DataFrame(rows, columns=_FEATURES)


def compute(event_log: ir.Table, settings: Settings, users: pd.Index, first_day: date, days: int) -> Supporters:
    """EVENT_LOG → Supporters of `users` on the `days` from `first_day` on.

    Raises LogError for a log too long to be weighed.
    """
    if days > MOST_DAYS:
        raise LogError(
            f"the log spans {days} days from {first_day} on, more than the {MOST_DAYS} over which supporters can be "
            "compared; its first or last timestamps are probably wrong: set `since` and `until` of [log]"
        )
    shape = (len(users), days)
    if settings.supporter_events == ():
        nothing = {name: np.zeros(shape, np.int32) for name in COUNTS}
        return Supporters(settings, users, first_day, np.full(len(users), days), nothing)
    log = _numbered(event_log, first_day, days)
    received = log.filter(log.user_id != log.actor_id)
    acts = _Grids(_acts(received, settings).execute(), users, days)
    columns = {name: acts.grid(name, np.int32) for name in COUNTS}
    columns["quiet"] = _later(columns["quiet"], settings.quiet_days)
    n = acts.grid("amount", np.float64)
    start = _first(n > 0)
    columns["top_share"], columns["top_recency"] = _top(n, acts.grid("score", np.float64))
    columns["top_value_share"] = np.full(shape, np.nan)
    if settings.sticker_events:
        gifts = _Grids(_gifts(received, settings).execute(), users, days)
        share, _ = _top(gifts.grid("amount", np.float64), gifts.grid("score", np.float64))
        columns["top_value_share"] = np.where(share > 0, share, np.nan)
    if "answered" in settings.counts:
        posts = _Grids(_answers(log, settings).execute(), users, days)
        made, answered = posts.grid("posts", np.int32), posts.grid("answered", np.int32)
        start = np.minimum(start, _first(made > 0))
        columns["answered"] = _later(answered, 1)
        columns["unanswered"] = _later(made - answered, 1)
    return Supporters(settings, users, first_day, start, columns)


# --- in the engine ------------------------------------------------------------------------------
def _numbered(event_log: ir.Table, first_day: date, days: int) -> ir.Table:
    """EVENT_LOG → the same with `t`, the days since first_day, cut to the days asked for."""
    log = event_log.filter(event_log.day.between(first_day, first_day + timedelta(days=days - 1)))
    return log.mutate(t=log.day.delta(ibis.date(first_day), unit="day").cast("int16"))


def _acts(received: ir.Table, settings: Settings) -> ir.Table:
    """Received rows → user_id, t, the counts (`quiet`: not yet moved to its day), acts and their best score so far."""
    if settings.supporter_events is not None:
        received = received.filter(received.event_name.isin(settings.supporter_events))
    pairs = received.group_by("user_id", "actor_id", "t").agg(n=received.count().cast("int32"))
    in_order = ibis.window(group_by=["user_id", "actor_id"], order_by="t")
    seen = pairs.select(
        "user_id",
        "t",
        "n",
        active_days=ibis.row_number().over(in_order) + 1,
        since=pairs.t - pairs.t.lag().over(in_order),
        until=pairs.t.lead().over(in_order) - pairs.t,
        score=_score(pairs, pairs.n),
    )
    gone = (seen.active_days >= settings.regular_days) & (seen.until > settings.quiet_days).fill_null(True)
    return seen.group_by("user_id", "t").agg(
        active=seen.count(),
        new=(seen.active_days == 1).sum(),
        returning=(seen.since > settings.quiet_days).fill_null(False).sum(),
        quiet=gone.sum(),
        amount=seen.n.sum(),
        score=seen.score.max(),
    )


def _gifts(received: ir.Table, settings: Settings) -> ir.Table:
    """Received rows → user_id, t, the stickers' value in millionths and its best score so far.

    Only what was given counts: a value below zero, a sticker taken back, has no giver.
    """
    stickers = received.filter(received.event_name.isin(settings.sticker_events) & (received.value > 0))
    value = (stickers.value * MICRO).round().cast("int64").sum().cast("float64")
    pairs = stickers.group_by("user_id", "actor_id", "t").agg(value=value)
    seen = pairs.select("user_id", "t", "value", score=_score(pairs, pairs.value))
    return seen.group_by("user_id", "t").agg(amount=seen.value.sum(), score=seen.score.max())


def _score(pairs: ir.Table, amount: ir.NumericColumn) -> ir.FloatingColumn:
    """The running sum of each supporter's amounts, weighed by day."""
    # the cast is no ornament: Ibis leaves `/` of two integers to the engine, and PostgreSQL's drops the remainder
    weight = ibis.literal(2.0) ** (pairs.t.cast("float64") / HALF_LIFE_DAYS)
    return (amount * weight).sum().over(ibis.window(group_by=["user_id", "actor_id"], order_by="t", following=0))


def _answers(log: ir.Table, settings: Settings) -> ir.Table:
    """Numbered log → user_id, t, posts made that day, and how many of them were answered by the end of the next.

    A post is answered by a reply to its object, or by any reply if it has none, that comes no earlier than itself:
    if by any, then by the last one in these two days.
    """
    own = log.user_id == log.actor_id
    posts = log.filter(own & log.event_name.isin(settings.post_events))
    replies = log.filter(~own & log.event_name.isin(settings.reply_events))
    last_of_day = replies.group_by("user_id", "object", "t").agg(last=replies.event_time.max())
    to_object = _on_two_days(last_of_day.filter(last_of_day.object.notnull()), ["user_id", "object", "t"])
    to_user = _on_two_days(last_of_day, ["user_id", "t"])
    posts = posts.select("user_id", "object", "t", "event_time")
    posts = posts.left_join(to_object, ["user_id", "object", "t"]).select(posts, last_to_object=to_object["last"])
    posts = posts.left_join(to_user, ["user_id", "t"]).select(posts, last_to_user=to_user["last"])
    last = ibis.ifelse(posts.object.isnull(), posts.last_to_user, posts.last_to_object)
    answered = (last >= posts.event_time).fill_null(False)
    return posts.group_by("user_id", "t").agg(posts=posts.count(), answered=answered.sum())


def _on_two_days(last_of_day: ir.Table, key: list[str]) -> ir.Table:
    """Last reply of each day → the last one on day t and the day after, for each key."""
    here = last_of_day.select(*key, "last")
    ahead = here.mutate(t=(here.t - 1).cast("int16"))
    both = here.union(ahead, distinct=False)
    return both.group_by(key).agg(last=both["last"].max())


# --- per user and day ---------------------------------------------------------------------------
class _Grids:
    """A table of user_id, t and numbers → an array [users × days] of each, 0 where there is no row."""

    def __init__(self, table: pd.DataFrame, users: pd.Index, days: int) -> None:
        user = users.get_indexer(table["user_id"])
        self._table = table[user >= 0]
        self._at = user[user >= 0], self._table["t"].to_numpy(np.int64)
        self._shape = len(users), days

    def grid(self, name: str, type_: type) -> np.ndarray:
        grid = np.zeros(self._shape, dtype=type_)
        grid[self._at] = self._table[name].to_numpy(type_)
        return grid


def _top(amount: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Amount and best score by day → the top supporter's share of all so far, and the days since their last act."""
    day = np.arange(amount.shape[1])
    best = np.maximum.accumulate(score, axis=1)
    attained = np.where((score > 0) & (score >= best * (1 - TIE)), day, -1)
    recency = day - np.maximum.accumulate(attained, axis=1)
    total = np.cumsum(amount * np.exp2(day / HALF_LIFE_DAYS), axis=1)
    share = np.divide(best, total, out=np.zeros_like(total), where=total > 0)
    return np.minimum(share, 1).round(SHARE_DECIMALS), recency.astype(np.int32)


def _first(happened: np.ndarray) -> np.ndarray:
    """The first day of each user on which it happened; the number of days where it never did."""
    return np.where(happened.any(axis=1), happened.argmax(axis=1), happened.shape[1])


def _later(grid: np.ndarray, days: int) -> np.ndarray:
    """What is told of a day only `days` after it: every column moved on, the last ones out of the log."""
    moved = np.zeros_like(grid)
    moved[:, days:] = grid[:, :-days]
    return moved
