"""Several test periods in the report: every figure against plain pandas; who wins how often, said in the page."""

from __future__ import annotations

import re
import runpy
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.contracts import ORIGINS
from tschurn.report.origins import origins_summary
from tschurn.report.render import content
from tschurn.report.summary import summarise
from tschurn.report.verdict import METRIC_NAMES
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
KINDS = {"gru": "network", "bilstm": "network", "recency": "baseline", "lightgbm": "baseline", "average": "average"}


def origins(ap: dict[str, list[float]], used: list[str], target: str = "churn") -> pd.DataFrame:
    """ORIGINS: AP by model and period, the model used in each; all other figures made up."""
    random, rows = np.random.default_rng(3), []
    for place, name in enumerate(used):
        first = date(2024, 3, 1) + timedelta(days=28 * place)
        for model, values in ap.items():
            for metric in METRIC_NAMES:
                value = values[place] if metric == "ap" else random.random()
                about = (target, place + 1, first, first + timedelta(days=14), 100 + place, model, KINDS[model])
                rows.append((*about, metric, value, value - 0.01, value + 0.01, 0.5, model == name))
    frame = pd.DataFrame(rows, columns=list(ORIGINS.columns))
    ORIGINS.check(frame)
    return frame.sample(frac=1, random_state=1)  # the order of rows says nothing


def rolling(asked: int = 3, **sections: dict):
    return made["experiment"](split={"kind": "rolling", "origins": asked}, **sections)


AP = {"gru": [0.5, 0.7, 0.6], "bilstm": [0.4, 0.6, 0.65], "recency": [0.3, 0.2, 0.1], "lightgbm": [0.45, 0.75, 0.5]}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_figures_equal_those_of_pandas(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    names = [str(n) for n in random.choice(list(KINDS), count)]
    table = origins({m: random.random(count).tolist() for m in KINDS}, names)
    found = origins_summary({"origins": table}, rolling(max(2, count)))["targets"]["churn"]
    wide = table.pivot(index="origin", columns=["model", "metric"], values="value")
    of_used = table[table["used"]].pivot(index="origin", columns="metric", values="value")
    assert [p["used"] for p in found["periods"]] == names
    assert set(found["baselines"]) == {"recency", "lightgbm"}
    for got, expected in [(found["used"], of_used), *((found["baselines"][b], wide[b]) for b in found["baselines"])]:
        for metric in METRIC_NAMES:
            assert got[metric]["values"] == expected[metric].to_list()
            assert got[metric]["mean"] == pytest.approx(expected[metric].mean())
            assert (got[metric]["lowest"], got[metric]["highest"]) == (expected[metric].min(), expected[metric].max())
            sd = expected[metric].std()
            assert got[metric]["sd"] == (None if np.isnan(sd) else pytest.approx(sd))
    scores = wide.xs("ap", axis=1, level="metric")
    winners = scores.idxmax(axis=1).to_list()
    assert [p["winner"] for p in found["periods"]] == winners
    assert found["same_winner"] == (winners[0] if len(set(winners)) == 1 else None)
    assert found["same_used"] == (names[0] if len(set(names)) == 1 else None)
    best_baseline = scores[["recency", "lightgbm"]].max(axis=1)
    assert found["beaten"] == (best_baseline > of_used["ap"]).sum()
    means = [found["baselines"][b]["ap"]["mean"] for b in found["baselines"]]
    assert means == sorted(means, reverse=True)


def test_periods_stand_in_order_with_their_days_and_windows() -> None:
    found = origins_summary({"origins": origins(AP, ["gru", "bilstm", "gru"])}, rolling())
    periods = found["targets"]["churn"]["periods"]
    assert [(p["origin"], p["first_day"], p["last_day"], p["windows"]) for p in periods] == [
        (1, date(2024, 3, 1), date(2024, 3, 15), 100),
        (2, date(2024, 3, 29), date(2024, 4, 12), 101),
        (3, date(2024, 4, 26), date(2024, 5, 10), 102),
    ]
    assert [p["ahead"] for p in periods] == [[], ["lightgbm"], []]


def test_a_baseline_that_was_not_everywhere_has_a_gap_and_its_mean_is_of_the_rest() -> None:
    table = origins(AP, ["gru"] * 3)
    table = table[~((table["model"] == "lightgbm") & (table["origin"] == 2))]
    found = origins_summary({"origins": table}, rolling())["targets"]["churn"]
    assert found["baselines"]["lightgbm"]["ap"]["values"] == [0.45, None, 0.5]
    assert found["baselines"]["lightgbm"]["ap"]["mean"] == pytest.approx(0.475)


def test_other_splits_have_no_origins_and_a_target_without_one_is_left_out() -> None:
    table = origins(AP, ["gru"] * 3)
    assert origins_summary({"origins": table}, made["experiment"]()) is None
    assert set(origins_summary({"origins": table}, rolling())["targets"]) == {"churn"}
    assert origins_summary({}, rolling(4)) == {"asked": 4, "targets": {}}


@pytest.fixture(scope="module")
def pages() -> dict[str, tuple[str, dict]]:
    """The page without its figures, and the summary, by case."""
    both = pd.concat([origins(AP, ["gru", "gru", "gru"]), origins(AP, ["gru", "recency", "recency"], target="sticker")])
    cases = {
        "en": (both, rolling()),
        "ko": (both, rolling(language="ko")),
        "fewer": (both[both["origin"] > 1], rolling()),
        "none": (None, rolling()),
        "time": (None, made["experiment"]()),
    }
    found = {}
    for case, (table, experiment) in cases.items():
        tables = made["tables"]() | ({} if table is None else {"origins": table})
        summary = summarise(tables, [], experiment, made["manifest"]())
        html = content(summary, {}, Texts.load(experiment.experiment.language))
        found[case] = (html, summary)
    return found


def section(html: str) -> str:
    """The part of the page about origins, its text only."""
    found = re.search(r'<h3 id="origins">.*?(?=<div class="targets">)', html, re.S)
    return "" if found is None else re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


def test_the_page_says_who_is_chosen_who_wins_and_how_often_a_baseline_is_ahead(pages) -> None:
    text = section(pages["en"][0])
    assert re.search(r"The used model is +gru +each time. On test no model has the highest AP in every period", text)
    assert "The used model is not the same each time" in text
    assert "than the used model in 1 of 3 periods" in text and "than the used model in 2 of 3 periods" in text
    assert "could not be measured" not in text
    assert "0.600 0.500 to 0.700" in text  # of the used model: mean, lowest, highest
    body = re.search(r'id="origins".*?<tbody>(.*?)</tbody>', pages["en"][0], re.S)[1]
    rows = body.split("</tr>")[:-1]
    cells = [re.findall(r'<td class="n">([\d.]+)', row) for row in rows]
    base = [f"{v:.3f}" for v in pages["en"][1]["origins"]["targets"]["churn"]["used"]["base_rate"]["values"]]
    assert cells[:3] == [
        ["0.500", "0.700", "0.600", "0.600"],
        ["0.450", "0.750", "0.500", "0.567"],
        ["0.300", "0.200", "0.100", "0.200"],
    ]
    assert len(cells) == 4 and cells[3][:3] == base and len(cells[3]) == 4
    for day in ("2024-03-01 – 2024-03-15", "2024-04-26 – 2024-05-10"):
        assert day in text


def test_the_first_page_names_the_mean_over_periods(pages) -> None:
    lines = [re.sub("<[^>]+>", "", line) for line in pages["en"][0].split("<li>") if "over 3 test periods" in line]
    assert len(lines) == 2
    assert "is 0.600 on average (0.500 to 0.700); in 1 of them a baseline" in lines[0]


def test_periods_that_could_not_be_measured_are_counted(pages) -> None:
    assert section(pages["fewer"][0]).count("1 of the periods could not be measured") == 2
    assert len(pages["fewer"][1]["origins"]["targets"]["churn"]["periods"]) == 2


def test_both_languages_hold_the_same_numbers(pages) -> None:
    def numbers(text: str) -> list[str]:
        return sorted(re.findall(r"\d+\.\d+|\d{4}-\d\d-\d\d", text))

    english, korean = (section(pages[case][0]) for case in ("en", "ko"))
    assert len(numbers(english)) > 100 and numbers(english) == numbers(korean)
    assert pages["en"][1]["origins"] == pages["ko"][1]["origins"]


def test_without_a_rolling_split_there_is_nothing_of_it(pages) -> None:
    html, summary = pages["time"]
    assert summary["origins"] is None and section(html) == "" and "test periods" not in html
    html, summary = pages["none"]
    assert summary["origins"] == {"asked": 3, "targets": {}} and section(html) == ""
