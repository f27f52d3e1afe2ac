"""What the report says of experiments and searches: means, spread, and whether the best was good or lucky."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pandas as pd
import pytest

from tschurn.contracts import EXPERIMENTS, TRIALS
from tschurn.report.figures import draw
from tschurn.report.render import content
from tschurn.report.search import experiments_figure, experiments_summary, search_summary, trials_figure
from tschurn.report.summary import summarise
from tschurn.report.theme import ORANGE
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
ASKED = 15  # the default of [search] trials


def trials(
    ap: list[float], again: list[float], sizes: tuple[float, ...] = (), chosen: int | None = None, target: str = "churn"
) -> dict[str, pd.DataFrame]:
    """A search, its best trial under other seeds, and tree sizes numbered from ASKED on; chosen: by number."""
    best = ap.index(max(ap))
    taken = best if chosen is None else chosen
    numbered = [*enumerate(ap), *enumerate(sizes, ASKED)]
    rows = [(target, "gru", i, 0, f'{{"units": {i}}}', v, 0.4, 4, False, i == taken) for i, v in numbered]
    rows += [(target, "gru", best, i, "{}", v, 0.4, 4, False, False) for i, v in enumerate(again, start=1)]
    frame = pd.DataFrame(rows, columns=list(TRIALS.columns))
    return {"trials": frame.sample(frac=1, random_state=0)}


def pairs(fits: dict[tuple[str, str], list[float]], target: str = "churn") -> dict[str, pd.DataFrame]:
    """Scaling and architecture → AP under each seed; the first pair is the chosen one."""
    rows = [
        (target, scaling, architecture, seed, ap, 0.8, 0.4, 3, i == 0)
        for i, ((scaling, architecture), found) in enumerate(fits.items())
        for seed, ap in enumerate(found)
    ]
    return {"experiments": pd.DataFrame(rows, columns=list(EXPERIMENTS.columns))}


def told(tables: dict[str, pd.DataFrame], language: str = "en") -> str:
    """What the page says under "What was tried"."""
    experiment, tables = made["experiment"](language), made["tables"]() | tables
    summary, texts = summarise(tables, [], experiment, made["manifest"]()), Texts.load(language)
    html = content(summary, draw(tables, summary, texts), texts)
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", "", re.search(r'<h3 id="search" data-fold>.*?</section>', html, re.S)[0])
    )


@pytest.mark.parametrize(
    ("ap", "again", "code"),
    [
        ([0.50, 0.52, 0.60], [0.59, 0.61], "stable"),  # lead 0.08, kept 0.08
        ([0.50, 0.52, 0.60], [0.53, 0.54], "lucky"),  # kept 0.015
        ([0.50, 0.52, 0.53], [0.51, 0.54], "level"),  # lead 0.01, spread 0.03
        ([0.50, 0.60], [0.60, 0.60], "unknown"),
        ([0.50, 0.52, 0.60], [], "unknown"),
    ],
)
def test_the_best_trial_is_good_or_lucky(ap: list[float], again: list[float], code: str) -> None:
    (found,) = search_summary(trials(ap, again), "churn", ASKED)
    assert found["code"] == code
    assert found["lead"] == pytest.approx(max(ap) - sorted(ap)[len(ap) // 2 if len(ap) % 2 else 0], abs=0.051)
    assert sorted(found["again"]) == sorted(again) and found["trials"] == len(ap)


def test_tree_sizes_are_no_trials_of_the_search() -> None:
    (found,) = search_summary(trials([0.50, 0.52, 0.60], [0.59, 0.61], (0.7, 0.1), chosen=15), "churn", ASKED)
    assert (found["trials"], found["sizes"], found["best"], found["best_ap"]) == (3, 2, 2, 0.60)
    assert found["median_ap"] == 0.52 and found["code"] == "stable"
    assert found["chosen"] == {"trial": 15, "ap": 0.7, "code": "size", "settings": {"units": 15}}


@pytest.mark.parametrize(
    ("ap", "sizes", "chosen", "code"),
    [
        ([0.50, 0.52, 0.60], (), 2, "best"),
        ([0.50, 0.52, 0.60], (), 0, "first"),
        ([0.50, 0.52, 0.60], (0.4, 0.4), 16, "size"),
        ([0.60, 0.52, 0.50], (0.4, 0.4), 0, "best"),  # compared with the sizes
        ([0.60, 0.52, 0.50], (), 0, "only"),  # compared with nothing
    ],
)
def test_the_chosen_settings_need_not_be_those_of_the_best_trial(ap, sizes, chosen, code) -> None:
    (found,) = search_summary(trials(ap, [0.59, 0.61], sizes, chosen), "churn", ASKED)
    assert (found["chosen"]["code"], found["chosen"]["trial"]) == (code, chosen)


@pytest.mark.parametrize(("language", "finalists", "size"), [
    ("en", "the finalists of a search (its first trial, its best", "one of the 2 tree sizes tried after the search"),
    ("ko", "마지막 후보(첫 시도, 최고 시도", "탐색 뒤에 시도한 나무 크기 2가지 가운데 하나"),
])  # fmt: skip
def test_the_page_tells_the_best_trial_from_the_chosen_one(language, finalists, size) -> None:
    parts = trials([0.50, 0.52, 0.60], [0.59, 0.61], (0.7, 0.1), chosen=15)["trials"]
    first = trials([0.50, 0.52, 0.60], [0.53, 0.54], chosen=0, target="sticker")["trials"]
    text = told({"trials": pd.concat([parts, first])}, language)
    assert finalists in text and size in text
    if language == "en":
        assert "gru: the best of 3 trials (0 given up early) has an AP of 0.600, 0.080 above their median" in text
        assert "The best trial is stable" in text and "The best trial was lucky in part" in text
        assert "Learned from all training windows the first trial does better" in text
        assert "Crosses are the best trial under other seeds." in text and "same settings under other seeds" not in text


def test_a_pair_has_the_mean_and_the_spread_of_its_seeds() -> None:
    found = experiments_summary(pairs({("none", "gru"): [0.5, 0.6, 0.7], ("none", "bilstm"): [0.9]}), "churn")
    assert found["seeds"] == 3 and found["fits"] == 4
    one, two = found["cells"]
    assert one["architecture"] == "gru" and one["ap"] == pytest.approx(0.6) and one["sd"] == pytest.approx(0.1)
    assert one["chosen"] and not two["chosen"] and pd.isna(two["sd"])
    heatmap = experiments_figure(found, Texts.load("en")).data[0]
    assert heatmap.text[0][1] == "0.600<br>± 0.100<br>3 seeds" and heatmap.text[0][0] == "0.900"
    assert heatmap.textfont.size == 11


@pytest.mark.parametrize(("language", "one", "more"), [("en", "under one seed", "standard deviation"),
                                                       ("ko", "한 시드로 한 번씩", "표준편차")])  # fmt: skip
def test_one_seed_has_a_caption_of_its_own(language: str, one: str, more: str) -> None:
    single, several = {("none", "gru"): [0.5], ("none", "bilstm"): [0.4]}, {("none", "gru"): [0.5, 0.6]}
    text = told({"experiments": pairs(single)["experiments"]}, language)
    assert one in text and more not in text
    text = told({"experiments": pairs(several)["experiments"]}, language)
    assert more in text and one not in text


def test_the_figure_marks_the_chosen_trial_and_counts_from_one() -> None:
    tables = trials([0.50, 0.52, 0.60], [0.59, 0.61], (0.7, 0.1), chosen=15)
    other = tables["trials"].assign(model="lightgbm_7days", ap=tables["trials"]["ap"] / 2)
    table = pd.concat([tables["trials"], other])
    figure = trials_figure(table, search_summary({"trials": table}, "churn", ASKED), Texts.load("en"))
    assert [note.text for note in figure.layout.annotations] == ["<b>gru</b>", "<b>lightgbm_7days</b>"]
    for axis, factor in (("y", 1), ("y2", 0.5)):
        panel = [trace for trace in figure.data if (trace.yaxis or "y") == axis]
        by = {trace.marker.symbol: trace for trace in panel if trace.mode == "markers"}
        assert list(panel[0].x) == [1, 2, 3], "the line of the best so far is of the search alone"
        assert list(by["diamond"].x) == [16] and by["diamond"].marker.color == ORANGE
        assert list(by["square"].x) == [17] and list(by["square"].y) == pytest.approx([0.1 * factor])
        assert set(by["x-thin"].x) == {3}, "the best trial's, not the chosen one's"
        assert list(by["circle"].x) == [1, 2, 3]


def test_nothing_tried_is_nothing_to_show() -> None:
    assert experiments_summary({}, "churn") is None and search_summary({}, "churn", ASKED) == []
    assert experiments_figure(None, Texts.load("ko")) is None
    assert trials_figure(trials([0.5], [])["trials"].head(0), [], Texts.load("ko")) is None
