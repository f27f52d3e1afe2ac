"""PROFILE + MONEY → what a caller wants to know of users before the call."""

from __future__ import annotations

import numpy as np
import pandas as pd

WORDS = {
    "en": {
        "daily": "almost every day",
        "days": "about every {n} days",
        "week": "about once a week",
        "weeks": "about every {n} weeks",
        "months": "about every {n} months",
        "more": ", lately more often",
        "less": ", lately less often",
    },
    "ko": {
        "daily": "거의 매일",
        "days": "약 {n}일에 한 번",
        "week": "일주일에 한 번쯤",
        "weeks": "약 {n}주에 한 번",
        "months": "약 {n}개월에 한 번",
        "more": ", 최근에는 더 자주",
        "less": ", 최근에는 더 드물게",
    },
}
# How the usual days between active days are told, and from how many on.
_UNITS = ("daily", "days", "week", "days", "weeks", "months")
_FROM = np.array([1.5, 6.5, 7.5, 13.5, 59.5])
_DAYS_OF_UNIT = np.array([1.0, 1.0, 7.0, 1.0, 7.0, 365.25 / 12])
_LEAST_GAPS = 3  # of which a rhythm can be told
# "Lately" is the last 28 days. They are told where they differ by half or more of the usual, and by more than a day
# or two; of a user known for less than twice as long they are most of what is usual.
_LATELY = 28
_MUCH, _DAYS_APART = 1.5, 2


def habits(
    users: pd.DataFrame, profile: pd.DataFrame, money: pd.DataFrame, quiet_days: int, language: str
) -> pd.DataFrame:
    """user_id and anchor_day of users + PROFILE + MONEY → one row per user, in their order; null where not known.

    last_active_day (date), days_since_last_act, usual_rhythm (in words, of days with own acts), active_days_of_last_28,
    days_since_first_act, top_supporter_quiet (whether who acts most towards the user has not for `quiet_days`; null
    without supporters), value_of_last_28_days (of stickers). Rhythm, active days, first act and supporters are of the
    history; with `history = "none"` they are not known.
    """
    at = users[["user_id", "anchor_day"]].merge(money, on=["user_id", "anchor_day"], how="left", validate="one_to_one")
    past = profile.set_index("user_id").reindex(at["user_id"]).reset_index(drop=True)

    def history(name: str) -> pd.Series:
        return past.get(f"history:{name}", pd.Series(np.nan, index=past.index, dtype="float64"))

    since = pd.to_timedelta(at["recency"].astype("float64"), unit="D")
    top = history("supporters:top_recency")
    has_supporters = (history("supporters:top_share") > 0) & top.notna()
    return pd.DataFrame(
        {
            "last_active_day": (pd.to_datetime(at["anchor_day"]) - since).dt.date,
            "days_since_last_act": _whole(at["recency"]),
            "usual_rhythm": rhythm(
                history("mean_gap"), history("active_days:28"), history("recency"), history("tenure"), language
            ),
            "active_days_of_last_28": _whole(history("active_days:28")),
            "days_since_first_act": _whole(history("tenure")),
            "top_supporter_quiet": (top >= quiet_days).astype("boolean").where(has_supporters),
            "value_of_last_28_days": at["value_28"].astype("float64"),
        }
    )


def rhythm(gap: pd.Series, active_28: pd.Series, recency: pd.Series, tenure: pd.Series, language: str) -> pd.Series:
    """Usual days between active days, active days of the last 28, days since the last and the first act → words.

    Null where it is not known: without history, and of a user with less than four active days.
    """
    known = (tenure - recency) / gap > _LEAST_GAPS - 0.5  # gaps so far; they are whole, but for rounding
    words = WORDS[language]
    days = gap.where(known, 1.0).to_numpy(dtype=np.float64)
    unit = np.digitize(days, _FROM)
    number = np.rint(days / _DAYS_OF_UNIT[unit]).astype(np.int64)
    usual, lately = _LATELY / days, active_28.to_numpy(dtype=np.float64)
    long_known = tenure.to_numpy(dtype=np.float64) >= 2 * _LATELY
    apart = long_known & (np.abs(lately - usual) >= _DAYS_APART)
    change = np.select([apart & (lately >= _MUCH * usual), apart & (lately * _MUCH <= usual)], [1, 2], 0)
    kinds, place = np.unique(np.stack([unit, number, change], axis=1), axis=0, return_inverse=True)
    ends = ("", words["more"], words["less"])
    told = np.array([words[_UNITS[u]].format(n=n) + ends[c] for u, n, c in kinds], dtype=object)
    texts = told[place.reshape(-1)] if len(told) else np.empty(0, dtype=object)
    return pd.Series(texts, index=gap.index, dtype="str").where(known)


def _whole(numbers: pd.Series) -> pd.Series:
    return numbers.astype("float64").round().astype("Int32")
