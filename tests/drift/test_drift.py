"""What is planted is found, what is not is not, and the order of users means nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_weeks import FIRST, seen
from scipy import stats

from tschurn import contracts as c
from tschurn import drift
from tschurn.drift import Seen, advice

Tables = dict[str, pd.DataFrame]


@cache
def found(seed: int = 1, **planted: float) -> Tables:
    run, now = seen(seed, **planted)
    return drift.drift(drift.reference(run, 7), now)


def told(tables: Tables, target: str = "churn") -> tuple[str, str]:
    row = tables["advice"].set_index("target").loc[target]
    return row["advice"], row["reason"]


def figures(tables: Tables, target: str = "churn") -> pd.DataFrame:
    table = tables["drift_figures"]
    return table[table["target"] == target].set_index("figure")


def test_tables_are_their_contracts() -> None:
    run, now = seen(1, targets=("churn", "sticker"))
    known = drift.reference(run, 7)
    for table in drift.REFERENCE:
        table.check(known[table.name])
    tables = drift.drift(known, now)
    for table in drift.TABLES:
        table.check(tables[table.name])
    assert set(tables["advice"]["target"]) == {"", "churn", "sticker"}


def test_the_tables_of_a_run_may_have_been_written_and_read(tmp_path) -> None:
    run, now = seen(3, level=1.0)
    known = drift.reference(run, 7)
    again = {t.name: t.check(known[t.name]).to_pandas() for t in drift.REFERENCE}
    for name, table in drift.drift(known, now).items():
        pd.testing.assert_frame_equal(table, drift.drift(again, now)[name], check_dtype=False)


@pytest.mark.parametrize("seed", range(4))
def test_where_nothing_has_changed_all_is_fine(seed: int) -> None:
    tables = found(seed)
    assert told(tables) == ("fine", "holds") and told(tables, "")[0] == "fine"
    assert not figures(tables)["beyond"].reindex(["level", "slope", "auc"]).any()


def test_the_same_windows_again_have_no_psi() -> None:
    run, _ = seen(1)
    known = drift.reference(run, 7)
    days = run.index["anchor_day"]
    bins = known["reference_bins"]
    for day in (days.min(), days.max()):
        same = known | {"reference_bins": bins[(bins["anchor_day"] == day)]}
        shifts = drift.features.feature_shifts(same["reference_bins"], run.profile[(days == day).to_numpy()])
        assert (shifts["psi"] == 0).all() and not shifts["beyond"].any()


@pytest.mark.parametrize(("shift", "name"), [(1.0, "x"), (-1.0, "x")])
def test_a_shifted_feature_comes_first(shift: float, name: str) -> None:
    tables = found(2, shift=shift)
    first = tables["drift"].iloc[0]
    assert (first["feature"], first["rank"], first["beyond"]) == (name, 1, True)
    assert np.sign(first["move"]) == np.sign(first["effect"]) == np.sign(shift)
    assert abs(first["move"]) > first["push_ordinary"] and first["psi"] > first["psi_ordinary"]
    assert told(tables) == ("retrain", "range")
    assert tables["drift"]["move"].abs().is_monotonic_decreasing


def test_a_feature_that_carries_nothing_may_leave_its_range() -> None:
    """Seen and shown; but it moves no score, so that it asks for nothing and does not come first."""
    run, now = seen(2)
    profile = now.profile.assign(noise3=now.profile["noise3"] + 9)
    tables = drift.drift(drift.reference(run, 7), replace(now, profile=profile))
    row = tables["drift"].set_index("feature").loc["noise3"]
    assert row["beyond"] and row["move"] == 0 and row["weight"] == 0 and row["rank"] > 2
    assert told(tables)[0] == "fine"


def test_moves_add_up_to_the_move_of_the_score() -> None:
    tables = found(2, shift=1.0)
    at = figures(tables)
    assert tables["drift"]["move"].sum() == pytest.approx(at.loc["log_odds", "difference"] + 0.0, abs=0.2)
    run, now = seen(2, shift=1.0)
    part = now.pushes["churn"]
    newest = part[part["anchor_day"] == part["anchor_day"].max()][["x", "z"]].to_numpy().mean(axis=0)
    test = run.pushes["churn"].groupby("anchor_day")[["x", "z"]].mean().mean().to_numpy()
    moves = tables["drift"].set_index("feature").loc[["x", "z"], "move"].to_numpy()
    np.testing.assert_allclose(moves, newest - test)
    assert at.loc["explained", "now"] == pytest.approx(1.0)


@pytest.mark.parametrize(("level", "sign"), [(1.2, 1), (-1.2, -1)])
def test_outcomes_off_in_level_ask_for_recalibration(level: float, sign: int) -> None:
    tables = found(5, level=level, users=1000)
    assert told(tables) == ("recalibrate", "level") and told(tables, "")[0] == "recalibrate"
    at = figures(tables)
    assert np.sign(at.loc["level", "now"]) == sign and not at.loc["auc", "beyond"]
    assert sign * at.loc["predicted", "difference"] < 0
    assert at.loc["predicted", "high"] < 0 or at.loc["predicted", "low"] > 0


def test_too_sure_probabilities_ask_for_recalibration() -> None:
    tables = found(5, slope=0.45, users=3000)
    assert told(tables)[0] == "recalibrate" or told(tables) == ("retrain", "ranking")
    assert figures(tables).loc["slope", "beyond"] and figures(tables).loc["slope", "now"] < 0.7


def test_a_score_that_says_nothing_any_more_asks_for_retraining() -> None:
    tables = found(5, worth=0.0, users=1000)
    assert told(tables) == ("retrain", "ranking")
    at = figures(tables)
    assert at.loc["auc", "now"] < 0.6 < 0.75 < at.loc["auc", "then"] and at.loc["auc", "p"] < 0.01


def test_a_ranking_that_has_risen_asks_for_nothing() -> None:
    assert told(found(5, worth=4.0, users=1000)) != ("retrain", "ranking")


def test_without_outcomes_nothing_is_known_but_what_features_say() -> None:
    for shift, expected in ((0.0, ("unknown", "no_outcomes")), (1.5, ("retrain", "range"))):
        run, now = seen(4, shift=shift)
        newest = now.scores["anchor_day"] == now.index["anchor_day"].max()
        blind = replace(now, scores=now.scores[newest].reset_index(drop=True))
        tables = drift.drift(drift.reference(run, 7), blind)
        assert told(tables) == expected
        assert {"p_mean", "score_psi"} <= set(figures(tables).index) and "auc" not in figures(tables).index


def test_outcomes_of_a_few_only_are_too_few() -> None:
    run, now = seen(4)
    open_ones = now.scores["y"].isna()
    few = pd.concat([now.scores[open_ones], now.scores[~open_ones].head(15)], ignore_index=True)
    assert told(drift.drift(drift.reference(run, 7), replace(now, scores=few)))[0] == "unknown"


def test_an_outcome_that_has_all_but_ceased_is_known_by_what_was_expected() -> None:
    tables = found(5, level=-6.0, users=1000)
    assert "auc" not in figures(tables).index and told(tables) == ("recalibrate", "level")


def test_a_sudden_change_shows_in_the_newest_week_alone() -> None:
    """Six quiet weeks, then one of another level: in the mean of seven it would be lost."""
    run, quiet = seen(5, users=1000, later=7)
    _, changed = seen(5, users=1000, later=7, level=1.2)
    days = np.unique(quiet.scores["anchor_day"])
    late = changed.scores["anchor_day"] >= days[-2]  # the newest closed one, and the open one
    scores = pd.concat([quiet.scores[quiet.scores["anchor_day"] < days[-2]], changed.scores[late]], ignore_index=True)
    tables = drift.drift(drift.reference(run, 7), replace(quiet, scores=scores))
    assert told(tables) == ("recalibrate", "level")
    assert figures(tables).loc["level", "windows"] == scores["y"][scores["anchor_day"] == days[-2]].notna().sum()
    assert told(drift.drift(drift.reference(run, 7), quiet))[0] == "fine"


def test_a_target_without_contributions_is_judged_by_its_outcomes() -> None:
    run, now = seen(5, level=1.2, users=1000)
    tables = drift.drift(drift.reference(replace(run, pushes={}), 7), replace(now, pushes={}))
    assert tables["drift"]["move"].isna().all() and told(tables) == ("recalibrate", "level")


def test_the_worst_of_the_targets_is_the_advice_for_all() -> None:
    run, now = seen(5, worth=0.0, users=1000, targets=("churn", "sticker"))
    tables = drift.drift(drift.reference(run, 7), now)
    assert told(tables, "") == ("retrain", "worst")


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 20), other=st.integers(0, 99))
def test_the_order_of_users_changes_nothing(seed: int, other: int) -> None:
    run, now = seen(seed, users=120, weeks=10, tests=3, shift=0.5)
    random = np.random.default_rng(other)

    def shuffled(some: Seen) -> Seen:
        order, scores = random.permutation(len(some.index)), random.permutation(len(some.scores))
        pushes = {t: p.iloc[random.permutation(len(p))].reset_index(drop=True) for t, p in some.pushes.items()}
        return replace(
            some, index=some.index.iloc[order].reset_index(drop=True), pushes=pushes,
            profile=some.profile.iloc[order].reset_index(drop=True),
            scores=some.scores.iloc[scores].reset_index(drop=True),
        )  # fmt: skip

    known = drift.reference(run, 7)
    again = drift.reference(shuffled(run), 7)
    again["reference_sample"] = known["reference_sample"]  # drawn by position: another, as good
    for name, table in drift.drift(known, now).items():
        pd.testing.assert_frame_equal(table, drift.drift(again, shuffled(now))[name], rtol=1e-9)


def test_rank_tests_are_those_of_scipy_adjusted() -> None:
    run, now = seen(6, shift=0.4)
    known = drift.reference(run, 7)
    sample, newest = known["reference_sample"], now.index["anchor_day"] == now.index["anchor_day"].max()
    assert sample["user_id"].is_unique
    tests = {}
    for name in run.profile.columns[1:]:
        then, here = sample[name].dropna(), now.profile.loc[newest.to_numpy(), name].dropna()
        tests[name] = stats.mannwhitneyu(here, then, method="asymptotic")
        tests[name, "effect"] = np.mean(np.sign(here.to_numpy()[:, None] - then.to_numpy()[None]))
    table = drift.drift(known, now)["drift"].set_index("feature")
    names = list(run.profile.columns[1:])
    raw = np.array([tests[name].pvalue for name in names])
    order = np.argsort(raw)  # Benjamini & Hochberg, step by step
    adjusted = np.empty(len(raw))
    least = 1.0
    for place in range(len(raw) - 1, -1, -1):
        least = min(least, raw[order[place]] * len(raw) / (place + 1))
        adjusted[order[place]] = least
    np.testing.assert_allclose(table.loc[names, "rank_p"], adjusted, rtol=1e-9)
    np.testing.assert_allclose(table.loc[names, "effect"], [tests[name, "effect"] for name in names], atol=1e-12)


def test_missing_values_and_constants_are_told_apart() -> None:
    run, now = seen(6)
    run = replace(run, profile=run.profile.assign(noise6=4.0, noise7=np.nan))
    now = replace(now, profile=now.profile.assign(noise5=np.nan, noise6=4.0, noise7=np.nan))
    table = drift.drift(drift.reference(run, 7), now)["drift"].set_index("feature")
    assert table.loc["noise5", ["beyond", "missing_then", "missing_now"]].tolist() == [True, 0.0, 1.0]
    assert table.loc["noise6", "rank_p"] == 1.0 and not table.loc[["noise6", "noise7"], "beyond"].any()
    assert np.isnan(table.loc["noise7", "rank_p"]) and np.isnan(table.loc["noise5", "rank_p"])


def events(rows: list[tuple[str, str, int, int, int]]) -> pd.DataFrame:
    """side, event, rows, first and last day as numbers."""
    frame = pd.DataFrame(rows, columns=["side", "event_name", "rows", "first_day", "last_day"])
    days = {k: [FIRST + timedelta(days=int(d)) for d in frame[k]] for k in ("first_day", "last_day")}
    return frame.assign(**days, users=1, value=0.0)


def test_events_that_come_and_go_are_told_once_they_are_gone_for_a_week() -> None:
    usual = [("own", "post", 9000, 0, 99), ("own", "rare", 30, 5, 99), ("own", "past", 500, 0, 60)]
    run, now = seen(6)
    known = drift.reference(replace(run, events=events([*usual, ("received", "like", 7000, 0, 99)])), 7)
    later = [("own", "post", 9700, 0, 106), ("own", "rare", 30, 5, 99), ("own", "past", 500, 0, 60)]
    for gone, new in ((98, ("own", "story", 10, 101, 106)), (99, ("own", "story", 900, 101, 106))):
        log = events([*later, ("received", "like", 7000, 0, gone), new])
        table = drift.drift(known, replace(now, events=log))["drift_warnings"]
        expected = {("vanished_event", "received:like")} | ({("new_event", "own:story")} if new[2] > 100 else set())
        assert set(zip(table["warning"], table["subject"], strict=True)) == expected
    still = events([*later, ("received", "like", 7000, 0, 102)])
    assert not len(drift.drift(known, replace(now, events=still))["drift_warnings"])


@pytest.mark.parametrize(("share", "warned"), [(1.0, False), (0.5, True)])
def test_a_log_that_lacks_users_at_its_end_is_told(share: float, warned: bool) -> None:
    run, now = seen(6)
    newest = now.index["anchor_day"] == now.index["anchor_day"].max()
    kept = (~newest | (now.index["user_id"] % 100 < 100 * share)).to_numpy()
    index, profile = (frame[kept].reset_index(drop=True) for frame in (now.index, now.profile))
    part = replace(now, index=index, profile=profile, rows=np.arange(len(index)))
    table = advice.warnings(drift.reference(run, 7), part)
    assert (table["warning"] == "fewer_users").any() == warned


def test_at_most_so_many_windows_are_looked_at() -> None:
    index = seen(1, users=50)[0].index
    every = drift.sample(index, 7, seed=7)
    assert np.array_equal(every, np.arange(len(index)))
    chosen = drift.sample(index, 7, seed=7, most=100)
    assert len(chosen) == 100 and np.isin(chosen, every).all() and (np.diff(chosen) > 0).all()
    assert np.array_equal(drift.sample(index, 7, seed=7, most=100), chosen)
    assert not np.array_equal(drift.sample(index, 7, seed=8, most=100), chosen)
    open_too = index.assign(closed=index["anchor_day"] < index["anchor_day"].max())
    assert not np.isin(drift.sample(open_too, 7, seed=7), np.flatnonzero(~open_too["closed"])).any()


def test_anchors_that_share_their_days_count_as_one_week() -> None:
    """The same weeks told day by day: seven anchors of each week, which hold the same windows."""
    run, now = seen(3)

    def daily(some: Seen) -> Seen:
        def copies(frame: pd.DataFrame) -> pd.DataFrame:
            parts = [frame.assign(anchor_day=[d - timedelta(days=k) for d in frame["anchor_day"]]) for k in range(7)]
            return pd.concat(parts, ignore_index=True)

        index = copies(some.index)
        profile = pd.concat([some.profile] * 7, ignore_index=True)
        pushes = {t: copies(p) for t, p in some.pushes.items()}
        return replace(some, index=index, rows=np.arange(len(index)), profile=profile, scores=copies(some.scores),
                       pushes=pushes)  # fmt: skip

    weekly = drift.drift(drift.reference(run, 7), now)
    again = drift.drift(drift.reference(daily(run), 7), daily(now))
    for name in ("psi", "psi_p", "psi_ordinary", "move", "push_ordinary"):
        np.testing.assert_allclose(weekly["drift"][name], again["drift"][name], err_msg=name)
    ours, theirs = (figures(table)[["now", "p"]] for table in (weekly, again))
    np.testing.assert_allclose(*(side.loc["score_psi"].astype(float) for side in (ours, theirs)))
    np.testing.assert_allclose(ours.loc[["level", "slope", "auc"]], theirs.loc[["level", "slope", "auc"]])


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(
    ("planted", "reason"),
    [({}, "holds"), ({"level": 1.2, "users": 1000}, "level"), ({"worth": 0.0, "users": 1000}, "ranking"),
     ({"shift": 1.0}, "range")],
)  # fmt: skip
def test_sentences_say_the_advice_and_its_figures(language: str, planted: dict, reason: str) -> None:
    tables = found(5, **planted)
    assert told(tables)[1] == reason
    lines = drift.sentences(tables, language)
    at = figures(tables)
    assert all("{" not in line and "nan" not in line and line.endswith(".") for line in lines)
    if reason == "range":
        assert "`x`" in lines[1] and len(lines) > 2
    else:
        assert f"{at.loc['auc', 'now']:.3f}" in lines[1] and f"{int(at.loc['rate', 'windows']):,}" in lines[1]
    if reason in ("level", "holds"):
        assert f"{at.loc['rate', 'now']:.1%}" in lines[1]


def test_features_are_told_by_their_names_and_warnings_at_the_end() -> None:
    tables = found(2, shift=1.0)
    names = pd.DataFrame({"feature": ["x", "z"], "label_en": ["posts", "chats"], "label_ko": ["글", "대화"]})
    warned = pd.DataFrame([("fewer_users", "2024-06-01", 300.0, 150.0), ("new_event", "own:story", None, 75.4)],
                          columns=list(c.DRIFT_WARNINGS.columns))  # fmt: skip
    assert "posts (PSI" in drift.sentences(tables, "en", names)[1]
    assert "글 (PSI" in drift.sentences(tables, "ko", names)[1]
    lines = drift.sentences(tables | {"drift_warnings": warned}, "en", names)
    assert "150 windows" in lines[-2] and "New in the log: `own:story` (75 rows a week)" in lines[-1]


def test_drift_json_is_plain() -> None:
    tables = found(2, shift=1.0)
    values = json.loads(json.dumps(drift.told(tables), allow_nan=False))
    assert values["advice"] == "retrain" and values["targets"]["churn"]["reason"] == "range"
    assert values["targets"]["churn"]["features"][0]["feature"] == "x"
    assert values["targets"]["churn"]["figures"]["auc"]["beyond"] is False
    assert values["sentences"]["en"] == drift.sentences(tables, "en")
