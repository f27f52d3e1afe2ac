"""COMPARISON and MATCHING in the report: what sets the group apart, also beyond its risk."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import COMPARISON, MATCHING
from tschurn.report.comparison import SIGNIFICANT_Q, comparison_summary, draw_comparison, matching_summary
from tschurn.report.render import environment
from tschurn.report.values import plain
from tschurn.report.words import Texts

HOSTILE = "<b>bold</b> %{x}"


def row(versus: str, variable: str, g: float | None, q: float | None, circular: bool = False) -> dict[str, object]:
    ends = {"g_low": None if g is None else g - 0.3, "g_high": None if g is None else g + 0.3}
    tests = dict.fromkeys(("t", "df", "p", "rank_p"), 0.01 if q is None else q)
    return {"versus": versus, "variable": variable, "circular": circular, "n_priority": 80, "n_versus": 80, "q": q,
            "mean_priority": 2.0, "mean_versus": 1.0, "difference": 1.0, "difference_low": 0.5, "difference_high": 1.5,
            "hedges_g": g, **ends, **tests}  # fmt: skip


def tables(*matched: dict[str, object], pairs: int = 80) -> dict[str, pd.DataFrame]:
    rows = [row("others", "p_churn", 1.532, None, True), row("others", "calls", 0.7, 0.001), *matched]
    comparison = pd.DataFrame(rows)[list(COMPARISON.columns)]
    matching = pd.DataFrame({"users": 90, "matched": pairs, "caliper": 0.2, "p_churn_priority": 0.3241,
                             "p_churn_matched": 0.3239, "distance": 0.008}, index=[0])  # fmt: skip
    if not pairs:
        matching[["caliper", "p_churn_priority", "p_churn_matched", "distance"]] = np.nan
    COMPARISON.check(comparison)
    MATCHING.check(matching)
    return {"comparison": comparison, "matching": matching}


BEYOND = (row("matched", "p_churn", 0.004, None, True), row("matched", "calls", -0.9, 0.001),
          row("matched", "gifts", 1.2, 0.02), row("matched", HOSTILE, 1.1, 0.03), row("matched", "days", 0.1, 0.6),
          row("matched", "constant", None, None))  # fmt: skip


def about(found: dict[str, pd.DataFrame]) -> dict[str, object] | None:
    return matching_summary(found, comparison_summary(found, {"gifts": "gifts given"}))


def test_what_differs_beyond_the_risk_is_told_with_the_largest_first() -> None:
    found = about(tables(*BEYOND))
    assert found is not None and found["code"] == "beyond"
    assert [r["label"] for r in found["shown"]] == ["gifts given", HOSTILE, "calls"]
    assert (found["before"], found["after"]) == (1.532, 0.004)
    assert (found["matched"], found["users"]) == (80, 90)


def test_nothing_and_nobody_are_told_apart() -> None:
    nothing = about(tables(BEYOND[0], row("matched", "calls", 0.9, 0.2)))
    assert nothing is not None and nothing["code"] == "nothing" and nothing["shown"] == []
    empty = {**row("matched", "calls", None, None), "n_priority": 0, "n_versus": 0}
    nobody = tables(empty, pairs=0)
    assert about(nobody)["code"] == "unmatched" and about(nobody)["after"] is None  # type: ignore[index]
    assert "matched" not in comparison_summary(nobody, {})
    assert about({}) is None and comparison_summary({}, {}) == {}


def test_counts_are_of_what_is_not_circular() -> None:
    found = comparison_summary(tables(*BEYOND), {})["matched"]
    assert (found["variables"], found["circular"], found["tested"], found["differing"]) == (6, 1, 4, 3)
    assert found["rows"][-1]["variable"] == "constant" and found["rows"][-1]["significant"] is None


def test_each_comparison_has_its_figure() -> None:
    found = tables(*BEYOND)
    figures = draw_comparison(comparison_summary(found, {}), Texts.load("en"))
    assert list(figures) == ["effects-others", "effects-matched"]
    hollow = figures["effects-matched"].data[1]
    assert list(hollow.x) == [0.004] and hollow.marker.symbol == "circle-open"
    names = figures["effects-matched"].layout.yaxis.ticktext
    assert "probability of churn" in names and not any("<b>bold" in name for name in names)


def part(tables: dict[str, pd.DataFrame], language: str = "en") -> str:
    """The report's part on the comparison."""
    texts = Texts.load(language)
    compared = comparison_summary(tables, {"gifts": "gifts given"})
    s = plain({"comparison": compared, "matching": matching_summary(tables, compared)})
    figures = {name: "" for name, figure in draw_comparison(s["comparison"], texts).items() if figure}
    template = environment().get_template("comparison.html.j2")
    return template.render(s=s, t=texts, figures=figures, significant_q=SIGNIFICANT_Q)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    nobody = {**row("matched", "calls", None, None), "n_priority": 0, "n_versus": 0}
    nothing = tables(BEYOND[0], row("matched", "calls", 0.9, 0.2))
    old = {"comparison": tables()["comparison"]}
    found = {"en": tables(*BEYOND), "nobody": tables(nobody, pairs=0), "old": old, "none": {}, "nothing": nothing}
    return {case: part(one) for case, one in found.items()} | {"ko": part(tables(*BEYOND), "ko")}


def told(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("( ", "(").replace(" ,", ",")


def test_the_page_says_what_sets_the_group_apart(pages: dict[str, str]) -> None:
    text = told(pages["en"])
    assert "80 of the 90 users of the group were each matched" in text
    assert "(0.324 on average, against 0.324; the difference was +1.532 standard deviations before matching and is " \
        "+0.004 after it)" in text  # fmt: skip
    assert "Beside them, 3 of 4 variables that do not enter the score still differ with q under 0.05. Most of all: " \
        "gifts given (higher, g = +1.200)" in text  # fmt: skip
    assert "calls (lower, g = −0.900)." in text
    assert "none of 1 variables" in told(pages["nothing"])
    assert "None of the 90 users of the group could be matched" in told(pages["nobody"])
    assert 'id="figure-effects-matched"' in pages["en"] and 'id="figure-effects-matched"' not in pages["nobody"]
    assert 'id="matched"' not in pages["old"] and 'id="figure-effects-others"' in pages["old"]
    assert "<b>bold" not in pages["en"] and "&lt;b&gt;bold" in pages["en"]
    assert "No comparison" in told(pages["none"])


def test_both_languages_hold_the_same_numbers(pages: dict[str, str]) -> None:
    numbers = {case: sorted(re.findall(r"\d+[.,]\d+", told(pages[case]))) for case in ("en", "ko")}
    assert len(numbers["en"]) > 40 and numbers["en"] == numbers["ko"]
