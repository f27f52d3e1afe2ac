"""What the report says of the groups: the rule that cuts and those that do not, money, steadiness, cells."""

from __future__ import annotations

import math
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import SEGMENTS
from tschurn.report import groups, render
from tschurn.report.theme import short
from tschurn.report.values import plain
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
TEXTS = Texts.load("en")
Tables = dict[str, pd.DataFrame]


@pytest.fixture
def tables() -> Tables:
    return dict(made["tables"]())


def summary(tables: Tables, language: str = "en", **rule: Any) -> dict[str, Any]:
    experiment = made["experiment"](language=language)
    rule = experiment.segments.model_copy(update=rule)
    return plain(groups.groups_summary(tables, experiment.model_copy(update={"segments": rule})))


def told(tables: Tables, language: str = "en", no_sticker: str | None = None, **rule: Any) -> str:
    """The words of the part, as read."""
    texts, group = Texts.load(language), summary(tables, language, **rule)
    figures = {name for name, one in groups.draw_groups(tables, group, texts).items() if one is not None}
    about = {"group": group, "no_sticker": no_sticker, "setting": {"observe_days": 7}}
    template = render.environment().get_template("groups.html.j2")
    html = template.render(s=about, t=texts, figures=figures, dots_shown=groups.DOTS_SHOWN)
    assert "None" not in html and "nan" not in html
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_segments_are_counted_with_their_money(tables: Tables) -> None:
    scored = tables["priority"]
    tables["money"] = tables["money"].assign(value_28=scored["rank"].astype(float)).sample(frac=1, random_state=0)
    means = summary(tables)["means"]
    assert list(means) == [*SEGMENTS, "all"]
    for segment in SEGMENTS:
        part = scored[scored["segment"] == segment]
        assert len(part) > 0 and means[segment]["users"] == len(part)
        assert means[segment]["value_28"] == part["rank"].sum()
        assert means[segment]["p_churn"] == pytest.approx(part["p_churn"].mean())
    assert sum(means[s]["value_share"] for s in SEGMENTS) == pytest.approx(1)
    text = told(tables)
    assert f"Favourites {means['favourites']['users']} " in text and f"{means['favourites']['value_28']:,.0f} " in text


def test_without_money_there_is_none(tables: Tables) -> None:
    del tables["money"]
    assert all(row["value_28"] is row["value_share"] is None for row in summary(tables)["means"].values())
    assert "four weeks of all value" not in told(tables)


def test_the_rule_that_cuts_is_told_and_marked(tables: Tables) -> None:
    text = told(tables)
    threshold = tables["threshold"]["threshold"][0]
    assert f"at or above the threshold {threshold:.3g}, which the top 10% of the 1,200" in text
    assert "quantile 10% " in text and text.count("cuts the list ") == 1
    assert "one normal distribution describes the log scores as well as two." in text
    assert "found no threshold" not in text


def test_a_rule_that_found_nothing_is_told(tables: Tables) -> None:
    text = told(tables, threshold="mixture")
    assert "“mixture”, found no threshold: one normal distribution describes" in text and "So the quantile cuts" in text
    assert "‘혼합 분포’" in told(tables, "ko", threshold="mixture")


@pytest.mark.parametrize("method", ["value", "capacity", "knee", "mixture"])
def test_each_rule_has_its_sentence(tables: Tables, method: str) -> None:
    found = {"method": method, "parameter": {"value": 0.2, "capacity": 40.0}.get(method), "threshold": 0.2}
    tables["threshold"] = tables["threshold"].assign(**found)
    for language, sentence in (("en", "priority group are the"), ("ko", "관리우선대상군은")):
        text = told(tables, language, threshold=method)
        assert sentence in text
    if method == "capacity":
        assert "capacity of 40; the last" in told(tables, threshold=method)


def test_value_at_risk_is_told_as_the_score_or_why_it_is_not(tables: Tables) -> None:
    tables["threshold"] = tables["threshold"].assign(score="value_at_risk", threshold=0.3)
    text = told(tables, score="value_at_risk")
    assert "ranked by value at risk: p(churn) × the value" in text and "no line divides this plane" in text
    assert "Value at risk was asked for" not in text
    fallback = tables | {"threshold": tables["threshold"].assign(score="priority")}
    assert "Value at risk was asked for" in told(fallback, score="value_at_risk")
    figure = groups.draw_groups(tables, summary(tables, score="value_at_risk"), TEXTS)
    assert figure["plane"].data[0].mode == "markers"  # no line of the product
    highest = max(x for trace in figure["priorities"].data for x in trace.x)
    assert highest == pytest.approx(math.log(tables["priority"]["value_at_risk"].max()), abs=0.5)


@pytest.mark.parametrize(("segment", "words"), [("rest", "group is empty"), ("priority", "Everybody reaches")])
def test_a_group_of_nobody_or_everybody_is_told(tables: Tables, segment: str, words: str) -> None:
    assert words not in told(tables)
    assert words in told(tables | {"priority": tables["priority"].assign(segment=segment)})


def test_steadiness_has_the_numbers_of_the_tables(tables: Tables) -> None:
    found = summary(tables)
    stability = found["stability"]
    assert list(stability) == ["seed", "anchor", "now"]
    weeks = tables["list_stability"].query("kind == 'anchor'").sort_values("anchor_day")
    assert stability["anchor"]["lists"] == len(weeks) - 1 and stability["anchor"]["days"] == 7
    assert stability["anchor"]["jaccard"] == pytest.approx(weeks["jaccard"].iloc[:-1].mean())
    assert stability["now"]["jaccard"] == pytest.approx(weeks["jaccard"].iloc[-1])
    shuffled = tables | {"list_stability": tables["list_stability"].sample(frac=1, random_state=2)}
    assert summary(shuffled)["stability"].keys() == stability.keys()
    assert summary(shuffled)["stability"]["now"] == stability["now"]
    group = tables["priority"]["segment"].eq("priority")
    assert found["firm"]["firm"] + found["firm"]["swing"] == found["firm"]["group"] == group.sum()
    assert found["firm"]["swing"] == (group & (tables["priority"]["rank"] % 3 == 0)).sum()
    text = told(tables)
    assert "under 2 other seeds, a group of the same size shares 0.80" in text
    assert f"Of the {group.sum()} users in the group {found['firm']['firm']} are firm" in text
    assert "see partly the same days" not in text


def test_who_swings_outside_the_group_is_counted_apart(tables: Tables) -> None:
    inside = tables["priority"]["segment"].eq("priority")
    swings = tables["firmness"]["firm"].where(inside, "swing")
    firm = summary(tables | {"firmness": tables["firmness"].assign(firm=swings)})["firm"]
    assert firm["swing"] == (swings[inside] == "swing").sum() and firm["swing_outside"] == (~inside).sum()


def test_anchors_that_see_the_same_days_are_told_so(tables: Tables) -> None:
    days = pd.to_datetime(tables["list_stability"]["anchor_day"]) + pd.Timedelta(days=1)
    daily = tables["list_stability"].assign(other=days.dt.strftime("%Y-%m-%d"))
    assert "see partly the same days" in told(tables | {"list_stability": daily})


def test_where_there_is_no_other_list_it_says_so(tables: Tables) -> None:
    bare = tables | {"list_stability": tables["list_stability"].head(0),
                     "firmness": tables["firmness"].assign(firm=None, lists=np.int32(1))}  # fmt: skip
    assert summary(bare)["firm"] is None and "no other list to compare with" in told(bare)
    empty = tables | {"list_stability": tables["list_stability"].assign(jaccard=None, chance=None, correlation=None)}
    assert "no list held a user who was scored both times" in told(empty)
    part = tables["firmness"].assign(firm=tables["firmness"]["firm"].where(tables["priority"]["rank"] > 2))
    assert "For 2 users of the group there is no other list" in told(tables | {"firmness": part})


def test_cells_hold_their_numbers(tables: Tables) -> None:
    figure = groups.draw_groups(tables, summary(tables), TEXTS)["cells"]
    at = {(note.x, note.y): note.text for note in figure.layout.annotations}
    assert len(at) == 12 == len(tables["plane"])
    assert at[0, 0] == "<b>60</b> users<br>value 900<br>10% churned<br>50% with sticker"
    last = tables["plane"].iloc[-1]
    assert at[3, 2].startswith(f"<b>{last['users']:.0f}</b>") and at[3, 2].endswith("too few windows")
    assert last["windows"] < groups.FEWEST_WINDOWS
    assert list(figure.layout.xaxis.ticktext) == ["0", "0.25", "0.5", "0.75", "1"]
    assert list(figure.layout.yaxis.ticktext) == ["0", "0.1", "0.3", "1"]
    shades = np.array(figure.data[0].z)
    assert np.unravel_index(shades.argmax(), shades.shape) == (0, 0) and shades[2, 3] == shades.min()


def test_cells_without_money_are_shaded_by_users(tables: Tables) -> None:
    bare = tables | {"plane": tables["plane"].assign(value_28=None, users=range(12), windows=0)}
    figure = groups.draw_groups(bare, summary(bare), TEXTS)["cells"]
    shades = np.array(figure.data[0].z)
    assert np.unravel_index(shades.argmax(), shades.shape) == (2, 3) and shades[0, 0] == 0
    nobody = bare | {"plane": bare["plane"].assign(users=0)}
    assert np.array(groups.draw_groups(nobody, summary(nobody), TEXTS)["cells"].data[0].z).max() == 0


def test_every_rule_that_found_one_is_a_line(tables: Tables) -> None:
    figure = groups.draw_groups(tables, summary(tables), TEXTS)["priorities"]
    lines = sorted(shape.x0 for shape in figure.layout.shapes)
    rules = tables["thresholds"]["threshold"].dropna()
    np.testing.assert_allclose(lines, np.sort(np.log(rules)))
    assert sorted(note.text for note in figure.layout.annotations) == ["<b>quantile</b>", "capacity", "knee"]
    heights = [note.y for note in figure.layout.annotations]
    assert len(set(heights)) == len(heights)


def test_histogram_counts_every_user(tables: Tables) -> None:
    figure = groups.draw_groups(tables, summary(tables), TEXTS)["priorities"]
    assert sum(sum(trace.y) for trace in figure.data) == len(tables["priority"])


def test_plane_shows_each_segment_where_it_is(tables: Tables) -> None:
    figure, priority = groups.draw_groups(tables, summary(tables), TEXTS)["plane"], tables["priority"]
    assert len(figure.data) == 1 + len(SEGMENTS)
    for trace in figure.data[1:]:
        segment = next(s for s in SEGMENTS if TEXTS.plain(f"segments.{s}") == trace.name)
        part = priority[priority["segment"] == segment]
        np.testing.assert_allclose(np.sort(trace.x), np.sort(short(part["p_churn"])))
    curve = figure.data[0]
    np.testing.assert_allclose(np.array(curve.x) * np.array(curve.y), tables["threshold"]["threshold"][0], rtol=1e-3)


def test_plane_is_thinned_for_many_users() -> None:
    many = made["tables"](users=12_000)
    figure = groups.plane(many["priority"], {"threshold": 0.1, "score": "priority"}, TEXTS)
    assert max(len(trace.x) for trace in figure.data) <= groups.DOTS_SHOWN


def test_without_a_sticker_target_and_without_anybody_it_says_why() -> None:
    churn_only = dict(made["tables"](sticker=False))
    text = told(churn_only, no_sticker="no_sticker_target")
    assert (
        "no such picture without a probability of a sticker" in text
        and "p(sticker)" not in text.split("Probability")[0]
    )
    nobody = {name: table.head(0) for name, table in churn_only.items()}
    for given in (nobody, {}):
        assert "No user was scored" in told(given, no_sticker="no_sticker_target")


def test_both_languages_hold_the_same_numbers(tables: Tables) -> None:
    numbers = {language: sorted(re.findall(r"\d+[.,]\d+", told(tables, language))) for language in ("en", "ko")}
    assert len(numbers["en"]) > 40 and numbers["en"] == numbers["ko"]
