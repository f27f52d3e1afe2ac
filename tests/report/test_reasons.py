"""What the report says of reasons: their weight and whether they hold, beside each user, and who shares which."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pandas as pd
import pytest

from tschurn.report.figures import draw
from tschurn.report.reasons import reasons_summary
from tschurn.report.render import content
from tschurn.report.summary import summarise
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return made["tables"]()


def written(tables: dict[str, pd.DataFrame], language: str = "en", **sections: dict) -> str:
    texts = Texts.load(language)
    summary = summarise(tables, [], made["experiment"](language, **sections), made["manifest"]())
    return content(summary, draw(tables, summary, texts), texts)


def rows_of(html: str, table: str) -> list[str]:
    body = re.search(rf'<table class="{table}">.*?<tbody>(.*?)</tbody>', html, re.S)
    return re.findall(r"<tr.*?</tr>", body[1], re.S)


def test_weights_are_those_of_the_listed_users(tables):
    users = tables["priority"].sort_values("rank")["user_id"].head(3).tolist()
    shown = reasons_summary(tables, users, "en")["shown"]
    assert set(shown) == set(users)
    assert shown[users[0]]["churn"] == {
        "contributions": pytest.approx([0.8, 0.4, 0.8 / 3]), "widths": [100.0, 50.0, 33.3], "reliable": True
    }  # fmt: skip
    assert [shown[u]["sticker"]["reliable"] for u in users] == [True, True, False]


def test_widths_are_beside_the_strongest_of_the_target_in_the_list(tables):
    users = tables["priority"].sort_values("rank")["user_id"].head(2).tolist()
    reasons = tables["reasons"]
    first = (reasons["user_id"] == users[0]) & (reasons["target"] == "churn")
    lower = tables | {"reasons": reasons.assign(contribution=reasons["contribution"].where(~first, 0.2))}
    shown = reasons_summary(lower, users, "en")["shown"]
    assert shown[users[0]]["churn"]["widths"] == [25.0] * 3 and shown[users[1]]["churn"]["widths"][0] == 100
    churn = reasons["target"] == "churn"
    half = tables | {"reasons": reasons.assign(contribution=reasons["contribution"].where(~churn, lambda c: c / 2))}
    shown = reasons_summary(half, users, "en")["shown"][users[0]]
    assert shown["churn"]["contributions"][0] == 0.4
    assert shown["churn"]["widths"] == shown["sticker"]["widths"] == [100.0, 50.0, 33.3]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_reason_stands_with_its_weight_and_an_uncertain_one_says_so(tables, language):
    rows = rows_of(written(tables, language), "people")
    doubt = Texts.load(language)("sharing.unreliable")
    assert len(rows) == 20
    for place, row in enumerate(rows):
        uncertain = place % 4 == 2
        assert row.count(str(doubt)) == row.count("unsure") == (2 if uncertain else 0)
        assert re.findall(r'class="push"[^>]*><i style="--size: ([\d.]+)"></i>([^<]+)<', row) == [
            ("100.0", "+0.800"), ("50.0", "+0.400"), ("33.3", "+0.267")
        ] * 2  # fmt: skip


def test_segments_hold_everybody_and_add_up(tables):
    found = reasons_summary(tables, [], "en")["shared"]
    for target, about in found.items():
        p = tables["priority"][f"p_{target}"]
        assert about["users"] == len(p) and about["expected"] == pytest.approx(p.sum())
        assert about["sharing"] == 170 and about["held"] == pytest.approx(p.iloc[:170].sum())
        assert (about["explained"], about["unreliable"]) == (200, 50)
        assert [len(row["sentences"]) for row in about["rows"]] == [2, 1, 0, 0]
        assert [row["features"] for row in about["rows"]] == [["recency_days"] * 2, ["recency_days"], [], []]
        assert max(row["width"] for row in about["rows"]) == 100
    assert found["churn"]["rows"][0]["sentences"][0].startswith("1: last own event")
    assert reasons_summary(tables, [], "ko")["shared"]["churn"]["rows"][1]["sentences"][0].startswith("1: 마지막")


def test_the_page_shows_each_segment_with_its_numbers(tables):
    html = written(tables)
    rows = rows_of(html, "shared")
    assert len(rows) == 4
    for row, (_, about) in zip(rows, tables["shared_reasons"][:4].iterrows(), strict=True):
        assert f'<td class="n">{about["users"]}<small>' in row
        assert f"{about['p_mean']:.1%}</td>" in row
        most, expected = tables["shared_reasons"]["expected"][:4].max(), about["expected"]
        told = f"{expected:,.0f}" if expected >= 100 else f"{expected:.1f}"
        assert f'<i style="--size: {100 * expected / most:.1f}"></i>{told}<' in row
    assert "Other reasons" in rows[2] and "No reason" in rows[3]
    assert "&lt;img" in rows[0] or "&gt;&lt;" in rows[0]  # what the log says is text, not a tag
    assert html.count('<table class="shared">') == 2


def test_without_reasons_the_page_says_so(tables):
    html = written({k: v for k, v in tables.items() if k not in ("reasons", "shared_reasons")})
    assert str(Texts.load("en")("sharing.empty")) in html
    assert '<table class="shared">' not in html and 'class="push"' not in html
    assert reasons_summary({}, ["a"], "en") == {"shown": {}, "shared": {}}


def test_only_churn_has_one_table():
    churn = {k: v for k, v in made["tables"](sticker=False).items()}
    summary = reasons_summary(churn, [], "en")
    assert set(summary["shared"]) == {"churn"}
