"""WINDOWS and NEXT_ACTS → RETURN_TIMES: against statsmodels, with planted returns, and what is counted once."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from tschurn.contracts import ALARM_DAYS, RETURN_TIMES
from tschurn.exploration.return_time import LEAST_AT_RISK, return_times

FIRST, OUTCOME = date(2024, 1, 1), 7


def silences(spell: np.ndarray, anchor: np.ndarray, last: int, user: np.ndarray | None = None):
    """Days from anchors to the next act → churned windows, NEXT_ACTS, the last day of the log."""
    user = np.arange(len(spell)) if user is None else user
    index = pd.DataFrame({"user_id": user, "anchor_day": [FIRST + timedelta(days=int(a)) for a in anchor],
                          "churned": pd.array(np.ones(len(spell)), dtype="Int8"), "split": "train"})  # fmt: skip
    seen = anchor + spell <= last
    acts = index[["user_id", "anchor_day"]].assign(next_act=pd.array(spell, dtype="Int32"))
    acts.loc[~seen, "next_act"] = pd.NA
    return index, acts, FIRST + timedelta(days=last)


def drawn(seed: int, n: int = 400, last: int = 120):
    random = np.random.default_rng(seed)
    anchor = random.integers(0, last - OUTCOME + 1, n)
    return OUTCOME + random.geometric(0.05, n), anchor, last


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_curve_equals_that_of_statsmodels(seed: int) -> None:
    spell, anchor, last = drawn(seed)
    found = return_times(*silences(spell, anchor, last), OUTCOME, 1)
    RETURN_TIMES.check(found)
    seen = anchor + spell <= last
    theirs = SurvfuncRight(np.where(seen, spell, last - anchor), seen.astype(int))
    alive = pd.Series(theirs.surv_prob, theirs.surv_times).reindex(range(OUTCOME, 200)).ffill().fillna(1.0)
    found = found.set_index("day")
    assert found["share"].to_numpy() == pytest.approx(1 - alive.loc[found.index].to_numpy())
    at_risk = pd.Series(theirs.n_risk, theirs.surv_times)
    common = found.index.intersection(at_risk.index)
    assert found.loc[common, "at_risk"].to_list() == at_risk.loc[common].to_list()
    assert found["at_risk"].min() >= LEAST_AT_RISK and found["share"].iloc[0] == 0
    known = found.index[found["false_alarms"].notna()]
    assert known[0] == OUTCOME and known[-1] == found.index[-1] - ALARM_DAYS > OUTCOME + 5
    for day in known[[0, 5, -1]]:
        assert found.loc[day, "false_alarms"] == pytest.approx(1 - alive.loc[day + ALARM_DAYS] / alive.loc[day])


def test_intervals_are_as_wide_as_greenwoods_where_every_user_has_one_silence() -> None:
    spell, anchor, last = drawn(3, n=2000)
    found = return_times(*silences(spell, anchor, last), OUTCOME, 1).set_index("day")
    seen = anchor + spell <= last
    theirs = SurvfuncRight(np.where(seen, spell, last - anchor), seen.astype(int))
    error = pd.Series(theirs.surv_prob_se, theirs.surv_times).loc[10:60]
    width = (found["high"] - found["low"]).loc[error.index] / (2 * 1.96)
    assert (width / error).mean() == pytest.approx(1, abs=0.1)


def test_users_who_return_alike_widen_the_interval() -> None:
    spell, anchor, _ = drawn(4, n=300, last=400)
    often = 10
    user = np.repeat(np.arange(300), often)
    later = np.tile(np.arange(often), 300) * 500  # silences of a user far from each other, all as long
    args = silences(np.repeat(spell, often), np.repeat(anchor, often) + later, 6000, user)
    alone = silences(spell, anchor, 6000)
    many, few = (return_times(*a, OUTCOME, 1).set_index("day") for a in (args, alone))
    widths = [(one["high"] - one["low"]).loc[10:40].mean() for one in (many, few)]
    assert widths[0] == pytest.approx(widths[1], rel=0.15)  # ten times the silences, no more users
    assert many["at_risk"].iloc[0] == often * few["at_risk"].iloc[0]


def test_a_silence_of_many_windows_counts_once_from_its_first() -> None:
    spell, anchor, last = drawn(5, n=200, last=100)
    index, acts, end = silences(spell + 5, anchor, last)
    once = return_times(index, acts, end, OUTCOME, 1)
    later = index.assign(anchor_day=[d + timedelta(days=3) for d in index["anchor_day"]])
    shifted = acts.assign(anchor_day=later["anchor_day"], next_act=acts["next_act"] - 3)
    # the later window of each silence stands first in the table
    both = return_times(pd.concat([later, index]), pd.concat([shifted, acts]), end, OUTCOME, 1)
    pd.testing.assert_frame_equal(both, once)


def test_windows_that_did_not_churn_are_open_or_excluded_are_not_in_it() -> None:
    spell, anchor, last = drawn(6, n=200)
    index, acts, end = silences(spell, anchor, last)
    once = return_times(index, acts, end, OUTCOME, 1)
    others = [index.assign(user_id=index["user_id"] + 1000 * k) for k in (1, 2, 3)]
    others[0]["churned"], others[1]["split"] = pd.array([0] * 200, dtype="Int8"), "excluded"
    others[2]["churned"] = pd.array([pd.NA] * 200, dtype="Int8")
    acts_of = [acts.assign(user_id=o["user_id"]) for o in others]
    found = return_times(pd.concat([index, *others]), pd.concat([acts, *acts_of]), end, OUTCOME, 1)
    pd.testing.assert_frame_equal(found, once)


def test_too_few_silences_give_no_curve() -> None:
    index, acts, end = silences(np.full(LEAST_AT_RISK - 1, 20), np.zeros(LEAST_AT_RISK - 1, int), 100)
    for part in (index, index.iloc[:0]):
        found = return_times(part, acts.loc[part.index], end, OUTCOME, 1)
        assert found.empty and list(found.columns) == list(RETURN_TIMES.columns)


def test_nobody_comes_back() -> None:
    found = return_times(*silences(np.full(50, 500), np.zeros(50, int), 100), OUTCOME, 1)
    assert (found["share"] == 0).all() and found["day"].to_list() == list(range(OUTCOME, 101))
    assert found["false_alarms"].dropna().eq(0).all()
