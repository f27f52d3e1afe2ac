"""What the report says and draws of the process map: numbers as in the tables, noise in grey, names harmless."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn.report import process
from tschurn.report.process import draw_process, duration, process_summary
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
TEXTS = Texts.load("en")
NAMES = ("process_summary", "directly_follows", "follows_difference", "variants", "paths", "process_model")


@pytest.fixture
def tables():
    return {name: made["tables"]()[name] for name in NAMES}


@pytest.fixture
def drawn(tables):
    return draw_process(tables, process_summary(tables), TEXTS)


def place(figure, source, target):
    return list(figure.layout.yaxis.ticktext).index(source), list(figure.layout.xaxis.ticktext).index(target)


def test_shares_are_those_of_a_slow_count(tables, drawn):
    graph = tables["directly_follows"].query("group == 'all'")
    row, column = place(drawn["follows"], "post", "gift")
    out = dict(
        zip(graph.loc[graph["source"] == "post", "target"], graph.loc[graph["source"] == "post", "n"], strict=True)
    )
    trace = drawn["follows"].data[0]
    assert trace.z[row][column] == pytest.approx(out["gift"] / sum(out.values()), rel=1e-4)
    assert trace.customdata[row][column] == out["gift"]
    assert all(sum(v or 0 for v in shares) <= 1 + 1e-4 for shares in trace.z)


def test_differences_in_points_and_what_is_noise_in_grey(tables, drawn):
    figure = drawn["follows-difference"]
    standing, noise = figure.data
    for source, target in (("post", "gift"), ("gift", "post"), ("comment", "comment")):
        its = tables["follows_difference"].query("source == @source and target == @target").iloc[0]
        row, column = place(figure, source, target)
        values = standing.z[row][column], noise.z[row][column]
        kept, other = values if its["stands"] else values[::-1]
        assert kept == pytest.approx(100 * its["difference"], rel=1e-4) and other is None
        assert standing.customdata[row][column][2] == pytest.approx(100 * its["low"], rel=1e-4)
    largest = max(abs(v) for row in standing.z for v in row if v is not None)
    assert standing.zmax == -standing.zmin == pytest.approx(largest, rel=1e-4)
    assert len({colour for _, colour in noise.colorscale}) == 1
    assert place(figure, "<i>start</i>", "<i>end</i>")


def test_paths_carry_counts_and_both_shares(tables, drawn):
    link, node = drawn["paths"].data[0].link, drawn["paths"].data[0].node
    assert sum(link.value) == tables["paths"]["n"].nlargest(process.LINKS_SHOWN).sum()
    row = tables["paths"].nlargest(1, "n").iloc[0]
    told = link.customdata[int(np.argmax(link.value))]
    for part in (f"{row['n']:,} cases", f"{row['users']:,} users", f"{row['share_of_start']:.1%} of the start",
                 f"{row['share_of_previous']:.1%} of the step before", "25.0% of those"):  # fmt: skip
        assert part in told
    table = tables["paths"]
    share = table.loc[(table["step"] == 1) & (table["source"] == "post"), "share_of_start"].sum()
    assert f"post {share:.0%}" in node.label
    later = table.loc[(table["step"] == 1) & (table["target"] == "post"), "share_of_start"].sum()
    assert f"post {later:.0%}" in node.label


def test_day_states_have_no_churned_share_and_are_named_in_the_language(tables):
    tables["process_summary"]["case_kind"] = "day_states"
    tables["directly_follows"] = tables["directly_follows"].head(1).assign(source="quiet", target="dormant")
    tables["paths"] = tables["paths"].head(1).assign(source="quiet", target="dormant", churned_share=np.nan)
    figures = draw_process(tables, process_summary(tables), Texts.load("ko"))
    assert "휴면" in figures["follows"].layout.xaxis.ticktext
    assert "이탈" not in figures["paths"].data[0].link.customdata[0]
    tables["process_summary"]["case_kind"] = "session"
    assert "dormant" in draw_process(tables, process_summary(tables), TEXTS)["follows"].layout.xaxis.ticktext


def test_the_summary_tells_the_largest_differences_that_stand(tables):
    about = process_summary(tables)
    table = tables["follows_difference"]
    standing = table[table["stands"]]
    expected = standing["difference"].abs().nlargest(process.DIFFERENCES_SHOWN)
    assert [abs(row["difference"]) for row in about["differences"]] == list(expected)
    assert (about["standing"], about["compared"]) == (len(standing), len(table))
    assert about["sampled"] == 0.125


def test_slow_steps_are_the_slowest_of_the_frequent(tables):
    about = process_summary(tables)
    graph = tables["directly_follows"].query("group == 'all'").dropna(subset="median_seconds")
    slow = graph.nlargest(process.FREQUENT, "n").nlargest(process.SLOW_SHOWN, "median_seconds")
    assert [(r["source"], r["target"]) for r in about["slow"]] == list(zip(slow["source"], slow["target"], strict=True))
    assert about["slow"][0]["median"] == duration(slow["median_seconds"].iloc[0])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, (0, "seconds")), (59, (59, "seconds")), (90, (1.5, "minutes")), (7200, (2, "hours")), (86_400, (1, "days"))],
)
def test_durations_as_people_say_them(seconds, said):
    found = duration(seconds)
    assert (found["value"], found["unit"]) == said
    assert duration(pd.NA) is None and duration(None) is None


def test_why_there_is_no_model(tables):
    assert process_summary(tables)["discovered"] == "found"
    for told, code in (("not installed: pip install tschurn[process]", "not_installed"), ("no cases", "no_cases")):
        tables["process_summary"]["discovery"] = told
        assert process_summary(tables)["discovered"] == code


def test_long_sequences_are_cut_and_say_so(tables):
    tables["variants"] = tables["variants"].head(1).assign(steps=json.dumps(["a"] * 100), length=100)
    row = process_summary(tables)["variants_of"]["all"]["rows"][0]
    assert len(row["steps"]) + row["more"] == 100 == row["length"]


def test_both_languages_have_the_same_figures(tables):
    about = process_summary(tables)
    en, ko = (draw_process(tables, about, Texts.load(language)) for language in ("en", "ko"))
    for name in en:
        assert [t.type for t in en[name].data] == [t.type for t in ko[name].data]
        for a, b in zip(en[name].data, ko[name].data, strict=True):
            assert a.to_plotly_json().keys() == b.to_plotly_json().keys()


def test_nothing_to_show():
    assert process_summary({}) is None
    assert draw_process({}, None, TEXTS) == {"follows": None, "follows-difference": None, "paths": None}
