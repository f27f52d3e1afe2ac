"""Rates by a feature's value in the report: which are shown, what is drawn, how they are chosen."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tschurn.exploration.deciles import deciles
from tschurn.report.deciles import FIRST_SHOWN, MOST_SHOWN, deciles_summary, draw_deciles
from tschurn.report.render import compact, environment
from tschurn.report.values import plain
from tschurn.report.words import LANGUAGES, Texts

EN = Texts.load("en")


def table(variables: int, sticker: bool = True, seed: int = 3) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    user = np.repeat(np.arange(150), 4)
    profile = pd.DataFrame({"user_id": user})
    for i in range(variables):
        profile[f"v{i:02}"] = np.where(random.random(600) < 0.05 * (i == 1), np.nan, random.poisson(2, 600))
    p = 0.1 + 0.7 * (profile["v00"] > 2)
    labels = pd.DataFrame({"user_id": user, "churned": (random.random(600) < p).astype(int),
                           "sticker": (random.random(600) < 0.1).astype(float) if sticker else np.nan})  # fmt: skip
    return deciles(profile, labels)


def both(found: pd.DataFrame, **others: pd.DataFrame):
    summary = plain(deciles_summary({"deciles": found, **others}, {"v00": "<script>alert(1)</script>"}))
    return summary, draw_deciles(summary, EN)


def html(summary, figures, language: str = "en") -> str:
    return (
        environment()
        .get_template("deciles.html.j2")
        .render(s={"deciles": summary}, t=Texts.load(language), figures=figures)
    )


def test_the_widest_spread_comes_first_and_no_more_than_said():
    summary, figures = both(table(MOST_SHOWN + 5))
    assert summary["all"] == MOST_SHOWN + 5 and len(summary["variables"]) == len(figures) == MOST_SHOWN
    assert summary["variables"][0]["variable"] == "v00" and summary["first"] == FIRST_SHOWN
    spreads = [about["targets"]["churn"]["spread"] for about in summary["variables"]]
    assert spreads == sorted(spreads, reverse=True)
    assert list(figures) == [f"decile-{i}" for i in range(1, MOST_SHOWN + 1)]
    assert len(compact({name: figure.to_plotly_json()["data"] for name, figure in figures.items()})) < 150_000


def test_points_bars_and_names_are_those_of_the_table():
    found = table(3)
    _, figures = both(found)
    figure = figures["decile-1"]
    rows = found.query("target == 'churn' and variable == 'v00'")
    churn, sticker = figure.data
    np.testing.assert_allclose(churn.y, rows["rate"], atol=1e-4)
    np.testing.assert_allclose(np.array(churn.y) + churn.error_y.array, rows["high"], atol=2e-4)
    np.testing.assert_allclose(np.array(churn.y) - churn.error_y.arrayminus, rows["low"], atol=2e-4)
    assert [point[1] for point in churn.customdata] == rows["windows"].tolist()
    assert list(figure.layout.xaxis.ticktext)[:2] == ["0", "1"] and len(sticker.y) == len(rows)
    assert figure.layout.xaxis.title.text == "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert len({f.layout.yaxis.range for f in figures.values()}) == 1
    assert figure.layout.yaxis.range[1] >= rows["high"].max()


def test_missing_values_are_named():
    summary, figures = both(table(3))
    position = next(a["position"] for a in summary["variables"] if a["variable"] == "v01")
    assert figures[f"decile-{position}"].layout.xaxis.ticktext[-1] == "not known"


def test_one_target_is_enough():
    summary, figures = both(table(2, sticker=False))
    assert summary["targets"] == ["churn"] and len(figures["decile-1"].data) == 1
    only = table(2).query("target == 'sticker'")
    summary, figures = both(only)
    assert summary["targets"] == ["sticker"] and figures["decile-1"].data[0].name == "Sticker"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_are_shown_and_the_others_can_be_chosen(language):
    summary, figures = both(table(10))
    text = html(summary, figures, language)
    boxes = re.findall(r'<input type="checkbox" value="(decile-\d+)"( checked)?>', text)
    shown = re.findall(r'<figure class="" data-pick="(decile-\d+)"( hidden)?>', text)
    assert [name for name, _ in boxes] == [name for name, _ in shown] == list(figures)
    assert [bool(c) for _, c in boxes] == [not h for _, h in shown] == [i < FIRST_SHOWN for i in range(10)]
    assert "<script>alert" not in text


def test_a_draw_of_users_is_told():
    windows = pd.DataFrame({"split": ["train"] * 150_000 + ["test"] * 10})
    for frame, drawn in ((windows, True), (windows.tail(700), False), (windows.head(0), False)):
        summary, figures = both(table(1), windows=frame)
        assert summary["drawn"] is drawn and summary["windows"] == 600
        assert ("150,000" in html(summary, figures)) is drawn


def test_without_rates_there_is_a_reason():
    assert deciles_summary({}, {}) is None and draw_deciles(None, EN) == {}
    assert EN.words["deciles.empty"] in html(None, {})
