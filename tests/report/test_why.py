"""What the report says of explanations: who stands for whom, direction by its interval, greyed where unreliable."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import COLLINEARITY, IMPORTANCE, RELIABLE_R2
from tschurn.report import why_figures as fig
from tschurn.report.figures import draw
from tschurn.report.render import content, environment
from tschurn.report.summary import summarise
from tschurn.report.theme import EFFECT_COLOURS, short
from tschurn.report.why import collinearity_summary, effect_of, explanations_summary, shared_summary
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
MADE = made["tables"]()
TEXTS = Texts.load("en")
BOTH = ("churn", "sticker")


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return {name: frame.copy() for name, frame in MADE.items()}


def drawn(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    return draw(tables, summarise(tables, [], made["experiment"](), made["manifest"]()), TEXTS)


def html_of(tables: dict[str, pd.DataFrame], language: str = "en") -> str:
    summary = summarise(tables, [], made["experiment"](language), made["manifest"]())
    return content(summary, {}, Texts.load(language))


def fidelities(html: str) -> list[str]:
    """The sentences on the fidelity of each explained model, with their class."""
    return re.findall(r'<p class="fidelity .*?</p>', html, flags=re.DOTALL)


# --- clusters ---------------------------------------------------------------------------------------
def collinear(*rows: tuple) -> dict[str, pd.DataFrame]:
    """COLLINEARITY of: column, reason, stands_for, correlation."""
    full = [(c, r == "kept", r, None, None if r == "kept" else i, s, k) for i, (c, r, s, k) in enumerate(rows, 1)]
    return {"collinearity": pd.DataFrame(full, columns=list(COLLINEARITY.columns)).astype({"step": "Int32"})}


def test_clusters_are_kept_columns_with_those_they_stand_for():
    rows = (("a", "kept", None, None), ("b", "kept", None, None), ("c", "kept", None, None),
            ("a1", "vif", "a", 0.8), ("a2", "perfect", "a", -1.0), ("a3", "vif", "a", -0.9),
            ("b1", "vif", "b", 0.5), ("flat", "constant", None, None))  # fmt: skip
    found = collinearity_summary(collinear(*rows), {"a": "A", "a2": "A two"})
    assert [(c["label"], [m["label"] for m in c["members"]]) for c in found["clusters"]] == [
        ("A", ["A two", "a3", "a1"]), ("b", ["b1"]),
    ]  # fmt: skip
    assert (found["columns"], found["kept"], found["partly"]) == (8, 3, 1)
    assert found["removed"] == {"constant": 1, "perfect": 1, "vif": 3}
    figure = fig.clusters(found["clusters"], TEXTS)
    dots = {t.name: list(zip(t.x, t.y, strict=True)) for t in figure.data}
    assert dots == {"perfect combination": [(1.0, 0)], "VIF above the limit": [(0.9, 0), (0.8, 0), (0.5, 1)]}
    assert list(figure.layout.yaxis.ticktext) == ["A (3)", "b (1)"]


def test_every_removed_column_is_in_the_table_once(tables):
    found = collinearity_summary(tables, {})
    members = [m["column"] for c in found["clusters"] for m in c["members"]]
    without = [row["column"] for row in found["rows"] if row["column"] not in members]
    table = tables["collinearity"]
    assert sorted(members + without) == sorted(table.loc[~table["kept"], "column"])
    part = html_of(tables).split(f"<h3 data-fold>{TEXTS('why.collinear')}")[1].split("</table>")[0]
    assert part.count('<td class="name">') == len(found["rows"])


def test_nothing_removed_says_nothing_of_clusters():
    found = collinearity_summary(collinear(("a", "kept", None, None)), {})
    assert found["clusters"] == [] and found["partly"] == 0
    assert fig.clusters([], TEXTS) is None


# --- direction --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("low", "high", "effect"),
    [(0.3, 0.5, "raises"), (-0.5, -0.3, "lowers"), (0.05, 0.5, "mixed"), (-0.5, -0.05, "mixed"),
     (-0.2, 0.2, "mixed"), (None, None, "mixed"), (np.nan, np.nan, "mixed"), (1.0, 1.0, "raises")],
)  # fmt: skip
def test_direction_is_decided_by_its_interval(low, high, effect):
    assert effect_of({"direction": 0.4, "direction_low": low, "direction_high": high}) == effect


def test_importance_is_coloured_by_direction_and_shows_its_interval(tables):
    shown = explanations_summary(tables, "churn", {})[0]["shown"]
    figure = fig.importance(shown, TEXTS)
    bars = [t for t in figure.data if t.type == "bar"]
    dots = [t for t in figure.data if t.type == "scatter"]
    for bar, dot, (effect, colour) in zip(bars, dots, EFFECT_COLOURS.items(), strict=True):
        rows = [y for y, c in enumerate(shown) if c["effect"] == effect]
        assert rows and list(bar.y) == rows and bar.marker.color == dot.marker.color == colour
        told = [y for y in rows if not pd.isna(shown[y]["direction"])]
        assert list(dot.y) == told
        ends = [shown[y]["direction"] + up for y, up in zip(told, dot.error_x.array, strict=True)]
        assert ends == pytest.approx([shown[y]["direction_high"] for y in told])
    assert {c["rank"] for c in shown if pd.isna(c["direction"])} == {5}
    # left to itself, Plotly leaves room for bars that are not there
    assert figure.layout.yaxis.range == (len(shown) - 0.5, -0.5)


# --- bees and dependence ----------------------------------------------------------------------------
def test_beeswarm_dots_are_windows_of_the_sample(tables):
    trace = drawn(tables)["bees-churn"].data[0]
    sample = tables["shap_sample"].query("target == 'churn' and model == 'gru_bilstm'")
    assert set(trace.x) <= set(short(sample["shap"]))
    rows = np.round(trace.y).astype(int)
    assert set(rows) == set(range(15))
    assert np.bincount(rows).max() <= fig.BEES_SHOWN
    assert np.abs(np.array(trace.y) - rows).max() < 0.5
    assert min(trace.marker.color) >= 0 and max(trace.marker.color) <= 1


def test_beeswarm_keeps_a_crowd_within_its_row():
    columns = [{"column": "a", "label": "a"}, {"column": "b", "label": "b"}]
    sample = pd.DataFrame({"column": ["a", "b"] * 200, "value": [0.0, None] * 200, "shap": [0.5, -0.5] * 200})
    trace = fig.beeswarm(sample, columns, TEXTS).data[0]
    y = np.array(trace.y)
    assert np.abs(y - np.where(np.array(trace.x) > 0, 0, 1)).max() < 0.5
    assert np.ptp(y[np.array(trace.x) > 0]) > 0.5


def test_dependence_panels_show_a_column_and_its_partner(tables):
    table = tables["dependence"].query("target == 'churn' and model == 'gru_bilstm'")
    columns = explanations_summary(tables, "churn", {})[0]["dependence"]
    assert [c["column"] for c in columns] == table.drop_duplicates("column")["column"].tolist()
    figure = fig.dependence(table, columns, TEXTS)
    assert len(figure.data) == 6
    for place, trace in enumerate(figure.data):
        part = table[table["column"] == columns[place]["column"]]
        assert list(trace.x) == short(part["value"]) and list(trace.y) == short(part["shap"], 4)
        known = part["partner_value"].notna().to_numpy()
        colour = np.array(trace.marker.color)
        assert (colour[~known] == 0.5).all()
        if known.any():
            assert (colour.min(), colour.max()) == (0, 1)
            order = part["partner_value"].rank()[known].corr(pd.Series(colour[known], index=part.index[known]))
            assert order > 0.999
    titles = [a.text for a in figure.layout.annotations]
    assert titles[1] == "no clear interaction" and titles[0].startswith("with ")


def test_a_figure_of_nothing_is_none(tables):
    empty = tables["dependence"].head(0)
    assert fig.dependence(empty, [], TEXTS) is None
    assert fig.dependence(empty, [{"column": "a", "label": "a", "partner_label": None}], TEXTS) is None
    assert fig.shared([], BOTH, TEXTS) is None
    assert fig.importance([], TEXTS) is None


# --- the two targets --------------------------------------------------------------------------------
def explained(churn: dict[str, tuple], sticker: dict[str, tuple], r2: float = 0.9) -> dict[str, pd.DataFrame]:
    """Column → importance, direction; its interval is 0.05 to both sides."""
    rows, standing = [], MADE["surrogates"].query("explained").assign(r2=r2)
    for target, columns in zip(BOTH, (churn, sticker), strict=True):
        order = sorted(columns, key=lambda c: -columns[c][0])
        for rank, column in enumerate(order, 1):
            size, direction = columns[column]
            rows.append((target, "gru_bilstm", column, size, direction, direction - 0.05, direction + 0.05, rank))
    return {"importance": pd.DataFrame(rows, columns=list(IMPORTANCE.columns)), "surrogates": standing}


def test_features_of_both_targets_and_where_they_oppose():
    churn = {"a": (4.0, -0.9), "b": (2.0, 0.8), "c": (1.0, -0.7), "d": (1.0, 0.02), "e": (1.0, 0.7), "only": (1.0, 0.5)}
    sticker = {
        "a": (5.0, 0.9),
        "b": (1.0, 0.8),
        "c": (1.0, -0.7),
        "d": (1.0, 0.9),
        "e": (1.0, -0.9),
        "none": (1.0, 0.1),
    }
    found = shared_summary(explained(churn, sticker), {"a": "A"}, BOTH)
    relations = {row["feature"]: row["relation"] for row in found["shown"]}
    assert relations == {"a": "welcome", "b": "both_up", "c": "both_down", "d": "unclear", "e": "unwelcome"}
    assert found["relations"] == {"both_up": 1, "both_down": 1, "welcome": 1, "unwelcome": 1, "unclear": 1}
    first = found["shown"][0]
    assert (first["label"], first["churn"]["share"], first["sticker"]["share"]) == ("A", 0.4, 0.5)
    assert (found["features"], found["both"], found["poor"]) == ([6, 6], 5, False)
    figure = fig.shared(found["shown"], BOTH, TEXTS)
    assert [list(t.x) for t in figure.data] == [
        [row[target]["direction"] for row in found["shown"]] for target in BOTH
    ]  # fmt: skip


def test_days_of_a_feature_are_one_and_its_leading_day_tells_the_direction():
    churn = {"x@0": (1.0, 0.6), "x@-1": (2.0, -0.8), "y": (2.5, 0.5)}
    tables = explained(churn, {"x@-2": (1.0, 0.9), "y": (0.5, 0.5)})
    flat = [("x@0", "x"), ("x@-1", "x"), ("x@-2", "x"), ("y", "y")]
    tables["flat_columns"] = pd.DataFrame(flat, columns=["column", "feature"])
    found = shared_summary(tables, {}, BOTH)
    x = found["shown"][0]
    assert (x["feature"], x["churn"]["direction"], x["relation"]) == ("x", -0.8, "welcome")
    assert x["churn"]["share"] == pytest.approx(3 / 5.5)


def test_one_explained_target_is_not_compared(tables):
    for name in ("surrogates", "importance"):
        tables[name] = tables[name].query("target == 'churn'")
    assert shared_summary(tables, {}, BOTH) is None
    found = shared_summary(explained({"a": (1.0, 0.5)}, {"b": (1.0, 0.5)}), {}, BOTH)
    assert (found["both"], found["shown"]) == (0, [])


# --- reliability ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("how", "r2", "poor"),
    [("surrogate", RELIABLE_R2, False), ("surrogate", RELIABLE_R2 - 1e-6, True), ("surrogate", None, True),
     ("direct", None, False)],
)  # fmt: skip
def test_what_is_under_the_bar_is_greyed_and_says_so(tables, how, r2, poor):
    tables["surrogates"] = tables["surrogates"].query("explained").assign(how=how, r2=r2)
    assert explanations_summary(tables, "churn", {})[0]["poor"] is poor
    assert shared_summary(tables, {}, BOTH)["poor"] is poor
    summary = summarise(tables, [], made["experiment"](), made["manifest"]())
    html = content(summary, draw(tables, summary, TEXTS), TEXTS)
    assert html.count("<b>Greyed</b>") == (6 if poor else 0)  # importance, bees, dependence of two targets
    assert ('<p class="fidelity poor">' in html) is poor
    assert ("so this comparison is too" in html) is poor
    style = environment().loader.get_source(environment(), "report.css")[0]
    assert ".fidelity.poor ~ figure .plot" in style


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_sentence_on_fidelity_tells_what_was_measured(tables, language):
    texts = Texts.load(language)
    churn, sticker = fidelities(html_of(tables, language))[0], fidelities(html_of(tables, language))[2]
    for sentence in (churn, sticker):
        assert str(texts("why.fidelity_direction", share="90%")) in sentence
        assert str(texts("why.fidelity_added", n="4")) in sentence
    bare = {"direction_agreement": None, "attribution_agreement": 0.4567, "strongest_agreement": 0.49, "added": 0}
    tables["surrogates"] = tables["surrogates"].assign(**bare)
    sentence = fidelities(html_of(tables, language))[0]
    assert str(texts("why.fidelity_attribution", correlation="0.457", strongest="49%")) in sentence
    assert str(texts("why.fidelity_disagrees")) in sentence
    tables["surrogates"] = tables["surrogates"].assign(strongest_agreement=0.5)
    assert str(texts("why.fidelity_disagrees")) not in fidelities(html_of(tables, language))[0]
    for key in ("why.fidelity_direction", "why.fidelity_added"):
        start = texts.words[key].split("{")[0][:25]
        assert start not in sentence
