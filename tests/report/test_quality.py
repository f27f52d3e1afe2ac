"""Findings → their words: nothing missing in any language, every figure said, hostile names harmless."""

from __future__ import annotations

import json
import re
import runpy
from datetime import date
from pathlib import Path
from string import Formatter

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import PLATFORM_DAYS, QUALITY
from tschurn.events.quality_finding import CHECKS
from tschurn.report import quality, render
from tschurn.report.summary import summarise
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
LANGUAGES = {language: Texts.load(language) for language in ("en", "ko")}
WORDS = {"subject", "first_day", "last_day", "period", "days", "rows", "percent_share", "value", "percent", "signed"}


def finding(check: str, severity: str = "warning", **columns: object) -> dict:
    empty = dict.fromkeys(QUALITY.columns)
    return empty | {"check": check, "severity": severity} | columns


def table(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(QUALITY.columns)).astype({"rows": "Int64", "share": float, "value": float})


def summary_of(quality_table: pd.DataFrame | None, days: pd.DataFrame | None = None, language: str = "en") -> dict:
    tables = {name: frame for name, frame in (("quality", quality_table), ("platform_days", days)) if frame is not None}
    return quality.quality_summary(tables, LANGUAGES[language])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("part", ("title", *quality.PARTS))
def test_every_check_has_words(language, part):
    assert set(LANGUAGES[language].section(f"quality_{part}")) == set(CHECKS)
    used = {
        name
        for text in LANGUAGES[language].section(f"quality_{part}").values()
        for _, name, _, _ in Formatter().parse(text)
        if name
    }
    assert used <= WORDS


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_says_its_figures_in_both_languages(check):
    """What a sentence says is what its row holds; an action never speaks of one finding where a card holds many."""
    row = finding(check, subject="THE SUBJECT", first_day=date(2024, 2, 10), last_day=date(2024, 2, 13), rows=98_765,
                  share=0.123, value=4_321.0)  # fmt: skip
    shown = {"subject": "THE SUBJECT", "first_day": "2024-02-10", "last_day": "2024-02-13", "rows": "98,765",
             "percent_share": "12.3%", "value": "4,321", "days": "4", "period": "2024-02-10 – 2024-02-13",
             "percent": "432100%", "signed": "+4321"}  # fmt: skip
    for language, texts in LANGUAGES.items():
        found = summary_of(table(row), language=language)["findings"][0]
        for part in quality.PARTS:
            for _, name, _, _ in Formatter().parse(texts.words[f"quality_{part}.{check}"]):
                assert not name or shown[name] in found[part], (language, part, name)
            assert not re.search(r"[<>{}]", found[part])


def test_a_period_of_one_day_is_one_day():
    one = finding("low_days", first_day=date(2024, 2, 10), last_day=date(2024, 2, 10), rows=5, value=0.15)
    text = summary_of(table(one))["findings"][0]["text"]
    assert text.startswith("2024-02-10: 5 rows, 15% of")


def test_an_hour_back_has_a_true_minus():
    text = summary_of(table(finding("clock_jump", first_day=date(2024, 2, 10), value=-1.0)))["findings"][0]["text"]
    assert "\N{MINUS SIGN}1 hours" in text


def test_summary_has_counts_findings_and_flagged_days():
    tables = made["tables"]()
    found = summarise(tables, [], made["experiment"](), made["manifest"]())["quality"]
    assert found["counts"] == tables["quality"]["severity"].value_counts().to_dict()
    assert len(found["findings"]) == len(tables["quality"])
    assert set(found["findings"][0]) == {*QUALITY.columns, "text", "meaning", "action"}
    flagged = tables["platform_days"].query("flag == flag")
    assert [(d["day"], d["flag"]) for d in found["flagged_days"]] == [
        (str(d), f) for d, f in zip(flagged["day"], flagged["flag"], strict=True)
    ]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_gravest_come_first_and_equal_ones_keep_their_order():
    rows = [finding("span", "info"), finding("filter", "note", subject="b"), finding("filter", "note", subject="a"),
            finding("future")]  # fmt: skip
    found = summary_of(table(*rows))["findings"]
    assert [(f["check"], f["subject"]) for f in found] == [
        ("future", None), ("filter", "b"), ("filter", "a"), ("span", None)
    ]  # fmt: skip


def test_names_of_filters_are_spoken_and_unknown_ones_stay_data():
    known, unknown = finding("filter", "info", subject="excluded"), finding("filter", "info", subject="<i>x</i>_y")
    texts = [f["text"] for f in summary_of(table(known, unknown))["findings"]]
    assert "listed in the file of ids to exclude" in texts[0]
    assert "<i>x</i> y" in texts[1]
    other = summary_of(table(finding("tireless", subject="user_7_a", value=9.0, rows=3)))["findings"][0]
    assert other["text"].startswith("user_7_a: ")
    html = quality.cards([f for f in summary_of(table(unknown))["findings"]], LANGUAGES["en"])[0]["text"][0]
    assert "&lt;i&gt;x&lt;/i&gt; y" in html


def test_findings_of_one_check_share_a_card_and_say_their_meaning_once():
    bots = [finding("tireless", "note", subject=f"<b>{i}</b>", value=9.0, rows=3) for i in range(7)]
    grave = finding("tireless", "warning", subject="w", value=9.0, rows=3)
    cards = quality.cards(summary_of(table(grave, *bots))["findings"], LANGUAGES["en"])
    assert [(c["check"], c["severity"], len(c["text"])) for c in cards] == [
        ("tireless", "warning", 1), ("tireless", "note", 7)
    ]  # fmt: skip
    assert [len(c[part]) for c in cards for part in ("meaning", "action")] == [1, 1, 1, 1]
    assert "<b>&lt;b&gt;3&lt;/b&gt;</b>" in cards[1]["text"][3]


def html_of(**tables: pd.DataFrame) -> str:
    given = made["tables"]() | tables
    summary = summarise(given, [], made["experiment"](), made["manifest"]())
    page = render.content(summary, {}, LANGUAGES["en"])
    return page[page.index('<section id="quality">') : page.index('<section id="explore">')]


def test_the_section_shows_some_and_unfolds_the_rest():
    html = html_of()
    assert html.count("<article") == 8
    assert html.count('class="finding warning"') == 3
    shown, _, unfolded = html.partition("Faster than a hand")[2].partition("</article>")[0].partition("<details>")
    assert (shown.count("within one hour"), unfolded.count("within one hour")) == (render.SENTENCES_SHOWN, 2)
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>" not in html
    assert "notes: 11." in html


def test_a_clean_log_and_a_run_without_findings_say_so():
    clean = html_of(quality=table(finding("span", "info", rows=5, value=3.0)))
    assert "no warning, no note" in clean and "<article" not in clean and "3 days" in clean
    assert "no quality report" in html_of(quality=table())


def test_the_first_page_tells_of_warnings_only():
    for severity, told in (("warning", True), ("note", False)):
        tables = made["tables"]() | {"quality": table(finding("filter", severity, subject="x"))}
        summary = summarise(tables, [], made["experiment"](), made["manifest"]())
        assert ("1 warning(s)" in render.content(summary, {}, LANGUAGES["en"])) is told


def platform_days(flags: dict[int, str], n: int = 60, start: str = "2024-01-01") -> pd.DataFrame:
    days = pd.DataFrame({"day": np.arange(np.datetime64(start), np.datetime64(start) + n).astype(object)})
    days = days.assign(rows=100, own_rows=50, active_users=9, expected=100.0, flag=None)
    for place, flag in flags.items():
        days.loc[place, ["rows", "flag"]] = [0, flag]
    PLATFORM_DAYS.check(days)
    return days


def test_the_figure_shades_runs_of_flagged_days():
    days = platform_days({10: "silent", 11: "low", 30: "silent", 59: "low"})
    figure = quality.days_figure({"platform_days": days}, summary_of(None, days), LANGUAGES["en"])
    bands = [(s.x0[:13], s.x1[:13]) for s in figure.layout.shapes]
    assert bands == [("2024-01-10 12", "2024-01-12 12"), ("2024-01-30 12", "2024-01-31 12"),
                     ("2024-02-28 12", "2024-02-29 12")]  # fmt: skip
    assert list(figure.data[1].y) == list(days["rows"])
    assert list(figure.data[0].y) == list(days["expected"])


def test_the_figure_draws_no_years_of_emptiness():
    days = platform_days({})
    rows = [
        finding("implausible_start", first_day=date(2024, 1, 1), last_day=date(2024, 1, 11), rows=1),
        finding("future", first_day=date(2024, 2, 20), last_day=date(2024, 2, 29), rows=1),
        finding("implausible_end", first_day=date(2024, 2, 10), last_day=date(2024, 2, 19), rows=1),
    ]
    figure = quality.days_figure({"platform_days": days}, summary_of(table(*rows), days), LANGUAGES["en"])
    assert (figure.data[0].x[0], figure.data[0].x[-1]) == ("2024-01-11", "2024-02-10")
    assert quality.days_figure({}, summary_of(None), LANGUAGES["en"]) is None
