"""What the report says of explanations that are made again: what stays, beside what would stay by chance."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pandas as pd
import pytest

from tschurn.contracts import STABILITY
from tschurn.report.figures import draw
from tschurn.report.render import content
from tschurn.report.stability import STEADY, stability_summary
from tschurn.report.summary import summarise
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))


def rows(over: str, spearman: float | None, overlap: float | None, note: str | None = None, **other: object) -> list:
    found = []
    for measure, mean, chance in (("spearman", spearman, 0.0), ("top_overlap", overlap, 0.4)):
        ends = {"low": None, "high": None} if mean is None else {"low": mean - 0.1, "high": mean + 0.02}
        found.append(
            {"target": "churn", "model": "average", "over": over, "measure": measure, "features": 25, "top": 10,
             "pairs": 0 if mean is None else 10, "mean": mean, **ends, "chance": None if mean is None else chance,
             "note": note} | other
        )  # fmt: skip
    return found


def tables(*parts: list) -> dict[str, pd.DataFrame]:
    frame = pd.DataFrame([row for part in parts for row in part])
    STABILITY.check(frame)
    return {"stability": frame}


def usual() -> dict[str, pd.DataFrame]:
    none = rows("anchors", None, None, "few_anchors")
    return tables(rows("seeds", 0.91, 0.96), rows("folds", 0.7, 0.65), none,
                  rows("anchors", 0.85, 0.88, model="lightgbm_history", target="sticker"))  # fmt: skip


def test_what_stays_is_counted_beside_chance() -> None:
    (one,) = stability_summary(usual())["churn"]
    assert (one["model"], one["features"], one["top"]) == ("average", 25, 10)
    seeds, folds, anchors = (one["over"][over] for over in ("seeds", "folds", "anchors"))
    assert seeds["stay"] == pytest.approx(9.6) and seeds["stay_by_chance"] == pytest.approx(4.0)
    assert [about["code"] for about in (seeds, folds, anchors)] == ["steady", "shaky", "few_anchors"]
    assert anchors["stay"] is None and folds["spearman"]["low"] == pytest.approx(0.6)
    assert list(stability_summary(usual())["sticker"][0]["over"]) == ["anchors"]


def test_from_a_rank_correlation_on_the_order_is_the_same() -> None:
    codes = [stability_summary(tables(rows("folds", STEADY + by, 0.9)))["churn"][0]["over"]["folds"]["code"]
             for by in (-0.01, 0.0)]  # fmt: skip
    assert codes == ["shaky", "steady"]


@pytest.mark.parametrize("note", ["one_feature", "constant", "few_users", "few_anchors", "no_windows", None])
def test_what_cannot_be_compared_has_words(note: str | None) -> None:
    about = stability_summary(tables(rows("folds", None, None, note)))["churn"][0]["over"]["folds"]
    assert about["code"] == (note or "constant")
    for language in ("en", "ko"):
        assert f"stability.{about['code']}" in Texts.load(language).words


def test_without_the_table_there_is_none() -> None:
    assert stability_summary({}) == {}


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    found = {}
    for case in ("en", "ko", "none"):
        experiment = made["experiment"](language="ko" if case == "ko" else "en")
        texts = Texts.load(experiment.experiment.language)
        one = made["tables"]() | ({} if case == "none" else usual())
        summary = summarise(one, [], experiment, made["manifest"]())
        html = content(summary, draw(one, summary, texts), texts)
        part = re.search(r'<h3 id="stability" data-fold>.*?</section>', html, re.S)[0]
        found[case] = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part))
    return found


def test_the_page_says_it_in_words(pages: dict[str, str]) -> None:
    assert (
        "average fitted again, other seed 9.6 of the top 10 stay, in about the same order (25 features; 4 would"
        in (pages["en"])
    )
    assert "6.5 of the top 10 stay, but the order changes" in pages["en"]
    assert "next anchor day too few anchor days with enough windows – – 0" in pages["en"]
    assert "65% 55%–67% +0.700 +0.600…+0.720 10" in pages["en"]
    assert "was not examined" in pages["none"]


def test_both_languages_hold_the_same_numbers(pages: dict[str, str]) -> None:
    numbers = {case: sorted(re.findall(r"\d+(?:\.\d+)?", pages[case])) for case in ("en", "ko")}
    assert len(numbers["en"]) > 20 and numbers["en"] == numbers["ko"]
