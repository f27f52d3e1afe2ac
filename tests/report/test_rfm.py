"""What the report says of the moves between the classes of two periods."""

from __future__ import annotations

import html
import re
import runpy
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import RFM, RFM_TRANSITIONS
from tschurn.report.render import environment
from tschurn.report.rfm import CLASSES, draw_rfm, rfm_summary
from tschurn.report.values import plain
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
MIDDLE, LAST = date(2024, 3, 1), date(2024, 4, 30)
LOG = pd.DataFrame({"days": [140]})


def tables(
    moves: tuple[tuple[str, str, int, int, int], ...] = (
        ("best", "best", 6, 6, 3), ("best", "other", 2, 1, 1), ("best", "absent", 1, 0, 0), ("other", "best", 4, 4, 0),
        ("absent", "other", 3, 2, 0),
    ),
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """(from, to, users, of them scored, of them in the priority group)."""
    pairs = [(a, b) for a, b, n, *_ in moves for _ in range(n)]
    parts = []
    for period, last in ((1, MIDDLE), (2, LAST)):
        part = pd.DataFrame({"period": period, "user_id": range(len(pairs)), "class": [p[period - 1] for p in pairs]})
        parts.append(part.assign(first_day=last - timedelta(days=59), last_day=last))
    rfm = pd.concat(parts, ignore_index=True).reindex(columns=list(RFM.columns))
    found = {(a, b): numbers for a, b, *numbers in moves}
    rows = []
    for a, b in [(a, b) for a in CLASSES for b in CLASSES][:-1]:
        n, scored, group = found.get((a, b), (0, 0, 0))
        of_class = sum(m[2] for m in moves if m[0] == a)
        rows.append(
            (a, b, n, n / of_class if of_class else None, n / len(pairs), scored, group / scored if scored else None)
        )
    moved = pd.DataFrame(rows, columns=list(RFM_TRANSITIONS.columns)).astype({"priority": "float64"})
    RFM.check(rfm)
    RFM_TRANSITIONS.check(moved)
    return {"rfm": rfm, "rfm_transitions": moved, "log_summary": LOG}


def shown(found: dict[str, pd.DataFrame], language: str = "en", **sections: dict) -> tuple[str, dict]:
    experiment, texts = made["experiment"](language=language, **sections), Texts.load(language)
    summary = plain(rfm_summary(found, experiment))
    figures = draw_rfm(summary, texts)
    page = environment().get_template("rfm.html.j2").render(s={"rfm": summary}, t=texts, figures=figures)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))), figures


def test_the_rule_and_who_fell_are_told() -> None:
    text, _ = shown(tables(), rfm={"days": 60, "weights": (0.06, 0.04, 0.1), "cuts": 4})
    assert "Two periods of 60 days." in text and "into 4 bins" in text and "value (sticker value)" in text
    assert "with the weights 30%, 20% and 50%" in text
    assert "Of the 9 users who were best in the first period, 3 (33.3%) are other or absent in the second." in text


def test_the_moves_of_the_priority_group_are_told_largest_first() -> None:
    text, _ = shown(tables())
    told = (
        "{} of the 4 users of the priority group ({}) were best in the first period and {} in the second: {} of the {}"
    )
    first, second = told.format(3, "75%", "best", "50%", 6), told.format(1, "25%", "other", "100%", 1)
    assert text.index(first) < text.index(second) and text.count("users of the priority group") == 2
    text, _ = shown(tables((("other", "other", 5, 3, 0),)))
    assert "Nobody of the priority group was active in these periods." in text and "who were best" not in text


def test_the_matrix_and_the_figure_hold_every_move() -> None:
    text, figures = shown(tables())
    assert "best 9 6 66.7% priority 50% – – 2 22.2% priority 100% 1 11.1% priority –" in text
    sankey = figures["rfm"].data[0]
    assert sum(sankey.link.value) == 16 and len(sankey.link.value) == 5
    labels = [sankey.node.label[i] for i in sankey.link.source], [sankey.node.label[i] for i in sankey.link.target]
    assert (labels[0][1], labels[1][1], sankey.link.value[1]) == ("best 9", "other 5", 2)
    assert sankey.link.customdata[0].endswith("of those scored, 50.0% are in the priority group now")


def test_bars_of_a_side_do_not_overlap_and_keep_their_order() -> None:
    sankey = shown(tables())[1]["rfm"].data[0]
    left = [i for i, x in enumerate(sankey.node.x) if x < 0.5]
    assert [sankey.node.label[i] for i in left] == ["best 9", "other 4", "absent 3"]
    sizes = np.array([9, 4, 3]) / 16 * (1 - 2 * 0.03)
    middles = [sankey.node.y[i] for i in left]
    np.testing.assert_allclose(np.diff(middles), (sizes[1:] + sizes[:-1]) / 2 + 0.03)


@pytest.mark.parametrize(
    ("days", "section", "told"),
    [(13, {}, "the log has 13 days"), (140, {"days": 71}, "two periods of 71 days do not fit"),
     (140, {}, "nobody was active in the last two periods of 70 days")],
)  # fmt: skip
def test_no_classes_have_a_reason(days: int, section: dict, told: str) -> None:
    text, figures = shown({"log_summary": pd.DataFrame({"days": [days]})}, rfm=section)
    assert told in text and figures == {}


def test_a_log_without_stickers_counts_own_acts_and_both_languages_agree() -> None:
    experiment = made["experiment"](sticker=False)
    assert rfm_summary(tables(), experiment)["value"] == "own"
    numbers = {language: sorted(re.findall(r"\d+", shown(tables(), language)[0])) for language in ("en", "ko")}
    assert len(numbers["en"]) > 20 and numbers["en"] == numbers["ko"]
