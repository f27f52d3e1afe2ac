"""The whole stage, from probabilities and what is known of users to all of its tables."""

import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from tschurn import contracts as c
from tschurn.config import parse
from tschurn.contracts import OUT_OF_TIME, PRIORITY, PROFILE, SCORES
from tschurn.errors import ContractError
from tschurn.segments import segment, who_rests
from tschurn.segments.stage import SCORE_VARIABLES

NEWEST = date(2024, 3, 31)
SCORES_HERE = [name for name in SCORE_VARIABLES if name != "value_at_risk"]  # no value is expected of anybody here


def experiment(**segments):
    raw = {"experiment": {"name": "test"}, "log": {"path": "x"}, "segments": segments}
    return parse({**raw, "targets": {"sticker": {"events": ["gift"]}}}, "test")


def tables(users=300, seed=0, targets=("churn", "sticker"), names=None):
    """SCORES, OUT_OF_TIME, PROFILE; `warmth` goes with priority, `noise` does not."""
    rng = np.random.default_rng(seed)
    ids = list(range(users)) if names is None else names
    p = {target: rng.random(users) for target in targets}
    scores = pd.concat([pd.DataFrame({"user_id": ids, "anchor_day": NEWEST, "target": t, "p": p[t]}) for t in targets])
    scores = scores.assign(p_low=scores["p"] / 2, p_high=scores["p"])
    closed = [
        pd.DataFrame(
            {
                "user_id": ids,
                "anchor_day": NEWEST - timedelta(days=7 * (2 + week)),
                "target": target,
                "p": rng.random(users),
            }
        )
        for week in range(4)
        for target in targets
    ]
    warmth = sum(p.values()) + rng.normal(0, 0.2, users)
    profile = pd.DataFrame({"user_id": ids, "warmth": warmth, "noise": rng.normal(size=users), "nil": 0.0})
    out_of_time = pd.concat(closed, ignore_index=True)
    for table, frame in ((SCORES, scores), (OUT_OF_TIME, out_of_time), (PROFILE, profile)):
        table.check(frame)
    return scores, out_of_time, profile.sample(frac=1, random_state=1)


GIVES = ("priority", "threshold", "thresholds", "list_stability", "firmness", "plane", "comparison", "matching",
         "divergence", "ecdf", "rules", "rfm", "rfm_transitions", "subgroups", "joint", "backtest", "backtest_scores",
         "gain")  # fmt: skip


def known(scores, out_of_time):
    """The tables of the stages before: the out-of-time windows are the test windows, with what happened and money."""
    rng = np.random.default_rng(5)
    targets = list(dict.fromkeys(scores["target"]))
    out_of_time = out_of_time.astype({"target": "str"})
    tested = out_of_time.assign(model="gru", split="test", y=(rng.random(len(out_of_time)) < 0.3).astype(np.int8))
    windows = pd.concat([t[["user_id", "anchor_day"]] for t in (scores, out_of_time)]).drop_duplicates()
    stickers = rng.poisson(0.5, len(windows)).astype(float)
    value = np.where("sticker" in targets, stickers * 10, np.nan)
    money = windows.assign(recency=rng.integers(0, 7, len(windows)), stickers_7=0.0 * value, stickers_28=value / 10,
                           value_28=value, value_next=np.nan)  # fmt: skip
    days = windows.assign(day=windows["anchor_day"], own=1, active=True, received=0, stickers=0, sticker_value=0.0)
    empty = {t.name: pd.DataFrame({column: [] for column in t.columns})
             for t in (c.SEED_SCORES, c.EXPECTED_VALUES, c.FACTS)}  # fmt: skip
    features = pd.DataFrame([{"feature": "nil", "kind": "daily", "side": "own", "event_name": "post",
                              "measure": "count", "label_en": "post", "label_ko": "post"}])  # fmt: skip
    first = windows["anchor_day"].min() if len(windows) else NEWEST
    summary = pd.DataFrame([{"first_day": first, "last_day": NEWEST, "days": (NEWEST - first).days + 1}])
    return {
        "scores": scores, "out_of_time": out_of_time, "predictions": tested, "money": money, "features": features,
        "target_summary": pd.DataFrame({"target": targets, "used": "gru"}, dtype="str"), "user_days": days,
        "log_summary": summary, **empty,
    }  # fmt: skip


def run(scores, out_of_time, profile, **rule):
    found = segment(known(scores, out_of_time), profile, experiment(**rule))
    assert set(found) == set(GIVES)
    contracts = {t.name: t for t in vars(c).values() if isinstance(t, c.Table)}
    for name, table in found.items():
        contracts[name].check(table)
    return found["priority"], found["threshold"].iloc[0], found["comparison"].set_index(["versus", "variable"])


def test_the_threshold_is_learned_on_the_out_of_time_windows():
    scores, out_of_time, profile = tables()
    priority, threshold, _ = run(scores, out_of_time, profile)
    product = out_of_time.groupby(["user_id", "anchor_day"])["p"].prod()
    assert threshold["learned_on"] == "out_of_time" and threshold["learned_windows"] == len(product) == 1200
    assert threshold["threshold"] == np.sort(product)[-120]
    assert threshold["priority"] == (priority["priority"] >= threshold["threshold"]).sum()


def test_users_can_be_ranked_by_what_they_had_in_the_last_28_days():
    scores, out_of_time, profile = tables()
    rule = {"score": "value_at_risk", "worth": "last_28_days"}
    priority, threshold, _ = run(scores, out_of_time, profile, **rule)
    money = known(scores, out_of_time)["money"]
    value = priority.merge(money, on=["user_id", "anchor_day"])["value_28"].to_numpy()
    np.testing.assert_allclose(priority["value_at_risk"], priority["p_churn"] * value)
    assert priority["value_at_risk"].is_monotonic_decreasing and not priority["priority"].is_monotonic_decreasing
    assert threshold["score"] == "value_at_risk" and threshold["learned_on"] == "out_of_time"
    assert [experiment(**r).segments.ranks_by for r in ({}, rule, {"score": "value_at_risk"}, {"worth": "last_28_days"})
            ] == ["priority", "p_churn_value_28", "value_at_risk", "priority"]  # fmt: skip


def test_the_comparison_finds_what_goes_with_the_score_and_marks_the_score():
    *_, comparison = run(*tables())
    others = comparison.loc["others"]
    assert others.index.tolist() == ["warmth", "noise", "nil", *SCORES_HERE]
    assert others.index[others["circular"]].tolist() == SCORES_HERE
    assert others.loc["warmth", "q"] < 1e-6 and others.loc["warmth", "hedges_g"] > 1
    assert others.loc["noise", "q"] > 0.05
    assert np.isnan(others.loc["nil", "p"])
    assert others.loc["priority", "p"] < 1e-6 and np.isnan(others.loc["priority", "q"])


def test_without_a_sticker_target_everything_rests_on_churn():
    priority, threshold, comparison = run(*tables(targets=("churn",)))
    assert (priority["priority"] == priority["p_churn"]).all() and priority["p_sticker"].isna().all()
    assert threshold["learned_on"] == "out_of_time"
    assert "p_sticker" not in comparison.loc["others"].index


def test_columns_of_the_profile_named_like_a_score_give_way():
    scores, out_of_time, profile = tables()
    expected = run(scores, out_of_time, profile)[2]
    pd.testing.assert_frame_equal(run(scores, out_of_time, profile.assign(p_churn=7.0))[2], expected)
    *_, churn_only = run(scores[scores["target"] == "churn"], out_of_time, profile.assign(p_sticker=profile["noise"]))
    assert "p_sticker" not in churn_only.loc["others"].index


@pytest.mark.parametrize("users", [0, 1, 2, 3])
@pytest.mark.parametrize("rule", [{}, {"threshold": "capacity", "capacity": 2}, {"threshold": "value", "value": 0.0}])
def test_few_users_empty_groups_and_everybody_first_are_no_exception(users, rule):
    scores, out_of_time, profile = tables(users=users)
    priority, threshold, comparison = run(scores, out_of_time, profile, **rule)
    assert len(priority) == users == threshold[list(c.SEGMENTS)].sum()
    if users < 4:
        assert comparison["p"].isna().all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_everybody_or_nobody_in_the_group(value):
    priority, threshold, comparison = run(*tables(), threshold="value", value=value)
    assert threshold["priority"] == (300 if value == 0 else 0)
    assert comparison["p"].isna().all() and comparison["hedges_g"].isna().all()
    assert set(priority["segment"]) == ({"priority"} if value == 0 else {"other_churners", "favourites", "rest"})


def test_equal_probabilities_for_everybody():
    scores, out_of_time, profile = tables()
    priority, threshold, _ = run(scores.assign(p=0.5), out_of_time.assign(p=0.5), profile)
    assert threshold["priority"] == 300 and priority["user_id"].tolist() == sorted(priority["user_id"])


def test_ids_of_text_and_the_same_input_give_the_same_output():
    names = [f"=셀럽 {i:03d}" for i in range(40)]
    first, second = (run(*tables(users=40, names=names)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert a.equals(b)
    assert PRIORITY.check(first[0]).schema.field("user_id").type == "string"


def test_a_profile_of_other_users_breaks_the_contract():
    scores, out_of_time, profile = tables()
    with pytest.raises(ContractError, match="scored users have no row"):
        run(scores, out_of_time, profile.assign(user_id=profile["user_id"].astype("str")))


def test_the_package_is_cheap_to_import():
    code = "import sys, tschurn.segments; print(sorted({'numpy', 'pandas', 'scipy', 'statsmodels'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_who_was_contacted_lately_rests():
    priority, *_ = run(*tables(users=20))
    contacts = pd.DataFrame(
        {"user_id": [3, 4], "contacted_on": [NEWEST - timedelta(days=5), NEWEST - timedelta(days=50)]}
    )
    raw = {"experiment": {"name": "test"}, "log": {"path": "x"}, "contacts": {"path": "c.csv", "cooldown_days": 28}}
    for _ in range(2):
        assert who_rests(contacts, priority, parse(raw, "test")).tolist() == [3]
    assert who_rests(None, priority, experiment()) is None
    assert who_rests(contacts, priority.iloc[:0], parse(raw, "test")) is None
