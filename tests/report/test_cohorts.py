"""Who stays, in the report: the numbers of cohorts, curve and states, and what is drawn of them."""

from __future__ import annotations

import re
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import MIXED_DAYS
from tschurn.exploration.census import census
from tschurn.exploration.cohorts import cohorts
from tschurn.exploration.survival import survival
from tschurn.report.cohorts import MOST_DAYS, STATES, cohorts_summary, draw_cohorts
from tschurn.report.render import compact, environment
from tschurn.report.values import plain
from tschurn.report.words import LANGUAGES, Texts

FIRST = date(2024, 1, 1)


def tables(days: int, users: int = 400, seed: int = 1) -> dict[str, pd.DataFrame]:
    """Users who come all the time, each active for a while, on every third day or so."""
    random = np.random.default_rng(seed)
    first = np.maximum(0, random.integers(-days // 3, days, users))
    life = random.geometric(1 / 60, users)
    acts = [first[u] + np.unique(np.append(0, random.integers(0, life[u], life[u] // 3 + 1))) for u in range(users)]
    rows = [(u, FIRST + timedelta(days=int(d)), True) for u, own in enumerate(acts) for d in own if d < days]
    frame = pd.DataFrame(rows, columns=["user_id", "day", "active"]).astype({"active": "bool"})
    last = FIRST + timedelta(days=days - 1)
    return {"cohorts": cohorts(frame, FIRST, last), "survival": survival(frame, last),
            "census": census(frame, FIRST, last)}  # fmt: skip


def both(found: dict[str, pd.DataFrame], language: str = "en"):
    summary = plain(cohorts_summary(found))
    return summary, draw_cohorts(found, summary, Texts.load(language))


def page(found: dict[str, pd.DataFrame], language: str = "en") -> str:
    summary, figures = both(found, language)
    html = (
        environment()
        .get_template("cohorts.html.j2")
        .render(s={"staying": summary}, t=Texts.load(language), figures=figures)
    )
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.fixture(scope="module")
def long() -> dict[str, pd.DataFrame]:
    return tables(150)


def test_those_who_came_later_are_pooled_where_their_cohort_is_old_enough(long):
    about = both(long)[0]["cohorts"]
    table = long["cohorts"]
    assert about["mixed"] == MIXED_DAYS // 7 and about["period_days"] == 7
    assert len(about["marked"]) == 3
    for row in about["marked"]:
        part = table[~table["mixed"] & (table["age"] == row["age"])]
        assert row["users"] == part["users"].sum() and row["cohorts"] == len(part)
        assert row["classic"] == pytest.approx((part["classic"] * part["users"]).sum() / row["users"])
        assert row["rolling"] >= row["classic"]


def test_heatmaps_hold_the_table(long):
    _, found = both(long)
    table = long["cohorts"].set_index(["cohort", "age"])
    for kind in ("classic", "rolling"):
        trace, layout = found[f"cohorts-{kind}"].data[0], found[f"cohorts-{kind}"].layout
        starts = [label.split(" · ")[0] for label in layout.yaxis.ticktext]
        assert [label.endswith("*") for label in layout.yaxis.ticktext[:5]] == [True] * 4 + [False]
        for r, c in ((0, 0), (3, 2), (len(starts) - 1, 0)):
            row = table.loc[(pd.Timestamp(f"20{starts[r]}"), c + 1)]
            assert trace.z[r][c] == pytest.approx(row[kind], abs=1e-3)
            assert f"{row[f'{kind}_low']:.1%}" in trace.customdata[r][c]
            assert trace.text[r][c].rstrip("%") == f"{row[kind] * 100:.0f}"
        assert all(z is None for z in trace.z[-1][1:])  # the youngest has lived through one period more


def test_the_curve_and_its_marks_are_those_of_the_table(long):
    summary, found = both(long)
    everybody = summary["survival"]["groups"]["all"]
    table = long["survival"].query("group == 'all'").set_index("day")
    assert [m["day"] for m in everybody["marked"]] == [7, 28, 91]
    assert everybody["marked"][1]["share"] == pytest.approx(table.loc[28, "share"])
    assert table.loc[everybody["median"], "share"] <= 0.5 < table.loc[everybody["median"] - 1, "share"]
    line = next(trace for trace in found["survival"].data if trace.name == "all")
    drawn = pd.Series(line.y, line.x).reindex(table.index).ffill()
    np.testing.assert_allclose(drawn, table["share"], atol=1e-3)
    assert line.line.shape == "hv" and {"early half", "late half"} <= {trace.name for trace in found["survival"].data}


def test_states_add_up_to_the_known_users(long):
    summary, found = both(long)
    about = summary["census"]
    assert sum(state["users"] for state in about["states"].values()) == about["known"]
    stacked = np.array([trace.y for trace in found["census"].data])
    np.testing.assert_array_equal(stacked.sum(axis=0), long["census"]["known"])
    assert len(stacked) == len(STATES)


def test_weeks_of_flows_end_with_the_log_and_leave_out_its_start(long):
    _, found = both(long)
    joined, back, dormant, balance = found["flows"].data
    table = long["census"]
    assert joined.x[-1] == str(table["day"].iloc[-1])[:10]
    assert sum(joined.y) == table["joined"].iloc[-7 * len(joined.x) :].sum()
    assert dormant.y[-1] == -table["fell_dormant"].iloc[-7:].sum()
    assert len(joined.x) == (150 - MIXED_DAYS) // 7
    np.testing.assert_array_equal(balance.y, np.array(joined.y) + back.y + dormant.y)


def test_ten_years_are_drawn_by_week_and_stay_small():
    found = tables(3650, users=300)
    _, figures = both(found)
    assert len(found["census"]) > MOST_DAYS
    assert len(figures["census"].data[0].x) == -(-3650 // 7)
    assert figures["census"].data[0].x[-1] == str(found["census"]["day"].iloc[-1])[:10]
    assert len(compact({name: figure.to_plotly_json()["data"] for name, figure in figures.items()})) < 250_000


@pytest.mark.parametrize("days", [1, 6, 13, 20, MIXED_DAYS + 6])
def test_short_logs_say_why_there_is_nothing(days):
    found = tables(days, users=30)
    for language in LANGUAGES:
        text = page(found, language)
        assert "None" not in text and "nan" not in text
    summary, figures = both(found)
    assert "flows" not in figures  # there is a week from day MIXED_DAYS + 7 on
    assert ("cohorts-classic" in figures) == bool(summary["cohorts"] and summary["cohorts"]["ages"])


def test_no_tables_no_figures_but_reasons():
    summary, figures = both({})
    assert summary == {"cohorts": None, "survival": None, "census": None} and figures == {}
    words = Texts.load("en").words
    text = page({})
    for key in ("cohorts.empty", "cohorts.survival_empty", "cohorts.census_empty"):
        assert words[key] in text


def test_both_languages_hold_the_same_numbers(long):
    numbers = [sorted(re.findall(r"\d+(?:[.,-]\d+)*", page(long, language))) for language in LANGUAGES]
    assert len(numbers[0]) > 30 and numbers[0] == numbers[1]
