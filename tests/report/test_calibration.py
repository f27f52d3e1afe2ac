"""Calibration in the report: figures against plain counts, and what the page says of them in both languages."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tschurn.report.calibration import joint_figure, reliability_figure
from tschurn.report.figures import draw
from tschurn.report.render import content
from tschurn.report.summary import summarise
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
TABLES = made["tables"]()
OWN = {"targets": {"sticker": {"events": ["gift"], "side": "own"}}}


def summed(tables: dict) -> dict:
    return summarise(tables, [], made["experiment"](), made["manifest"]())


def said(tables: dict, language: str = "en", **sections: dict) -> tuple[dict, str]:
    """The summary and the page."""
    summary = summarise(tables, [], made["experiment"](language, **sections), made["manifest"]())
    texts = Texts.load(language)
    return summary, content(summary, draw(tables, summary, texts), texts)


@pytest.fixture(scope="module", params=["en", "ko"])
def report(request: pytest.FixtureRequest) -> tuple[str, dict, str]:
    """language, summary, page"""
    return request.param, *said(TABLES, request.param)


def block(html: str, after: str, before: str) -> str:
    return re.sub(r"\s+", " ", html.partition(after)[2].partition(before)[0])


def test_the_methods_and_the_intervals_of_the_used_model() -> None:
    tables = TABLES | {"reliability": TABLES["reliability"].copy()}
    first = tables["reliability"]["bin"] == 0
    tables["reliability"].loc[first, ["p_low", "p_high"]] = [0.9, 0.95]  # far from what came true there
    tables["reliability"].loc[first, "windows"] = 320
    found = summed(tables)["calibration"]
    for target in ("churn", "sticker"):
        about = found[target]
        assert [one["method"] for one in about["tried"]] == ["beta", "platt", "isotonic"]  # by log loss
        assert [one["method"] for one in about["tried"] if one["chosen"]] == ["platt"]
        assert about["width"] == pytest.approx((320 * 0.05 + 9 * 160 * 0.2) / (320 + 9 * 160))
        assert (about["met"], about["bins"]) == (9, 10)


def test_the_page_says_how_it_was_chosen_and_what_the_interval_is(report: tuple[str, dict, str]) -> None:
    language, summary, html = report
    texts = Texts.load(language)
    text = block(html, 'id="calibration"', 'id="figure-reliability-sticker"')
    chosen = block(text, '<tr class="used"><th scope="row">', "</tr>")
    assert chosen.startswith(str(texts.name("calibrations", "platt"))) and "0.497" in chosen.replace("0.498", "0.497")
    about = summary["calibration"]["churn"]
    for words in (
        texts("calibration.interval", width=f"{about['width']:.3f}", level="95%"),
        texts("calibration.met", met=about["met"], bins=10),
        texts("calibration.interval_limits"),
    ):
        assert re.sub(r"\s+", " ", str(words)) in text
    brier = block(text, '<table class="brier">', "</table>")
    assert brier.count("<tr") == 1 + len(summary["targets"]["churn"]["models"])
    cells = re.findall(r'<td class="n">([^<]*)</td>', brier)[:5]
    assert cells == ["0.150", "0.001", "0.070", "0.220", "\N{MINUS SIGN}0.001"]


def test_nothing_to_choose_is_said() -> None:
    alone = TABLES["calibration_choice"].query("chosen").assign(log_loss=None, ece=None)
    _, html = said(TABLES | {"calibration_choice": alone})
    assert str(Texts.load("en")("calibration.choice_none")) in html
    assert str(Texts.load("en")("calibration.choice_caption")) not in html


def test_the_joint_rate_is_counted() -> None:
    found = summed(TABLES)["joint"]
    rows = TABLES["joint"]
    assert (found["higher"], found["lower"], found["windows"], found["exclusive"]) == (3, 0, 1560, False)
    assert found["product"] == pytest.approx(rows["product"].mean()) and found["both"] == pytest.approx(
        rows["both"].mean()
    )
    unequal = rows.assign(windows=[1000] + [1] * 9, high=rows["product"] * 0.9)
    found = summed(TABLES | {"joint": unequal})["joint"]
    assert found["lower"] == 10
    assert found["both"] == pytest.approx((1000 * rows["both"][0] + rows["both"][1:].sum()) / 1009)


def test_the_page_says_whether_both_can_happen(report: tuple[str, dict, str]) -> None:
    language, _, html = report
    texts = Texts.load(language)
    exclusive = re.sub(r"\s+", " ", str(texts("joint.exclusive")))
    text = block(html, 'id="joint"', "</section>")
    assert exclusive not in text and 'id="figure-joint"' in text and "19.2%" in text and "13.8%" in text
    summary, html = said(TABLES | {"joint": TABLES["joint"].iloc[:0]}, language, **OWN)
    text = block(html, 'id="joint"', "</section>")
    assert summary["joint"]["exclusive"] and exclusive in text and 'id="figure-joint"' not in text
    _, html = said(made["tables"](sticker=False), language, sticker=False)
    assert 'id="joint"' not in html


def test_the_list_shows_each_interval_beneath_its_probability(report: tuple[str, dict, str]) -> None:
    *_, html = report
    first = TABLES["priority"].iloc[0]
    text = block(html, '<table class="people">', "</table>")
    for p in ("p_churn", "p_sticker"):
        cell = rf"{first[p]:.3f}\s*<small>{first[p + '_low']:.3f}–{first[p + '_high']:.3f}</small>"
        assert re.search(cell, text), cell


def test_figures_hold_the_rows_and_both_intervals() -> None:
    texts = Texts.load("en")
    rows = summed(TABLES)["targets"]["churn"]["reliability"]
    points = reliability_figure(rows, texts).data[1]
    assert list(points.x) == [row["p_mean"] for row in rows] and list(points.y) == [row["y_mean"] for row in rows]
    for error, at, low, high in (
        (points.error_x, "p_mean", "p_low", "p_high"),
        (points.error_y, "y_mean", "low", "high"),
    ):
        assert list(error.array) == pytest.approx([max(0, row[high] - row[at]) for row in rows])
        assert list(error.arrayminus) == pytest.approx([max(0, row[at] - row[low]) for row in rows])
    both = summed(TABLES)["joint"]["rows"]
    points = joint_figure(both, texts).data[1]
    assert list(points.x) == [row["product"] for row in both] and list(points.y) == [row["both"] for row in both]
    assert not any(points.error_x.array) and all(points.error_y.array)
    assert joint_figure([], texts) is None


def test_no_interval_of_a_probability_is_cut_off() -> None:
    rows = [{"p_mean": p, "y_mean": p, "low": p - 0.02, "high": p + 0.02, "p_low": p - 0.1, "p_high": p + 0.15,
             "windows": 100} for p in (0.2, 0.5)]  # fmt: skip
    figure = reliability_figure(rows, Texts.load("en"))
    assert figure.layout.xaxis.range[1] == figure.layout.yaxis.range[1] == pytest.approx(1.08 * 0.65)


def test_a_named_model_is_not_said_to_be_chosen() -> None:
    for models, chosen in (({}, True), ({"use": "gru_bilstm"}, False)):
        _, html = said(TABLES, models=models)
        assert ("is chosen on validation" in html, "was named in the experiment file" in html) == (chosen, not chosen)
        assert "was chosen on validation" not in html
