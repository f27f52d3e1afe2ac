"""The report's section for a simulated log: only there, clearly marked, and every number from the tables."""

from __future__ import annotations

import itertools
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tschurn.contracts import CAUSES, NO_CAUSE
from tschurn.report import build, founding
from tschurn.report import simulated_figures as fig
from tschurn.report.figures import draw
from tschurn.report.render import content
from tschurn.report.simulated import COMPARED, GOAL, SIDES, TIMES_CHANCE, TOP_USERS
from tschurn.report.summary import summarise
from tschurn.report.theme import safe
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
MADE = made["tables"]()
OURS = ("truth_figures", "weekly_rhythm", "user_activity", "engagement_paths")
LANGUAGES = ("en", "ko")
LEAN = ("log_summary", "windows", "metrics", "truth_figures", "engagement_paths")  # enough for a quick page
FOUNDING_SECTIONS = {
    "split": {"kind": "random"},
    "windows": {"stride_days": 1},
    "features": {"history": "none"},
}


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return {name: frame.copy() for name, frame in MADE.items()}


def summary_of(tables, **sections) -> dict:
    return summarise(tables, [], made["experiment"](simulated=True, **sections), made["manifest"]())


def section_of(tables, **sections) -> dict:
    return summary_of(tables, **sections)["simulated"]


def lean(tables) -> dict:
    """Of the tables those that a page of the section needs, with one creator's path."""
    found = {name: tables[name] for name in LEAN}
    return found | {"engagement_paths": found["engagement_paths"].head(made["DAYS"])}


def html_of(folder, tables, language="en", simulated=True, **sections) -> str:
    """The whole page, of these tables."""
    build(tables, [], made["experiment"](language, simulated=simulated, **sections), made["manifest"](), folder)
    return (folder / "index.html").read_text(encoding="utf-8")


# --- only there, and marked -----------------------------------------------------------------------
@pytest.mark.parametrize("language", LANGUAGES)
def test_any_other_log_has_nothing_of_it(tmp_path, tables, language):
    html = html_of(tmp_path, tables, language, simulated=False)
    words = Texts.load(language).words
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["simulated"] is None
    assert "simulation" not in found["reproduce"]["config"]
    assert 'id="simulated"' not in html and '"#simulated"' not in html
    for key in ("nav.simulated", "page.simulated", "page.kicker_simulated", "simulated.lead", "simulated.truth"):
        assert words[key] not in html
    assert not [name for name in ("ceiling", "precision", "rhythm-own") if f'id="figure-{name}"' in html]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_simulated_log_is_marked_before_anything_else(tmp_path, tables, language):
    html = html_of(tmp_path, tables, language)
    words = Texts.load(language).words
    main = html.partition("<main>")[2]
    assert main.lstrip().startswith('<p class="simulated"')
    assert words["page.simulated"] in main.partition("<h1>")[0]
    assert words["page.kicker_simulated"] in main.partition("<h1>")[0]
    assert words["page.title_simulated"].format(name="made up") in html.partition("</title>")[0]
    places = [html.index(f'href="#{id_}"') for id_ in ("group", "simulated", "method")]
    sections = [html.index(f'id="{id_}"') for id_ in ("group", "simulated", "method")]
    assert places == sorted(places) and sections == sorted(sections)
    assert json.loads((tmp_path / "report.json").read_text())["reproduce"]["config"]["simulation"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_its_tables_the_section_says_so(tmp_path, tables, language):
    words = Texts.load(language).words
    for given_ in ({}, {n: t for n, t in tables.items() if n not in OURS}):
        text = html_of(tmp_path, given_, language)
        for part in ("truth_empty", "goal_unmeasured", "precision_empty", "rhythm_empty", "activity_empty"):
            assert words[f"simulated.{part}"] in text
        assert words["simulated.row_rows"] in text


def luminance(colour: str) -> float:
    """Relative luminance of #RRGGBB (WCAG)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_mark_can_be_read():
    css = (Path(founding.__file__).parent / "templates" / "report.css").read_text()
    mark = re.search(r"^\.simulated {.*background: light-dark\((#\w{6}), (#\w{6})\); color: (#\w{3});", css, re.M)
    bold = re.search(r"^\.simulated b {.*color: (#\w{6});", css, re.M)
    assert mark[3] == "#fff"
    for text, ground in itertools.product(("#ffffff", bold[1]), mark.group(1, 2)):
        lighter, darker = sorted((luminance(text), luminance(ground)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) > 7


def test_every_cause_has_a_name_and_a_colour():
    named = {language: Texts.load(language).section("causes") for language in LANGUAGES}
    for words in named.values():
        assert list(words) == [*CAUSES, NO_CAUSE] == list(fig.CAUSE_COLOURS)
        assert len(set(words.values())) == len(words)
    assert len(set(fig.CAUSE_COLOURS.values())) == len(fig.CAUSE_COLOURS)
    assert made["CAUSES"] == CAUSES


# --- beside the founding project ------------------------------------------------------------------
def test_the_founding_figures_agree_with_each_other():
    windows = founding.WINDOWS
    assert windows["all"] == windows["train"] + windows["validation"] + windows["test"]
    days = pd.Timestamp(founding.LAST_DAY) - pd.Timestamp(founding.FIRST_DAY)
    assert days.days + 1 == founding.DAYS


def test_rows_beside_the_founding_project_are_counts_of_the_tables(tables):
    windows = tables["windows"] = tables["windows"].query("split != 'calibration' or user % 3 == 0")
    rows = {row["figure"]: row for row in section_of(tables)["founding"]["rows"]}
    parts = {"train": ["train"], "validation": ["validation", "calibration"], "test": ["test"]}
    assert rows["rows"]["here"] == tables["log_summary"]["rows_read"][0]
    assert rows["windows_all"]["here"] == windows["closed"].sum()
    for name, splits in parts.items():
        part = windows[windows["split"].isin(splits)]
        assert (rows[f"windows_{name}"]["there"], rows[f"windows_{name}"]["here"]) == (
            founding.WINDOWS[name],
            len(part),
        )
        for rate in ("churned", "sticker"):
            assert rows[f"{rate}_{name}"]["here"] == pytest.approx(part[rate].astype(float).mean())
            assert rows[f"{rate}_{name}"]["there"] == founding.RATES[rate][name]
    for row in rows.values():
        if row["there"] and row["here"]:
            assert row["there"] * (1 + row["off"]) == pytest.approx(row["here"])
    assert rows["windows_purged"]["here"] == (windows["split"] == "purged").sum()
    tables["windows"] = windows[windows["split"] != "purged"]
    assert "windows_purged" not in {row["figure"] for row in section_of(tables)["founding"]["rows"]}


def test_what_differs_from_the_founding_protocol_is_said(tmp_path, tables):
    assert section_of(tables, **FOUNDING_SECTIONS)["founding"]["differs"] == []
    assert Texts.load("en").words["simulated.same_protocol"] in html_of(tmp_path, lean(tables), **FOUNDING_SECTIONS)
    changes = {
        "split": ("split", {"kind": "time"}, "time"),
        "stride_days": ("windows", {"stride_days": 3}, 3),
        "observe_days": ("windows", {"stride_days": 1, "observe_days": 14}, 14),
        "outcome_days": ("windows", {"stride_days": 1, "outcome_days": 14}, 14),
        "history": ("features", {"history": "full"}, "full"),
    }
    assert set(changes) == set(founding.PROTOCOL)
    for setting, (place, keys, here) in changes.items():
        sections = FOUNDING_SECTIONS | {place: keys}
        differs = section_of(tables, **sections)["founding"]["differs"]
        assert differs == [{"setting": setting, "there": founding.PROTOCOL[setting], "here": here}]
        assert Texts.load("en").words[f"simulated.differs_{setting}"][:12] in html_of(
            tmp_path, lean(tables), **sections
        )


def test_models_beside_the_founding_ones_have_ap_and_base_rate(tables):
    wide = tables["metrics"].pivot(index=["target", "model"], columns="metric", values="value")
    for target, about in section_of(tables)["founding"]["models"].items():
        rates = founding.RATES["churned" if target == "churn" else "sticker"]
        assert about["there"] == founding.MODELS[target] | {"base_rate": rates["test"]}
        assert [m["name"] for m in about["here"]] == ["gru_bilstm", *COMPARED]
        assert [m["used"] for m in about["here"]] == [True, False, False, False]
        for model in about["here"]:
            for metric in ("accuracy", "micro_ap", "ap", "base_rate"):
                assert model[metric] == wide.loc[(target, model["name"]), metric]
    tables["metrics"]["used"] = tables["metrics"]["model"] == "lightgbm_history"
    names = [m["name"] for m in section_of(tables)["founding"]["models"]["churn"]["here"]]
    assert names == ["lightgbm_history", "most_frequent", "lightgbm_7days"]


# --- the truth ------------------------------------------------------------------------------------
def marked(tables, value, chance, recency, same=0.1, change=0.1) -> dict:
    """The section where the figures over all causes are these."""
    table = tables["truth_figures"]
    given_ = {"at_3": value, "chance": chance, "recency": recency, "same": same, "change": change}
    for name, number in given_.items():
        table.loc[(table["figure"] == f"precision_{name}") & (table["about"] == ""), "value"] = number
    return section_of(tables)


UNIT = st.integers(0, 100).map(lambda n: n / 100)


@settings(deadline=None)
@given(UNIT, UNIT, UNIT, UNIT, UNIT)
@example(GOAL, GOAL / TIMES_CHANCE, 0.0, 0.0, 0.0)
@example(GOAL, 0.0, GOAL, 0.0, 0.0)
def test_the_goal_is_met_only_where_all_three_hold(value, chance, recency, same, change):
    ours = {name: MADE[name].copy() for name in ("truth_figures",)}
    goal = marked(ours, value, chance, recency, same, change)["goal"]
    assert (goal["code"] == "met") == (value >= GOAL and value >= TIMES_CHANCE * chance and value > recency)
    assert ("goal" in goal["short"]) == (value < GOAL)
    assert ("chance" in goal["short"]) == (value < 2 * chance)
    assert ("recency" in goal["short"]) == (value <= recency)
    assert goal["distance"] == pytest.approx(max(0, 0.9 - value))
    assert set(goal["not_above"]) == {k for k, rival in (("same", same), ("change", change)) if rival >= value}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("value", "chance", "recency", "change", "sentences"),
    [
        (0.93, 0.1, 0.0, 0.4, ["goal_met"]),
        (0.83, 0.1, 0.0, 0.4, ["goal_short", "short_goal"]),
        (0.5, 0.3, 0.6, 0.4, ["goal_short", "short_goal", "short_chance", "short_recency"]),
        (0.93, 0.1, 0.0, 0.95, ["goal_met", "not_above_change"]),
    ],
)
def test_the_sentence_says_what_is_reached_and_what_is_not(
    tmp_path, tables, language, value, chance, recency, change, sentences
):
    words = Texts.load(language).words
    marked(tables, value, chance, recency, change=change)
    text = html_of(tmp_path, lean(tables), language)
    every = ("goal_met", "goal_short", "short_goal", "short_chance", "short_recency", "not_above_change")
    for key in every:
        longest = max(re.split(r"{\w+}", words[f"simulated.{key}"].partition("</b>")[0]), key=len)
        assert (longest in text) == (key in sentences), key
    assert f"<b>{value:.0%}</b>" in text
    if "short_goal" in sentences:
        assert f"{100 * (GOAL - value):.0f}" in text


def test_precisions_are_those_of_the_table_in_the_order_of_causes(tables):
    table = tables["truth_figures"].set_index(["target", "figure", "about"])
    rows = section_of(tables)["reasons"]
    assert [r["about"] for r in rows] == ["", *CAUSES[:-1]]
    for row in rows:
        one = table.loc[("churn", "precision_at_3", row["about"])]
        assert row["n"] == one["n"]
        for key, figure in (
            ("value", "at_3"),
            ("chance_named", "chance_named"),
            ("same", "same"),
            ("change", "change"),
        ):
            value = table.loc[("churn", f"precision_{figure}", row["about"]), "value"]
            assert row[key] == (None if np.isnan(value) else value)
    assert next(r for r in rows if r["about"] == "price_change")["value"] is None


def test_truth_of_a_target_that_was_not_marked_is_absent(tables):
    assert set(section_of(tables)["truth"]) == {"churn", "sticker"}
    tables["truth_figures"] = made["truth_figures"](("churn",))
    found = section_of(tables)["truth"]
    assert set(found) == {"churn"}
    assert found["churn"]["ap_share"] == pytest.approx((0.73 - 0.34) / (0.81 - 0.34))
    assert found["churn"]["windows"] == 1560


def test_features_are_counted_with_distractors_apart(tables):
    found = section_of(tables)
    table = tables["truth_figures"].set_index(["target", "figure", "about"])
    assert [row["about"] for row in found["causes"]] == [*CAUSES, NO_CAUSE]
    assert sum(row["share"] for row in found["causes"]) == pytest.approx(1)
    assert [row["about"] for row in found["other_features"]] == ["independent", "user_constant", "distractor"]
    for row in [*found["causes"], *found["other_features"], found["all_features"]]:
        if row["about"] in ("chance", NO_CAUSE):
            assert row["selected"] == {"share": None, "features": 0, "count": None}
            continue
        for figure in ("selected", "collinear"):
            one = table.loc[("churn", figure, row["about"])]
            assert row[figure]["count"] == pytest.approx(one["value"] * one["n"])
    assert found["other_features"][0]["selected"]["count"] == 1


def test_an_unknown_cause_is_told_last_and_does_no_harm(tmp_path, tables):
    hostile = made["HOSTILE"][1]
    table = tables["truth_figures"]
    table.loc[table["about"] == "burnout", "about"] = hostile
    tables["engagement_paths"].loc[3:9, "cause"] = hostile
    assert section_of(tables)["reasons"][-1]["about"] == hostile
    text = html_of(tmp_path, lean(tables))
    assert "<img" not in text
    drawn = fig.draw_simulated(tables, section_of(tables), Texts.load("en"))
    for name in ("precision", "cause-shares", "engagement"):
        assert "<img" not in json.dumps(drawn[name].to_plotly_json(), default=str)


def test_the_numbers_stand_on_the_page(tmp_path, tables):
    text = re.sub(r"<[^>]+>", " ", html_of(tmp_path, tables).partition('<section id="simulated">')[2])
    text = re.sub(r"\s+", " ", text.partition('id="method"')[0])
    for value in (founding.ROWS, *founding.WINDOWS.values()):
        assert f"{value:,}" in text
    for target in founding.MODELS.values():
        assert f"{target['accuracy']:.2f} {target['micro_ap']:.2f} – 0." in text
    for row in section_of(tables)["founding"]["rows"]:
        if row["unit"] == "count" and row["here"]:
            assert f"{row['here']:,}" in text
    for row in section_of(tables)["reasons"]:
        if row["value"] is not None:
            assert f"{row['n']:,} {100 * row['value']:.0f}%" in text
    assert "83.0% 87.5%" in text  # of the way from base rate to ceiling


# --- the figures ----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def drawn():
    return fig.draw_simulated(MADE, section_of(MADE), Texts.load("en"))


def test_precision_figure_shows_each_row_where_it_is(drawn):
    rows = section_of(MADE)["reasons"]
    traces = {trace.name: trace for trace in drawn["precision"].data}
    words = Texts.load("en").words
    for key, name in (
        ("value", "reasons"),
        *((k, f"rival_{k}") for k in ("chance", "chance_named", "recency", "same", "change")),
    ):
        trace = traces[words[f"figures.{name}"]]
        expected = [(row[key], place) for place, row in enumerate(rows) if row[key] is not None]
        assert list(zip(trace.x, trace.y, strict=True)) == expected
    assert drawn["precision"].layout.shapes[0].x0 == GOAL


def test_ceiling_lies_between_chance_and_truth(drawn):
    lines = [trace for trace in drawn["ceiling"].data if trace.mode == "lines"]
    truth = section_of(MADE)["truth"]
    assert [list(trace.x) for trace in lines] == [[t["base_rate"], t["ap_ceiling"]] for t in truth.values()]


def test_rhythm_holds_every_row_once(drawn):
    table = MADE["weekly_rhythm"]
    for side, about in section_of(MADE)["rhythm"].items():
        trace = drawn[f"rhythm-{side}"].data[0]
        rows = {(w, h): n for w, h, s, n in table.itertuples(index=False) if s == side}
        assert np.array(trace.customdata).shape == (7, 24)
        for (weekday, hour), n in rows.items():
            assert trace.customdata[weekday][hour] == n
        assert np.sum(trace.z) == pytest.approx(1, abs=0.01)
        assert rows[about["weekday"], about["hour"]] == max(rows.values())
        weekend = sum(n for (weekday, _), n in rows.items() if weekday > 4)
        assert about["weekend_share"] == pytest.approx(weekend / sum(rows.values()))


def test_a_silent_hour_is_drawn_as_nothing_done(tables):
    tables["weekly_rhythm"] = tables["weekly_rhythm"].query("weekday != 2 and hour != 4")
    figure = fig.draw_simulated(tables, section_of(tables), Texts.load("en"))["rhythm-own"]
    assert np.array(figure.data[0].z).shape == (7, 24)
    assert set(figure.data[0].customdata[2]) == {0}


def test_activity_is_rows_by_rank_on_log_axes(drawn):
    figure = drawn["activity"]
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    for side, trace in zip(SIDES, figure.data, strict=True):
        rows = sorted(MADE["user_activity"][f"{side}_rows"], reverse=True)
        assert list(trace.y) == [rows[rank - 1] for rank in trace.x]
        assert (trace.x[0], trace.x[-1]) == (1, sum(n > 0 for n in rows))
        about = section_of(MADE)["activity"][side]
        assert about["without"] == sum(n == 0 for n in rows)
        top = round(TOP_USERS * len(rows))
        assert about["top_share"] == pytest.approx(sum(rows[:top]) / sum(rows))


def test_engagement_marks_each_act_in_the_colour_of_its_cause(drawn):
    figure = drawn["engagement"]
    colours = {}
    for trace in figure.data:
        if trace.mode == "markers" and trace.x[0] is not None:
            for day, symbol in zip(trace.x, trace.marker.symbol, strict=True):
                colours[trace.xaxis, trace.yaxis, day] = (trace.marker.color, symbol == "circle")
    table = MADE["engagement_paths"].sort_values(["user_id", "day"])
    titles = [a.text for a in figure.layout.annotations]
    users = sorted(table["user_id"].unique())
    assert titles == [safe(user, 1) for user in users]
    expected = {}
    for place, user in enumerate(users):
        axes = ("x" + str(place + 1) * (place > 0), "y" + str(place + 1) * (place > 0))
        for row in table[table["user_id"] == user].itertuples():
            cause = row.cause if isinstance(row.cause, str) else NO_CAUSE
            if row.active or cause != NO_CAUSE:
                expected[(*axes, str(row.day))] = (fig.CAUSE_COLOURS[cause], bool(row.active))
    assert colours == expected


def test_nothing_to_draw_is_no_figure():
    assert not any(fig.draw_simulated({}, section_of({}), Texts.load("en")).values())


@pytest.mark.parametrize("language", ["en", "ko"])
def test_what_the_model_itself_names_is_told_beside_chance(language: str) -> None:
    tables = made["tables"]() | {"truth_figures": made["truth_figures"]()}
    summary = summarise(tables, [], made["experiment"](language=language, simulated=True), made["manifest"]())
    itself = summary["simulated"]["itself"]
    assert (itself["value"], itself["n"], itself["chance"]) == (pytest.approx(0.73), 730, pytest.approx(0.25))
    texts = Texts.load(language)
    said = texts("simulated.itself", value="73%", low="69%", high="76%", n="730", chance="25%", k=3)
    assert str(said) in content(summary, draw(tables, summary, texts), texts)
    tables["truth_figures"] = tables["truth_figures"].query("figure != 'precision_itself'")
    bare = summarise(tables, [], made["experiment"](language=language, simulated=True), made["manifest"]())
    assert bare["simulated"]["itself"] is None
