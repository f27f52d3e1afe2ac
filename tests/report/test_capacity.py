"""What a list of each size is expected to hold, and held: against plain sums; expected and measured are kept apart."""

from __future__ import annotations

import re
import runpy
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.contracts import BACKTEST, BACKTEST_SCORES, LIST, MONEY, PRIORITY
from tschurn.report.capacity import EVERY, capacity_figure, capacity_summary, ranked, sizes_shown
from tschurn.report.figures import draw
from tschurn.report.render import LEVEL, environment
from tschurn.report.summary import TARGETS, summarise
from tschurn.report.words import LANGUAGES, Texts, brief, share

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
DAY = date(2024, 5, 19)
NOT_CALLED = ("holdout", "resting")


def people(rows: list[dict[str, Any]], sticker: bool = True) -> dict[str, pd.DataFrame]:
    """Rows by rank (p_churn, p_sticker, value_28, holdout, resting, segment; what is left out is usual) → tables."""
    usual = {"p_churn": 0.5, "p_sticker": 0.2, "value_28": 3.0, "holdout": False, "resting": False, "segment": "rest"}
    frame = pd.DataFrame([usual | {"user_id": f"u{k}", "rank": k + 1} | row for k, row in enumerate(rows)],
                         columns=["user_id", "rank", *usual])  # fmt: skip
    if not sticker:
        frame[["p_sticker", "value_28"]] = np.nan
    found = {}
    for table in (PRIORITY, LIST, MONEY):
        columns = {c: frame[c] if c in frame else pd.Series([None] * len(frame)) for c in table.columns}
        for column, kind in table.columns.items():
            if column not in frame and kind in ("float64", "int32"):
                columns[column] = pd.Series([1.0 if kind == "float64" else 0] * len(frame), dtype=kind)
        found[table.name] = pd.DataFrame(columns | {"anchor_day": [DAY] * len(frame)})
    return found


def told(tables: dict[str, pd.DataFrame], **sections: dict) -> dict[str, Any]:
    return capacity_summary(tables, made["experiment"](**sections))


rows = st.lists(
    st.fixed_dictionaries({
        "p_churn": st.floats(0.001, 1), "p_sticker": st.floats(0.001, 1), "value_28": st.floats(0, 1e4),
        "holdout": st.booleans(), "resting": st.booleans(), "segment": st.sampled_from(["priority", "rest"]),
    }), min_size=1, max_size=30,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_every_size_is_a_plain_sum_over_the_first_who_may_be_called(some, random):
    tables = people(some)
    for name, frame in tables.items():  # the order of a table's rows says nothing
        tables[name] = frame.sample(frac=1, random_state=random.randrange(1000))
    about = told(tables)
    called = [row for row in some if not (row["holdout"] or row["resting"])]
    if not called:
        assert about["why"] == "nobody" and about["sizes"] == []
        return
    assert about["sizes"] == list(range(1, len(called) + 1))
    everybody = sum(row["p_churn"] for row in some)
    money = sum(row["p_churn"] * row["value_28"] for row in some)
    assert about["base"] == pytest.approx(everybody / len(some))
    for at, size in enumerate(about["sizes"]):
        first = called[:size]
        churners = sum(row["p_churn"] for row in first)
        lost = sum(row["p_churn"] * row["value_28"] for row in first)
        assert about["churners"][at] == pytest.approx(churners, rel=1e-5)
        assert about["precision"][at] == pytest.approx(churners / size, rel=1e-5)
        assert about["recall"][at] == pytest.approx(churners / everybody, rel=1e-5)
        assert about["stickers"][at] == pytest.approx(sum(row["p_sticker"] for row in first), rel=1e-5)
        assert about["money"][at] == pytest.approx(lost, rel=1e-5, abs=1e-12)
        if money > 0:
            assert about["money_share"][at] == pytest.approx(lost / money, rel=1e-5, abs=1e-12)
    group = sum(row["segment"] == "priority" for row in called)
    assert about["start"] == (group or max(1, len(called) // 10))


@given(st.integers(1, 2_000_000), st.data())
def test_sizes_hold_every_small_one_and_no_wide_gap(most, data):
    start = data.draw(st.integers(1, most))
    sizes = sizes_shown(most, start)
    assert sizes == sorted(set(sizes)) and sizes[0] == 1 and sizes[-1] == most and start in sizes
    assert sizes[: min(most, EVERY)] == list(range(1, min(most, EVERY) + 1))
    assert all(after <= before * 1.1 + 1 for before, after in pairwise(sizes))
    assert len(sizes) <= 650


def test_money_of_another_day_does_not_count():
    tables = people([{"value_28": 10.0}, {"value_28": 20.0}])
    other = tables["money"].assign(anchor_day=date(2024, 5, 12), value_28=1e9)
    tables["money"] = pd.concat([other, tables["money"]], ignore_index=True)
    assert told(tables)["money"] == [5.0, 15.0]


def test_those_left_alone_have_no_place_in_the_order():
    assert ranked(people([{"holdout": True}, {}, {"resting": True}, {}]))["call"].tolist() == [pd.NA, 1, pd.NA, 2]


def test_pseudonyms_in_the_list_do_not_hide_who_is_held_out():
    tables = people([{}, {"holdout": True}, {}])
    tables["list"] = tables["list"].assign(user_id=["x", "y", "z"], segment="관리우선대상군")
    assert ranked(tables)["holdout"].tolist() == [False, True, False]


# --- what was measured ----------------------------------------------------------------------------
SHARES = (0.1, 0.25, 0.5, 1.0)
FOUND = {"value": (0.4, 0.6, 0.9, 1.0), "users": (0.3, 0.5, 0.8, 1.0)}


def backtest(score: str = "priority", interval: bool = True) -> dict[str, pd.DataFrame]:
    """200 windows on 4 anchors, with 30 users at risk."""
    curves = [(score, what, s, 50 * s, f, f - 0.05 if interval else None, f + 0.05 if interval else None, f / s)
              for what, found in FOUND.items() for s, f in zip(SHARES, found, strict=True)]  # fmt: skip
    lines = [(score, what, 200, 4, 900.0 if what == "value" else 30.0, *[None] * 12) for what in FOUND]
    return {"backtest": pd.DataFrame(curves, columns=list(BACKTEST.columns)),
            "backtest_scores": pd.DataFrame(lines, columns=list(BACKTEST_SCORES.columns))}  # fmt: skip


def test_what_was_measured_stands_at_the_same_share_of_users():
    about = told(people([{}] * 20) | backtest())["measured"]
    assert (about["anchors"], about["windows"]) == (4, 200)
    for what, found in FOUND.items():
        for s, f in zip(SHARES, found, strict=True):
            at = round(s * 20) - 1
            assert about[what]["found"][at] == pytest.approx(f)
            assert about[what]["low"][at] == pytest.approx(f - 0.05)
            assert about[what]["high"][at] == pytest.approx(f + 0.05)
            assert about[what]["lift"][at] == pytest.approx(f / s, rel=1e-5)
    assert about["value"]["found"][0] == pytest.approx(0.2)  # half of the first share: half of what it found
    assert about["value"]["found"][6] == pytest.approx(0.6 + 0.3 * (0.35 - 0.25) / 0.25)
    # of 200 windows a tenth is called, 20; they hold three tenths of 30 users, 9
    assert about["users"]["precision"][1] == pytest.approx(9 / 20)
    assert about["value"]["precision"] is None


def test_users_left_alone_count_among_the_users_a_share_is_of():
    """10 of 20 may be called: calling all of them is half of the users, not everybody."""
    tables = people([{"holdout": k % 2 == 0} for k in range(20)]) | backtest()
    about = told(tables)
    assert about["sizes"][-1] == 10 and about["measured"]["value"]["found"][-1] == pytest.approx(0.9)


def test_it_is_the_score_that_ranks_which_is_measured():
    by_value = {"segments": {"score": "value_at_risk"}}
    tables = people([{}] * 5) | backtest("value_at_risk")
    assert told(tables)["measured"] is None
    assert told(tables, **by_value)["measured"]["value"]["found"][-1] == 1


def test_without_intervals_none_are_made_up():
    about = told(people([{}] * 20) | backtest(interval=False))["measured"]
    assert about["value"]["low"] is None and about["value"]["high"] is None and about["value"]["found"][-1] == 1


# --- nothing to tell ------------------------------------------------------------------------------
def test_nobody_scored_and_nobody_to_call_have_their_reasons():
    assert told({})["why"] == told(people([]))["why"] == "empty"
    assert told(people([{"holdout": True}] * 3))["why"] == "nobody"
    for about in (told({}), told(people([{"holdout": True}]))):
        assert about["sizes"] == [] and about["start"] is None
        assert capacity_figure(about, Texts.load("en")) is None


def test_without_a_sticker_target_there_is_no_money():
    about = told(people([{"p_churn": 0.3}, {"p_churn": 0.5}], sticker=False))
    assert about["stickers"] is about["stickers_share"] is about["money"] is about["money_share"] is None
    assert about["churners"] == [0.3, 0.8] and about["measured"] is None


def test_one_user():
    about = told(people([{"p_churn": 0.25}]))
    assert (about["sizes"], about["start"], about["recall"], about["precision"]) == ([1], 1, [1], [0.25])


def test_no_money_at_all_has_no_shares():
    assert told(people([{"value_28": 0.0}] * 3))["money_share"] is None


# --- the page -------------------------------------------------------------------------------------
def section(tables: dict[str, pd.DataFrame], language: str = "en", sticker: bool = True) -> tuple[str, dict[str, Any]]:
    """→ the section's HTML in this language, and the summary."""
    experiment, texts = made["experiment"](language, sticker), Texts.load(language)
    summary = summarise(tables, [], experiment, made["manifest"]())
    html = (
        environment()
        .get_template("users.html.j2")
        .render(s=summary, t=texts, figures=draw(tables, summary, texts), targets=TARGETS, level=LEVEL, reasons_shown=3)
    )
    return html, summary


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return made["tables"]() | backtest()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_begins_with_the_numbers_of_the_priority_group(tables, language):
    html, summary = section(tables, language)
    about = summary["capacity"]
    at = about["sizes"].index(about["start"])
    slots = dict(re.findall(r'<b data-slot="([\w.]+)" data-write="\w+">([^<]*)</b>', html))
    assert slots["sizes"] == str(about["start"]) == str(summary["segments"]["priority"])
    assert slots["churners"] == brief(about["churners"][at]) and slots["recall"] == share(about["recall"][at])
    assert slots["measured.value.low"] == share(about["measured"]["value"]["low"][at])
    for path in slots:  # each is a column of report.json, as long as the sizes
        values: Any = about
        for key in path.split("."):
            values = values[key]
        assert len(values) == len(about["sizes"])
    assert len(slots) == 17


def test_without_stickers_the_page_tells_of_churn_alone():
    html, _ = section(made["tables"](sticker=False), sticker=False)
    assert "churners" in html and "stickers_share" not in html and "measured in this run" in html


def test_figures_of_both_languages_differ_in_words_only(tables):
    both = [capacity_figure(section(tables, one)[1]["capacity"], Texts.load(one)).to_plotly_json() for one in LANGUAGES]
    assert [len(f["data"]) for f in both] == [6, 6]
    for one, other in zip(both[0]["data"], both[1]["data"], strict=True):
        assert one.keys() == other.keys() and list(one["x"]) == list(other["x"]) and list(one["y"]) == list(other["y"])
        assert one["name"] != other["name"]
