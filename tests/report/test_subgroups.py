"""SUBGROUPS in the report: the gaps that stand out, all errors, a figure."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import SUBGROUPS
from tschurn.report.render import environment
from tschurn.report.subgroups import draw_subgroups, subgroups_summary
from tschurn.report.values import plain
from tschurn.report.words import Texts

HOSTILE = "<img src=x> %{x}"


def row(attribute: str, group: str, tpr: float, fpr: float, margin: float | None = 0.05) -> dict[str, object]:
    rates = {"tpr": tpr, "fpr": fpr, "specificity": 1 - fpr, "fnr": 1 - tpr, "npv": 0.9, "fdr": 0.4, "for": 0.1,
             "precision": 0.6, "accuracy": 0.8, "prevalence": 0.3, "predicted": 0.2, "auc": 0.75, "calibration": -0.01,
             "cut": 0.5, "windows": 1234, "users": 321}  # fmt: skip
    for rate, everybody in (("tpr", 0.5), ("fpr", 0.1)):
        gap = np.nan if attribute == "all" else rates[rate] - everybody
        rates |= {f"{rate}_gap": gap, f"{rate}_gap_low": gap - (margin or np.nan),
                  f"{rate}_gap_high": gap + (margin or np.nan)}  # fmt: skip
    for rate in ("tpr", "precision"):
        rates |= {
            f"{rate}_low": rates[rate] - 0.04 if margin else None,
            f"{rate}_high": rates[rate] + 0.04 if margin else None,
        }
    return {"target": "churn", "attribute": attribute, "group": group, **rates}


def table(*rows: dict[str, object]) -> dict[str, pd.DataFrame]:
    frame = pd.DataFrame([row("all", "all", 0.5, 0.1), *rows])[list(SUBGROUPS.columns)]
    SUBGROUPS.check(frame)
    return {"subgroups": frame}


ROWS = (row("tenure", "0–30", 0.52, 0.11), row("activity", "9–28", 0.1, 0.01), row("fact:city", HOSTILE, 0.7, 0.1),
        row("fact:tenure", "other", 0.5, 0.1, None))  # fmt: skip


def test_the_gaps_that_stand_out_come_first() -> None:
    about = subgroups_summary(table(*ROWS))["churn"]
    assert about["code"] == "gaps" and (about["standing"], about["measured"]) == (3, 6)
    assert [(g["attribute"], g["rate"]) for g in about["told"]] == [
        ("activity", "tpr"), ("fact:city", "tpr"), ("activity", "fpr")]  # fmt: skip
    assert about["told"][0]["gap"] == pytest.approx(-0.4) and about["told"][0]["everybody"] == 0.5
    assert len(about["groups"]) == 4 and about["everybody"]["attribute"] == "all"


def test_no_gap_and_no_interval_are_told_apart() -> None:
    assert subgroups_summary(table(ROWS[0]))["churn"]["code"] == "none"
    assert subgroups_summary(table(ROWS[3]))["churn"]["code"] == "unknown"
    assert subgroups_summary(table())["churn"]["code"] == "unknown"
    assert subgroups_summary({}) == {}


def test_the_figure_shows_both_gaps_of_each_group() -> None:
    texts = Texts.load("en")
    figure = draw_subgroups(subgroups_summary(table(*ROWS)), texts)["subgroups-churn"]
    np.testing.assert_allclose(figure.data[0].x, [0.02, -0.4, 0.2, 0.0], atol=1e-12)
    np.testing.assert_allclose(figure.data[1].x, [0.01, -0.09, 0.0, 0.0], atol=1e-12)
    names = figure.layout.yaxis.ticktext
    assert names[0].startswith("days since the first") and "&lt;img" in names[2] and "<img" not in "".join(names)
    assert names[3] == "tenure: other"  # a fact of that name is not the band
    assert draw_subgroups(subgroups_summary(table()), texts) == {"subgroups-churn": None}


def rendered(tables: dict[str, pd.DataFrame], language: str = "en") -> str:
    texts, found = Texts.load(language), plain(subgroups_summary(tables))
    figures = {name: "" for name, figure in draw_subgroups(found, texts).items() if figure}
    return environment().get_template("subgroups.html.j2").render(s={"subgroups": found}, t=texts, figures=figures)


def told(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_page_tells_the_gaps_and_holds_every_error() -> None:
    html = rendered(table(*ROWS))
    text = told(html)
    assert "from a probability of 0.5 on. Of all who were to be found, 50% were; of the others, 10% were named." in text
    assert "3 of 6 gaps to everybody are more than chance" in text
    assert "active days of the last four weeks, 9–28: 10% are found, against 50% of everybody (−40.0%; −45.0% to " \
        "−35.0%)." in text  # fmt: skip
    assert "everybody 1,234 321 30% 20% 80% 50% 46%–54% 60%" in text
    assert "<img" not in html and "city: &lt;img" in html
    assert "tenure: other" in text
    assert "too few users" in told(rendered(table()))
    assert "No errors by subgroup" in told(rendered({}))


def test_both_languages_hold_the_same_numbers() -> None:
    numbers = [
        sorted(re.findall(r"\d+[.,]?\d*%?", told(rendered(table(*ROWS), language)))) for language in ("en", "ko")
    ]
    assert len(numbers[0]) > 60 and numbers[0] == numbers[1]
