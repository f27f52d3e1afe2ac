"""What the report says of the segments' lives: mixes, spreads and rules, from tables by their contracts."""

from __future__ import annotations

import html
import json
import math
import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import DIVERGENCE, ECDF, RULES
from tschurn.report.profiles import draw_profiles, profiles_summary
from tschurn.report.render import environment
from tschurn.report.rfm import draw_rfm, rfm_summary
from tschurn.report.values import plain
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
HOSTILE = made["HOSTILE"]
FEATURES = pd.DataFrame(
    [("history:rate", "history", "rate", "share of active days", "활동일 비율"),
     ("own:post:count", "daily", "count", f"own {HOSTILE[0]}: count", "본인 post 횟수"),
     ("received:actors", "daily", "actors", "people who acted", "사람 수"),
     ("history:fact:plan=gold", "history", "fact", "plan: gold", "plan: gold")],
    columns=["feature", "kind", "measure", "label_en", "label_ko"],
)  # fmt: skip


def divergence(chance: float = 0.05, kinds: tuple[str, ...] = ("post", HOSTILE[1], "other")) -> pd.DataFrame:
    everybody = np.arange(len(kinds), 0, -1) / sum(range(len(kinds) + 1))
    rows = []
    for segment, power in (("priority", 2.0), ("other_churners", 0.5), ("rest", 1.0)):
        share = everybody**power / (everybody**power).sum()
        for event, p, q in zip(kinds, share, everybody, strict=True):
            rows.append((segment, "own", event, f"own {event}", f"본인 {event}", p, q, p * math.log(p / q), 40, chance))
    table = pd.DataFrame(rows, columns=list(DIVERGENCE.columns)).sort_values("contribution", ascending=False)
    table = table.sort_values("segment", kind="stable", key=lambda s: s.map({"priority": 0, "other_churners": 1}))
    DIVERGENCE.check(table)
    return table.reset_index(drop=True)


def ecdf(last: float = 9.0, ratio: float = 1.0) -> pd.DataFrame:
    rows = []
    for segment, times in (("priority", 2.0), ("rest", 1.0), ("all", 1.0)):
        ends = ("history:rate", "own:post:count")
        rows += [("ratio", *ends, segment, x * ratio * times, x / 4, 80) for x in (1.0, 2.0, 3.0, 4.0)]
        rows += [("value_28", None, None, segment, x, s, 80) for x, s in ((0.0, 0.7), (9.0, 0.99), (last, 1.0))[:3]]
    table = pd.DataFrame(rows, columns=list(ECDF.columns)).drop_duplicates(["variable", "segment", "x"], keep="last")
    ECDF.check(table)
    return table


CONDITIONS = [
    [["history:rate", ">", 0.128], ["history:rate", "<=", 0.5], ["own:post:count", "<=", 2]],
    [["own:post:count", ">", 2], ["own:post:count", "<=", 6], ["history:fact:plan=gold", "=", 1]],
    [["received:actors", ">", 1234], ["history:rate", "<=", 0.128], ["history:fact:plan=gold", "=", 0]],
    [["history:rate", ">", 0.5], ["own:post:count", "=", 0]],
]
COUNTS = [(40, 50), (10, 20), (3, 30), (0, 300)]


def rules(auc: float | None = 0.83, conditions: list[list] = CONDITIONS, counts: list = COUNTS) -> pd.DataFrame:
    rows = [("priority", i, json.dumps(c), n, k, k / n, max(0.0, k / n - 0.1), min(1.0, k / n + 0.1), auc)
            for i, (c, (k, n)) in enumerate(zip(conditions, counts, strict=True))]  # fmt: skip
    table = pd.DataFrame(rows, columns=list(RULES.columns)).astype({"leaf": "int32"})
    RULES.check(table)
    return table


def all_tables(**other: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {"features": FEATURES, "divergence": divergence(), "ecdf": ecdf(), "rules": rules()} | other


def shown(tables: dict[str, pd.DataFrame], language: str = "en") -> tuple[str, dict]:
    """→ the part of the page as plain text, and its figures."""
    experiment, texts = made["experiment"](language=language), Texts.load(language)
    summary = plain({"profiles": profiles_summary(tables, experiment), "rfm": rfm_summary(tables, experiment)})
    json.dumps(summary, allow_nan=False)
    figures = draw_profiles(tables, summary["profiles"], texts) | draw_rfm(summary["rfm"], texts)
    figures = {name: figure for name, figure in figures.items() if figure is not None}
    page = environment().get_template("profiles.html.j2").render(s=summary, t=texts, figures=figures)
    assert not re.search(r"<(script|img)", page)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))).replace(" ,", ","), figures


def test_a_mix_is_told_by_its_divergence_and_chance() -> None:
    about = profiles_summary(all_tables(), made["experiment"]())["mixes"]
    assert list(about) == ["own"] and about["own"]["kinds"] == 3
    priority, rest = (about["own"]["segments"][s] for s in ("priority", "rest"))
    assert priority["code"] == "beyond" and priority["more"]["event"] == "post" and priority["divergence"] > 0.05
    assert rest["code"] == "within" and rest["divergence"] == 0
    text, figures = shown(all_tables(divergence=divergence(chance=0.09)))
    assert "Priority group, own events (40 users): the mix differs by no more than that of a random group." in text
    text, figures = shown(all_tables())
    assert "More post: 64.3% of the events, against 50%." in text and "below 0.05." in text
    assert "The rest" not in text and [bar.name for bar in figures["mix-own"].data] == [
        "Priority group",
        "Other churners",
    ]
    bars = figures["mix-own"].data[0]
    expected = [row["contribution"] for row in priority["rows"] if row["event"] in about["own"]["shown"]]
    assert list(bars.x) == pytest.approx(expected, rel=1e-4) and max(bars.x) == bars.x[0]
    assert "&lt;img" in figures["mix-own"].layout.yaxis.ticktext[1]


def test_one_kind_of_event_has_no_mix() -> None:
    text, figures = shown(all_tables(divergence=divergence(kinds=("post",))))
    assert "There is no mix of events to compare" in text and "mix-own" not in figures


def test_only_the_kinds_that_set_apart_are_drawn() -> None:
    kinds = tuple(f"kind {i:02d}" for i in range(30))
    table = divergence(kinds=kinds)
    _, figures = shown(all_tables(divergence=table))
    largest = table.assign(size=table["contribution"].abs()).groupby("event")["size"].max().nlargest(8)
    assert set(figures["mix-own"].layout.yaxis.ticktext) == set(largest.index)


def test_a_spread_is_told_by_its_halves() -> None:
    text, figures = shown(all_tables())
    assert f"share of active days, divided by own {HOSTILE[0]}: count" in text
    assert "Half of the priority group have at most 4, half of everybody at most 2 (80 users)." in text
    assert "Half of the priority group have at most 0, half of everybody at most 0 (80 users)." in text
    line = next(trace for trace in figures["spread-ratio"].data if trace.name == "Priority group")
    assert line.line.shape == "hv"
    for x, y in ((1.99, 0), (2, 0.25), (5.9, 0.5), (8, 1)):  # the steps, read off the curve
        assert line.y[np.searchsorted(line.x, x, side="right") - 1] == y


def test_a_few_far_off_do_not_press_the_others_to_the_edge() -> None:
    for last, until in ((9.5, 9.5), (1e6, 9.0)):
        text, figures = shown(all_tables(ecdf=ecdf(last)))
        assert f"Drawn up to {until:g}." in text
        assert figures["spread-value_28"].layout.xaxis.range[1] == pytest.approx(1.02 * until)


def test_equal_values_are_told_not_drawn() -> None:
    table = ecdf()
    table = table[(table["variable"] == "value_28") & (table["x"] == 0)].assign(share=1.0)
    text, figures = shown(all_tables(ecdf=table))
    assert "All users have the same value, 0" in text and "spread-value_28" not in figures


def test_rules_are_sentences_with_whole_numbers_where_values_are_whole() -> None:
    text, _ = shown(all_tables())
    name = f"own {HOSTILE[0]}: count, last 7 days"
    for sentence in (
        f"IF share of active days is above 0.128 and at most 0.5 AND {name} is at most 2, THEN Priority group with "
        "probability 80% (70% to 90%; 40 of 50 users)",
        f"IF {name} is 3 to 6 AND plan: gold : yes, THEN Priority group with probability 50% (40% to 60%; 10 of 20",
        "IF people who acted, day by day summed, last 7 days is 1,235 or more AND share of active days is at most "
        "0.128 AND plan: gold : no, THEN Priority group with probability 10% (0% to 20%; 3 of 30 users)",
        f"IF share of active days is above 0.5 AND {name} is 0, THEN",
    ):
        assert sentence in text
    assert text.index("40 of 50") < text.index("10 of 20") < text.index("The other rules of the tree (2)")
    assert text.index("The other rules of the tree (2)") < text.index("3 of 30") < text.index("0 of 300")
    assert "53 of 400 scored users (13.2%) are in this group." in text and "an AUC of 0.83." in text


def test_rules_in_korean() -> None:
    text, _ = shown(all_tables(), "ko")
    told = "만약 활동일 비율 0.128 초과 0.5 이하 그리고 본인 post 횟수, 최근 7일 2 이하 이면 관리우선대상군일 확률 80%"
    assert f"{told} (70%~90%, 50명 중 40명)" in text
    assert "사람 수, 일별 합, 최근 7일 1,235 이상" in text and "본인 post 횟수, 최근 7일 값이 0" in text


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (rules(auc=0.55), "reaches an AUC of 0.55 only"),
        (rules(auc=None), "too few to check rules on users they were not made from"),
        (rules(0.5, [[]], [(53, 400)]), "finds no rule under which clearly more of the users are"),
        (rules().iloc[:0], "No rules: nobody is in these groups, or everybody."),
    ],
)  # fmt: skip
def test_rules_that_are_none_are_told_as_such(table: pd.DataFrame, told: str) -> None:
    text, _ = shown(all_tables(rules=table))
    assert told in text
    assert ("IF" in text) == (len(table) > 1)


def test_a_run_without_these_tables_says_so() -> None:
    for language in ("en", "ko"):
        text, figures = shown({}, language)
        assert figures == {} and len(text) > 100


def test_both_languages_hold_the_same_numbers() -> None:
    numbers = {
        language: sorted(re.findall(r"\d+[.,]\d+", shown(all_tables(), language)[0])) for language in ("en", "ko")
    }
    assert len(numbers["en"]) > 10 and numbers["en"] == numbers["ko"]
