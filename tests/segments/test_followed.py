"""What happened to listed users: calibration, lift and reasons against slow and plain versions."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import experiment

from tschurn.segments import followed

DAYS = [pd.Timestamp(f"2026-11-{d:02d}").date() for d in (1, 8, 15)]


def group(users: int = 200, seed: int = 0, held: float = 0.3) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = 3 * users
    p = random.uniform(0.1, 0.9, rows)
    holdout = random.random(rows) < held
    return pd.DataFrame({
        "user_id": np.tile(np.arange(users), 3), "anchor_day": np.repeat(DAYS, users), "p_churn": p, "p_sticker": 0.3,
        "holdout": pd.array(holdout, dtype="boolean"), "contacted": ~holdout, "edited": False,
        "contacted_on": pd.to_datetime(np.where(holdout, None, "2026-11-20")),
        "reason": random.choice(["history:recency", "own:post:count", "history:sum:own:post:count:28"], rows),
        "churned": pd.array((random.random(rows) < p).astype(int), dtype="Int8"),
        "sticker": pd.array((random.random(rows) < 0.3).astype(int), dtype="Int8"),
    })  # fmt: skip


def test_how_many_come_true_is_exact() -> None:
    """SciPy's distribution as far as it goes, the binomial beyond, and no jump to the normal one."""
    p = np.random.default_rng(0).uniform(0, 1, 60)
    assert followed._poisson_binomial(p) == tuple(stats.poisson_binom(p).ppf([0.025, 0.975]))
    for n, q in ((1, 0.5), (40, 0.02), (1500, 0.3), (7, 0.0), (7, 1.0)):
        assert followed._poisson_binomial(np.full(n, q)) == tuple(stats.binom(n, q).ppf([0.025, 0.975]))
    exact, normal = stats.binom(5000, 0.3).ppf([0.025, 0.975]), followed._poisson_binomial(np.full(5000, 0.3))
    assert np.abs(exact - normal).max() <= 1


def test_honest_scores_keep_their_word_and_others_do_not() -> None:
    honest = [followed.calibration(group(seed=s), "churned", "p_churn")["off"] for s in range(100)]
    assert sum(honest) <= stats.binom(100, 0.05).ppf(0.999)
    too_high = followed.calibration(group().assign(p_churn=lambda f: f["p_churn"] ** 0.5), "churned", "p_churn")
    assert too_high["off"] and too_high["observed"] < too_high["low"]
    about = followed.calibration(group(), "churned", "p_churn")
    assert sum(b["windows"] for b in about["bins"]) == about["windows"] == 600 and len(about["bins"]) == 5
    assert followed.calibration(group().iloc[:0], "churned", "p_churn") is None


def test_lift_is_the_ratio_of_the_rates() -> None:
    everybody = group()
    listed = everybody[everybody["p_churn"] > 0.6]
    one = followed.lift(listed, everybody, "churned", seed=7)
    assert one["lift"] == pytest.approx(listed["churned"].mean() / everybody["churned"].mean())
    assert one["found"] == pytest.approx(listed["churned"].sum() / everybody["churned"].sum())
    assert 1 < one["low"] < one["lift"] < one["high"]
    assert one == followed.lift(listed, everybody, "churned", seed=7)
    assert followed.lift(listed, everybody.iloc[:0], "churned", seed=7) is None
    two_weeks = everybody[everybody["anchor_day"] != DAYS[0]]
    assert followed.lift(listed, two_weeks, "churned", 7)["share"] == pytest.approx(
        (listed["anchor_day"] != DAYS[0]).sum() / len(two_weeks)
    )


def test_a_drawn_holdout_is_balanced_and_a_chosen_one_is_not() -> None:
    drawn = group()
    assert not followed.balance(drawn)["suspicious"]
    chosen = drawn.assign(holdout=(drawn["p_churn"] < 0.35).astype("boolean"))
    assert followed.balance(chosen)["suspicious"]
    assert followed.balance(drawn.assign(holdout=False))["p"] is None


def test_an_effect_for_one_reason_is_told_of_that_reason_alone() -> None:
    table = group(600)
    helped = ~table["holdout"].to_numpy(bool) & (table["reason"] == "history:recency").to_numpy()
    table["churned"] = table["churned"].mask(helped & (np.arange(len(table)) % 2 == 0), 0)
    told = {row["reason"]: row for row in followed.reasons(table, experiment())}
    assert set(told) == {"recency", "own:post"}  # own:post of the week and of 28 days are one
    assert told["recency"]["found"] and not told["own:post"]["found"]
    assert [row["reason"] for row in followed.reasons(table.assign(reason=None), experiment())] == []


@pytest.mark.parametrize(("feature", "kind"), [
    ("history:recency", "recency"), ("history:active_days:28", "active_days"), ("own:a:b:count", "own:a:b"),
    ("history:sum:received:like:value:7", "received:like"), ("supporters:new", "supporters"),
    ("history:supporters:top_recency", "supporters"), ("received:reply:actors", "received:reply"),
])  # fmt: skip
def test_reasons_by_what_they_are_about(feature: str, kind: str) -> None:
    assert followed.reason_kind(feature) == kind


def test_poor_lists_give_no_number_that_is_none() -> None:
    """One user, one arm, no outcome that varies, no sticker: JSON without NaN, and no warning."""
    table = group(30)
    for poor in (table.iloc[:1], table.assign(holdout=False), table.assign(holdout=True), table.assign(churned=0),
                 table.assign(churned=1, p_churn=1.0), table.assign(sticker=pd.NA, p_sticker=np.nan),
                 table.assign(p_churn=0.0, reason=None), table.iloc[[0, 1]].assign(holdout=[True, False])):  # fmt: skip
        poor = poor.astype({"holdout": "boolean", "churned": "Int8", "sticker": "Int8"})
        for everybody in (poor, poor.iloc[:0]):
            json.dumps(followed.results(poor, everybody, experiment()), default=str, allow_nan=False)


def test_stickers_of_those_who_stay_are_measured_on_them() -> None:
    stays = experiment(targets={"sticker": {"events": ["sticker"], "given": "stays"}})
    table = group()
    told = followed.results(table, table, stays)["pooled"]
    assert told["calibration"]["sticker"]["group"]["windows"] == int((table["churned"] == 0).sum())
    assert told["effect"]["sticker"]["assigned"] == int((~table["holdout"]).sum())


def test_costs_say_what_is_hoped_for() -> None:
    hoped = followed.results(group(), group().iloc[:0], experiment(costs={"contact": 1, "success": 0.2}))
    needed = hoped["pooled"]["effect"]["churn"]["needed"]
    assert [row["kept"] for row in needed] == [0.1, 0.2, 0.25, 0.5]
    assert [row["kept"] for row in needed if row["hoped"]] == [0.2]
    assert all(a["weeks"] > b["weeks"] for a, b in itertools.pairwise(needed))


def test_a_plan_does_not_build_on_scores_that_the_held_out_prove_wrong() -> None:
    table = group(400)
    effect = followed.results(table, table.iloc[:0], experiment())["pooled"]["effect"]
    assert effect["churn"]["base"] == pytest.approx(table["p_churn"].mean())
    wrong = table.assign(p_churn=0.95)
    held = wrong[wrong["holdout"].astype(bool)]
    base = followed.results(wrong, table.iloc[:0], experiment())["pooled"]["effect"]["churn"]["base"]
    assert base == pytest.approx((held["churned"].sum() + 2) / (len(held) + 4))
