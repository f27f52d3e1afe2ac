"""What the report says of the backtest: who wins, plainly and by the intervals, and why there may be nothing to say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import BACKTEST, BACKTEST_SCORES, GAIN, SCORES_COMPARED
from tschurn.report.backtest import LINES, backtest_summary, draw_backtest
from tschurn.report.render import environment
from tschurn.report.values import plain
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
COSTS = {"contact": 20, "success": 0.25, "margin": 0.5}
# Lift quality of each score, and how sure the difference from priority is (half the width of its interval).
QUALITY = {"priority": 41.25, "value_at_risk": 40.0, "p_churn": 20.5, "p_churn_value_28": 41.0, "recency": 5.25,
           "stickers_7": 30.0, "lightgbm": 39.0, "random": 0.0}  # fmt: skip


def scores(quality: dict[str, float], sure: float | None = 6.0, caught: tuple[str, ...] = ("value", "users")):
    rows = []
    for what in caught:
        for score, value in quality.items():
            row = {"score": score, "caught": what, "windows": 2407, "anchors": 13, "at_risk": 3753.25}
            behind = None if score == "priority" else quality["priority"] - value
            for name, figure, width in (("lift_10", 1 + value / 12, 0.25), ("lift_20", 1 + value / 18, 0.25),
                                        ("quality", value, 8.0), ("behind", behind, sure)):  # fmt: skip
                known = figure is not None and sure is not None
                row |= {name: figure, f"{name}_low": figure - width if known else None,
                        f"{name}_high": figure + width if known else None}  # fmt: skip
            rows.append(row)
    frame = pd.DataFrame(rows)[list(BACKTEST_SCORES.columns)]
    BACKTEST_SCORES.check(frame)
    return frame


def curves(quality: dict[str, float]) -> pd.DataFrame:
    share = np.linspace(0.02, 1, 50)
    parts = []
    for what in ("value", "users"):
        for score, value in quality.items():
            found = share ** (1 / (1 + max(value, 0) / 20))
            parts.append(pd.DataFrame({"score": score, "caught": what, "share": share, "calls": share * 185,
                                       "found": found, "found_low": found * 0.9, "found_high": found ** 0.9,
                                       "lift": found / share}))  # fmt: skip
    frame = pd.concat(parts, ignore_index=True)
    BACKTEST.check(frame)
    return frame


def gains(best: int = 40, low: float = 100.0, most: int = 185) -> pd.DataFrame:
    calls = np.arange(most + 1)
    gain = 812.5 - (calls - best) ** 2 / 10.0
    frame = pd.DataFrame({"calls": calls, "gain": gain, "gain_low": gain - 812.5 + low, "gain_high": gain + 300,
                          "best": calls == best})  # fmt: skip
    ends = {"best_low": max(0, best - 15), "best_high": min(most, best + 25)}
    for name, end in ends.items():
        frame[name] = pd.Series(np.where(calls == best, end, np.nan)).astype("Int64")
    GAIN.check(frame)
    return frame


def tables(quality: dict[str, float] = QUALITY, sure: float | None = 6.0) -> dict[str, pd.DataFrame]:
    return {"backtest": curves(quality), "backtest_scores": scores(quality, sure), "gain": gains()}


def html(found: dict[str, pd.DataFrame], language: str = "en", no_sticker: str | None = None, **sections: dict) -> str:
    experiment = made["experiment"](language=language, **sections)
    texts = Texts.load(language)
    summary = plain({"backtest": backtest_summary(found, experiment), "no_sticker": no_sticker})
    figures = {name: figure for name, figure in draw_backtest(found, texts).items() if figure is not None}
    page = (
        environment()
        .get_template("backtest.html.j2")
        .render(s=summary, t=texts, figures=figures, level=0.95, lifts={"lift_10": 0.1, "lift_20": 0.2})
    )
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("( ", "(").replace(" .", ".").replace(" :", ":")


@pytest.mark.parametrize(
    ("changed", "sure", "code"),
    [
        ({}, 6.0, "priority"),
        ({"p_churn_value_28": 60.0}, 6.0, "simpler"),
        ({"recency": 60.0}, 6.0, "simpler"),
        ({"value_at_risk": 60.0}, 6.0, "other"),
        ({"lightgbm": 60.0}, 6.0, "other"),
        ({"lightgbm": 43.0}, 6.0, "level"),
        ({"p_churn": 43.0}, None, "unknown"),
        (dict.fromkeys(QUALITY, np.nan), None, "none"),
    ],
)
def test_the_verdict_goes_by_the_interval_of_the_difference(changed: dict, sure: float | None, code: str) -> None:
    found = backtest_summary({"backtest_scores": scores(QUALITY | changed, sure)}, made["experiment"]())
    for what in ("value", "users"):
        assert found["caught"][what]["code"] == code
    if code not in ("none", "priority"):
        about = found["caught"]["value"]
        score, quality = next(iter(changed.items()))
        assert about["best"]["score"] == score and about["ahead"]["value"] == pytest.approx(quality - 41.25)
        assert about["rows"][0]["score"] == score


def test_rivals_are_sorted_by_what_is_sure() -> None:
    quality = QUALITY | {"value_at_risk": 70.0, "stickers_7": 60.0, "lightgbm": 55.0}
    about = backtest_summary({"backtest_scores": scores(quality)}, made["experiment"]())["caught"]["value"]
    named = {code: [row["score"] for row in rows] for code, rows in about["versus"].items()}
    assert named == {"simpler": ["stickers_7"], "less": ["lightgbm"], "more": ["p_churn", "recency"],
                     "level": ["p_churn_value_28"]}  # fmt: skip
    assert about["switch"] == ["value_at_risk"] and about["chance"] is None


@pytest.mark.parametrize(("own", "code"), [(-20.0, "worse"), (-3.0, "level"), (5.0, "level"), (9.0, None)])
def test_a_priority_no_better_than_chance_is_told(own: float, code: str | None) -> None:
    found = backtest_summary({"backtest_scores": scores(QUALITY | {"priority": own})}, made["experiment"]())
    assert found["caught"]["value"]["chance"] == code


@pytest.mark.parametrize(
    ("table", "code"),
    [(gains(), "pays"), (gains(low=-5.0), "unsure"), (gains(best=185), "everybody"), (gains(best=0), "nobody")],
)
def test_the_gain_is_told_by_its_best_size(table: pd.DataFrame, code: str) -> None:
    found = backtest_summary({"gain": table}, made["experiment"](costs=COSTS))["gain"]
    assert (found["code"], found["most"]) == (code, 185) and found["calls"] == table.loc[table["best"], "calls"].item()


def test_why_there_is_nothing() -> None:
    empty = {"backtest_scores": pd.DataFrame({column: [] for column in BACKTEST_SCORES.columns})}
    sticker = pd.DataFrame({"target": ["churn", "sticker"]})
    for found, why in (({}, "not_run"), (empty | {"target_summary": sticker}, "nothing"),
                       (empty | {"target_summary": sticker.head(1)}, "no_sticker")):  # fmt: skip
        about = backtest_summary(found, made["experiment"]())
        assert about["why"] == why and about["caught"] == {} and about["gain"] is None
        assert not any(draw_backtest(found, Texts.load("en")).values())
    assert "Nothing was at risk in the test weeks" in html(empty | {"target_summary": sticker})
    said = html(empty | {"target_summary": sticker.head(1)}, no_sticker="no_sticker_target")
    assert "There is no backtest: without a probability of a sticker" in said
    assert "no backtest in this run" in html({})


def test_the_page_says_who_wins_with_the_numbers() -> None:
    said = html(tables(), costs=COSTS)
    assert "At each of 13 test anchors" in said and "2,407 windows" in said and "value of 3,753" in said
    assert "The value of the last 28 days stands for what is lost" in said
    assert "Value at risk: priority is the best list , with a lift quality of 41.2 (33.2 to 49.2)." in said
    assert "Priority surely finds more than “most stickers last week” (quality 30.0), “p(churn) alone” (quality " \
        "20.5), “longest away first” (quality 5.2)." in said  # fmt: skip
    assert "It cannot be told apart from “p(churn) × last value” (quality 41.0)" in said
    assert "p(churn) alone 20.5 12.5…28.5 20.8 14.8…26.8 2.71 2.46…2.96" in said
    assert "simpler" not in said and "score = " not in said

    said = html(tables(QUALITY | {"p_churn_value_28": 70.0, "value_at_risk": 60.0}))
    assert "a simpler score wins. The list by “p(churn) × last value” has a lift quality of 70.0, priority 41.2; it " \
        "is 28.8 ahead (22.8 to 34.8), which is more than noise." in said  # fmt: skip
    assert "So it is hard to beat." in said and 'score = "value_at_risk"' in said
    said = html(tables(QUALITY | {"priority": -20.0}))
    assert "Simpler scores find more than priority as well" in said and "Priority is worse than a random list" in said


def test_the_page_says_how_many_calls_pay() -> None:
    said = html(tables(), costs=COSTS)
    assert "A call costs 20; 25% of the churners who are called stay, and 50% of their value of 28 days" in said
    assert "the first 40 users a week by “priority” gains most: 812 a week. The 95% interval of that gain is 100 to " \
        "1,112. In 95% of the weeks drawn anew the best size lies between 25 and 65." in said  # fmt: skip
    assert "with [costs] in the experiment file" in html(tables() | {"gain": gains().head(0)}).replace(
        "W", "w"
    ).replace("  ", " ")
    assert "No call pays" in html(tables() | {"gain": gains(best=0)}, costs=COSTS)
    assert "The gain cannot be told" in html(tables() | {"gain": gains().head(0)}, costs=COSTS)


def test_scores_and_intervals_that_are_not_known() -> None:
    quality = {score: value for score, value in QUALITY.items() if score not in ("value_at_risk", "lightgbm")}
    said = html(tables(quality))
    assert "Not known in this run: value at risk, priority of LightGBM." in said
    said = html({"backtest_scores": scores(QUALITY | {"p_churn": 43.0}, None), "backtest": curves(QUALITY)})
    assert "whether that is more than noise cannot be told" in said and "None" not in said and "nan" not in said
    nobody = html({"backtest_scores": scores(dict.fromkeys(QUALITY, np.nan), None), "backtest": curves(QUALITY)})
    assert "all users were at risk alike" in nobody and "nan" not in nobody


def test_a_list_by_value_at_risk_and_own_stickers_are_told() -> None:
    own = {"sticker": {"events": ["gift"], "side": "own"}}
    said = html(tables(), segments={"score": "value_at_risk"}, targets=own)
    assert (
        "The list of this run is ranked by “value at risk”." in said
        and "a sticker is one of the user's own acts" in said
    )
    assert "own acts" not in html(tables())


def test_figures_hold_every_score_with_priority_on_top() -> None:
    texts = Texts.load("en")
    figures = draw_backtest(tables(), texts)
    assert list(figures) == ["backtest-value", "backtest-users", "gain"] and set(LINES) == set(SCORES_COMPARED)
    lines = [trace for trace in figures["backtest-value"].data if trace.name]
    assert {trace.name for trace in lines} == {texts.plain(f"scores_compared.{s}") for s in SCORES_COMPARED}
    top = lines[-1]
    assert top.name == "priority" and top.line.width == max(t.line.width for t in lines)
    assert (top.x[0], top.y[0], top.x[-1], top.y[-1]) == (0, 0, 1, 1)
    band = [trace for trace in figures["backtest-value"].data if trace.fill == "tonexty"]
    assert len(band) == 1 and max(band[0].y) == 1
    gain = figures["gain"]
    assert {s.x0 for s in gain.layout.shapes} >= {40, 25}
    without = curves(QUALITY).assign(found_low=None, found_high=None)
    assert not [t for t in draw_backtest({"backtest": without}, texts)["backtest-value"].data if t.fill == "tonexty"]


def test_both_languages_hold_the_same_numbers() -> None:
    numbers = [sorted(re.findall(r"\d+[.,]\d+", html(tables(), language, costs=COSTS))) for language in ("en", "ko")]
    assert len(numbers[0]) > 60 and numbers[0] == numbers[1]
