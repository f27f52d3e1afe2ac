"""The block of users: as the tables say, user by user; small for any log; nasty names in it as they are."""

from __future__ import annotations

import base64
import gzip
import json
import runpy
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tschurn.contracts import SEGMENTS
from tschurn.report import users
from tschurn.report.render import compact
from tschurn.report.summary import summarise
from tschurn.report.users import ANCHORS_SHOWN, DAYS_SHOWN, timeline_figure, users_data
from tschurn.report.words import LANGUAGES, Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
people = runpy.run_path(str(Path(__file__).parent / "fixture_users.py"))
made_up, DAY, NASTY = people["made_up"], people["DAY"], people["NASTY"]


def block(tables: dict[str, pd.DataFrame], **sections: dict) -> dict[str, Any]:
    """What the page reads: through JSON, as there."""
    return json.loads(compact(users_data(tables, made["experiment"](**sections))))


def rows_of(table: pd.DataFrame, **equal: Any) -> list[Any]:
    return [row for row in table.itertuples(index=False) if all(getattr(row, k) == v for k, v in equal.items())]


@pytest.mark.parametrize("ids", [[9, 4, 70, 1, 2, 13, 8], list(NASTY)], ids=["int", "str"])
@pytest.mark.parametrize("stride", [1, 7])
def test_every_user_is_told_as_the_tables_say(ids, stride):
    tables = made_up(ids, stride)
    data = block({name: frame.sample(frac=1, random_state=1) if name != "players" else frame
                  for name, frame in tables.items()})  # fmt: skip
    past, first = data["past"], DAY - timedelta(days=DAYS_SHOWN - 1)
    assert data["id"] == ids and data["scored"] == data["first"] == len(ids)
    assert (past["first"], past["length"]) == (str(first), DAYS_SHOWN)
    call = 0
    for i, user in enumerate(ids):
        (row,), (listed,) = rows_of(tables["priority"], user_id=user), rows_of(tables["list"], user_id=user)
        (money,) = rows_of(tables["money"], user_id=user)
        assert data["rank"][i] == row.rank and data["segments"][data["segment"][i]] == row.segment
        for name in users.NUMBERS:
            expected = money.value_28 if name == "value_28" else getattr(row, name)
            assert data[name][i] == pytest.approx(expected, rel=1e-3)
        assert data["recency"][i] == money.recency
        free = not (listed.holdout or listed.resting)
        call += free
        assert data["call"][i] == (call if free else None) and data["holdout"][i] == listed.holdout
        assert data["action"][i] == (f"call {i}" if i % 2 else None)
        day_rows = {(r.day - first).days: r for r in rows_of(tables["user_days"], user_id=user)}
        for name in ("own", "received", "stickers"):
            known = [getattr(day_rows[k], name) if k in day_rows else 0 for k in range(DAYS_SHOWN)]
            assert past[name][i] == known
        for target in ("churn", "sticker"):
            told = rows_of(tables["reasons"], user_id=user, target=target)
            row = data["reasons"][target]["rows"][i]
            assert (row is None) == (i % 4 == 0) == (not told)
            for k, reason in enumerate(sorted(told, key=lambda r: r.rank)):
                feature, sentence, weight = row[3 * k : 3 * k + 3]
                assert data["reasons"]["features"][feature] == reason.feature
                assert data["reasons"]["sentences"]["en"][sentence] == reason.sentence_en
                assert data["reasons"]["sentences"]["ko"][sentence] == reason.sentence_ko
                assert weight == pytest.approx(reason.contribution, rel=1e-2)
            assert data["reasons"][target]["reliable"][i] == (None if not told else i % 3 > 0)
            asked = {r.player: r.probability for r in rows_of(tables["attribution"], user_id=user, target=target)}
            days = data["days"][target]["rows"][i]
            assert (days is None) == (not asked)
            if asked:
                assert days == pytest.approx([asked[p] for p in ("before", "-1", "0")], rel=1e-2)
            known = {
                (r.anchor_day - first).days: r for r in rows_of(tables["predictions"], user_id=user, target=target)
            }
            for k, day in enumerate(past["anchors"]):
                p = past[target][i][k]
                assert p == (pytest.approx(known[day].p, abs=6e-4) if day in known else None)
                if day in known:
                    learned = known[day].split in ("train", "validation", "calibration")
                    assert past["learned"][i][k] == str(int(learned))
        assert data["unusual"][i] == (["own_acts", "quieter", 7.5, 3, 6.25] if i % 2 == 0 else None)
    assert {"f3", "label 0"} & {*data["reasons"]["labels"]["en"]}
    assert data["days"]["churn"]["labels"]["ko"] == ["before 일", "-1 일", "0 일"]


@pytest.mark.parametrize(("stride", "step"), [(1, 4), (2, 4), (7, 7)])
def test_few_past_anchors_are_enough_and_the_newest_is_among_them(stride, step):
    past = block(made_up(["a", "b", "c"], stride))["past"]
    assert len(past["anchors"]) <= ANCHORS_SHOWN
    assert past["anchors"][-1] == DAYS_SHOWN - 1 - stride
    assert {b - a for a, b in pairwise(past["anchors"])} == {step}


def test_the_days_shown_begin_with_the_log():
    tables = made_up(["a"]) | {"platform_days": pd.DataFrame({"day": [DAY - timedelta(days=k) for k in range(20)]})}
    past = block(tables)["past"]
    assert past["length"] == len(past["own"][0]) == 20 and past["first"] == str(DAY - timedelta(days=19))
    assert max(past["anchors"]) < 20


@given(st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=300), st.integers(1, 120))
def test_the_best_of_all_and_of_each_segment_are_shown(segments, most):
    priority = pd.DataFrame({"user_id": range(len(segments)), "rank": range(1, len(segments) + 1), "segment": segments})
    chosen = users.shown(priority.sample(frac=1, random_state=0), most)
    assert len(chosen) == min(most, len(segments)) and chosen == sorted(set(chosen))
    for segment in SEGMENTS:
        own = [k for k, one in enumerate(segments) if one == segment]
        best = own if len(segments) <= most else own[: int(0.1 * most)]
        assert set(best) <= set(chosen)
    left_out = set(range(len(segments))) - set(chosen)
    if left_out:  # nobody is left out who stands before somebody shown for their rank alone
        of_segment = {k for s in SEGMENTS for k in [k for k, one in enumerate(segments) if one == s][: int(0.1 * most)]}
        assert all(k < min(left_out) for k in set(chosen) - of_segment)


def packed(data: dict[str, Any]) -> int:
    return len(base64.b64encode(gzip.compress(compact(data).encode(), 9)))


def test_the_block_stays_within_its_budget_whatever_stands_in_it(monkeypatch):
    rng = np.random.default_rng(1)
    tables = made_up([rng.bytes(400).hex() for _ in range(60)])
    whole = block(tables)
    assert len(whole["id"]) == 60
    monkeypatch.setattr(users, "BUDGET", 20_000)
    data = block(tables)
    assert 3 < len(data["id"]) < 60 and data["scored"] == 60
    assert 10_000 < packed(data) <= 20_000
    assert all(len(data[name]) == len(data["id"]) for name in (*users.NUMBERS, "rank", "call", "unusual"))
    assert data["id"] == users.shown(tables["priority"], len(data["id"]))
    monkeypatch.setattr(users, "BUDGET", 100)
    assert block(tables)["id"] == []


def test_the_real_budget_holds_many_busy_users():
    """No two days of a thousand users are alike: the block still fits, with most of them."""
    tables = made_up(list(range(1200)), stride=1)
    rng = np.random.default_rng(5)
    days = pd.MultiIndex.from_product([range(1200), [DAY - timedelta(days=k) for k in range(DAYS_SHOWN)]])
    counts = rng.integers(0, 5000, (len(days), 3))
    busy = pd.DataFrame(counts, columns=["own", "received", "stickers"])
    tables["user_days"] = busy.assign(user_id=days.get_level_values(0), day=days.get_level_values(1))
    data = block(tables)
    assert packed(data) < 700_000 and len(data["id"]) > 600


def test_nobody_scored_gives_an_empty_block_and_no_figure():
    for tables in ({}, {"priority": made_up(["a"])["priority"].head(0)}):
        data = block(tables)
        assert data["id"] == [] and data["past"] is None and data["scored"] == 0
        summary = summarise(tables, [], made["experiment"](), made["manifest"]())
        assert timeline_figure(tables, summary, Texts.load("en")) is None


def test_one_user_of_whom_little_is_known():
    only = {"priority": made_up([7])["priority"]}
    data = block(only)
    assert data["id"] == [7] and data["call"] == [1] and data["recency"] == data["value_28"] == [None]
    assert data["past"]["own"] == [[0] * DAYS_SHOWN] and data["past"]["anchors"] == []
    assert data["unusual"] == data["firm"] == data["action"] == [None] and data["days"] == {}


def test_without_a_sticker_target_nothing_of_it_is_made_up():
    data = block(made_up(["a", "b"], sticker=False))
    assert data["p_sticker"] == data["value_28"] == data["value_at_risk"] == [None, None]
    assert "sticker" not in data["past"] and "sticker" not in data["reasons"]


def test_the_score_that_ranks_is_named():
    by_value = {"segments": {"score": "value_at_risk", "worth": "last_28_days"}}
    assert (
        block(made_up(["a"]))["score"] == "priority" and block(made_up(["a"]), **by_value)["score"] == "value_at_risk"
    )


def test_the_figure_of_a_user_differs_between_languages_in_words_only():
    tables = made["tables"]()
    summary = summarise(tables, [], made["experiment"](), made["manifest"]())
    one, other = (timeline_figure(tables, summary, Texts.load(lang)).to_plotly_json() for lang in LANGUAGES)
    metas = ["own", "received", "stickers", "churn", "churn-now", "sticker", "sticker-now"]
    assert [t["meta"] for t in one["data"]] == [t["meta"] for t in other["data"]] == metas
    for a, b in zip(one["data"], other["data"], strict=True):
        assert a.keys() == b.keys() and a["name"] != b["name"]
    observed, coming = {shape["name"]: shape for shape in one["layout"]["shapes"]}.values()  # in every panel
    anchor = pd.Timestamp(tables["priority"]["anchor_day"].iloc[0])
    week, half = pd.Timedelta(days=7), pd.Timedelta(hours=12)
    assert pd.Timestamp(observed["x1"]) == pd.Timestamp(coming["x0"]) == anchor + half
    assert pd.Timestamp(observed["x0"]) == anchor + half - week and pd.Timestamp(coming["x1"]) == anchor + half + week
