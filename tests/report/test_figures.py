"""Tables and summary → figures: what comes from the log is harmless in them, and nothing is invented."""

from __future__ import annotations

import html
import json
import re
import runpy
from pathlib import Path

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tschurn.report import figures as fig
from tschurn.report.render import compact
from tschurn.report.summary import summarise
from tschurn.report.theme import LINE_WIDTH, safe
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
TEXTS = Texts.load("en")


@pytest.fixture(scope="module")
def tables():
    return made["tables"]()


@pytest.fixture(scope="module")
def drawn(tables):
    return fig.draw(tables, summarise(tables, [], made["experiment"](simulated=True), made["manifest"]()), TEXTS)


def strings(value):
    """All strings of a figure."""
    if isinstance(value, dict):
        for v in value.values():
            yield from strings(v)
    elif isinstance(value, list | tuple):
        for v in value:
            yield from strings(v)
    elif isinstance(value, str):
        yield value


@given(st.text())
def test_safe_holds_no_tag_and_no_template(name):
    text = safe(name)
    assert not re.search(r"[<>]", text.replace("<br>", ""))
    assert text.count("<br>") <= 1
    assert all(c.isprintable() for c in text)


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=LINE_WIDTH))
def test_safe_keeps_a_short_name_as_it_is(name):
    assert html.unescape(safe(name)) == name or "&" in name  # what looks like an entity is one after a round trip
    assert safe(name).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == name


def test_safe_breaks_at_spaces_into_even_lines():
    assert safe("지금까지 스티커가 있던 날 수") == "지금까지 스티커가<br>있던 날 수"
    assert safe("days since the last own event") == "days since the last<br>own event"


@pytest.mark.parametrize("lines", [1, 2, 5])
def test_safe_shortens_a_long_name_in_the_middle(lines):
    for name in ("a" * 500, "가" * 500, "word " * 100):
        rows = safe(f"START{name}END", lines).split("<br>")
        assert len(rows) <= lines
        assert all(sum(2 if ord(c) > 0x2E80 else 1 for c in row) <= LINE_WIDTH for row in rows)
        assert rows[0].startswith("START")
        assert rows[-1].endswith("END")
        assert "…" in "".join(rows)


def test_there_is_a_figure_for_everything(drawn):
    per_target = ("experiments", "trials", "ap", "reliability", "anchors", "importance", "bees", "dependence")
    expected = {f"{name}-{target}" for name in per_target for target in ("churn", "sticker")}
    expected |= {"clusters", "shared", "follows", "follows-difference", "paths", "priorities", "plane"}
    expected |= {"effects-others", "effects-other_churners"}
    expected |= {"kinds", "cohorts-classic", "cohorts-rolling", "survival", "census", "flows", "decile-1", "decile-7"}
    expected |= {f"season-{s}" for s in ("active_users", "own_events", "received_events", "sticker_events")}
    expected |= {"ceiling", "cause-shares", "precision", "rhythm-own", "rhythm-received", "activity", "engagement"}
    assert expected <= set(drawn)
    assert all(isinstance(figure, go.Figure) for figure in drawn.values())


def test_no_figure_holds_a_tag_of_the_log(drawn):
    ours = re.compile(r"</?(b|i|br|extra)/?>")
    for name, figure in drawn.items():
        for text in strings(json.loads(compact(figure.to_plotly_json()))):
            assert not re.search(r"[<>]", ours.sub("", text)), (name, text)
            assert "<b>bold" not in text
        for trace in figure.data:  # names enter as data, never as a template
            template = getattr(trace, "hovertemplate", None) or ""
            assert "alert" not in template
            assert "{x} " not in template


def test_every_axis_has_a_title_or_names(drawn):
    for name, figure in drawn.items():
        if name == "paths":
            continue
        layout = figure.to_plotly_json()["layout"]
        for axis in [k for k in layout if re.match("[xy]axis", k)]:
            shared_above = name.startswith("season") and axis in ("xaxis", "xaxis2", "xaxis3")
            inner = layout[axis].get("showticklabels") is False  # its numbers and title stand at the outer one
            days = ("engagement", "quality-days", "kinds", "census", "flows", "user-timeline")
            outer_time = name in days and axis.startswith("x")  # days need no title
            said = "title" in layout[axis] or "ticktext" in layout[axis]
            multiple = name == "kinds" and "title" in layout["yaxis"]  # as the first of its row
            assert said or shared_above or inner or outer_time or multiple, (name, axis)


def test_variables_of_the_score_have_names(drawn):
    names = drawn["effects-others"].layout.yaxis.ticktext
    assert "probability of churn" in names
    assert "p_churn" not in names


def test_nothing_to_draw_is_no_figure():
    assert fig.draw({}, summarise({}, [], made["experiment"](), {}), TEXTS) == {}
