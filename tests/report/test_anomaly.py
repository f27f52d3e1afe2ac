"""What the report says of unusual last weeks: beside p(churn) in the list, whether to trust it, and what it adds."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import ANOMALY, ANOMALY_CALIBRATION, ANOMALY_GAIN
from tschurn.report.anomaly import anomaly_summary
from tschurn.report.figures import draw
from tschurn.report.render import content
from tschurn.report.summary import summarise
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
MEASURES = ("active_days", "own_acts", "received_acts")


def weeks(priority: pd.DataFrame) -> pd.DataFrame:
    """The first user of the list quieter than ever, the second about as usual, the third unknown, the others busier."""
    users = priority.sort_values("rank")["user_id"].drop(priority.sort_values("rank").index[2])
    n = len(users)
    frame = pd.DataFrame(
        {"user_id": users.to_numpy(), "anchor_day": priority["anchor_day"].iloc[0], "measure": "own_acts",
         "direction": ["quieter", "quieter", *["busier"] * (n - 2)], "times": [400.0, 3.0, *[25.0] * (n - 2)],
         "value": [1.0, 4.0, *[30.0] * (n - 2)], "expected": [12.34, 5.6, *[10.0] * (n - 2)]}
    )  # fmt: skip
    ANOMALY.check(frame)
    return frame


def check(quietest: float = 0.11) -> pd.DataFrame:
    shares = np.full(10, (1 - quietest) / 9)
    shares[0] = quietest
    frame = pd.DataFrame([(m, b, i, 800, s) for m in MEASURES for b in ("train", "later") for i, s in
                          enumerate(shares if b == "later" else np.full(10, 0.1))],
                         columns=list(ANOMALY_CALIBRATION.columns))  # fmt: skip
    ANOMALY_CALIBRATION.check(frame)
    return frame


def gain(target: str, low: float, high: float) -> pd.DataFrame:
    difference = (low + high) / 2
    rows = [(target, "usual", 999, 0.2, 0.5, 0.8, None, None, None),
            (target, "usual_and_anomaly", 999, 0.2, 0.5 + difference, 0.81, difference, low, high),
            (target, "anomaly", 999, 0.2, 0.3, 0.654, -0.2, -0.3, -0.1)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(ANOMALY_GAIN.columns))
    ANOMALY_GAIN.check(frame)
    return frame


def tables(quietest: float = 0.11) -> dict[str, pd.DataFrame]:
    found = made["tables"]()
    both = pd.concat([gain("churn", -0.01, 0.012), gain("sticker", 0.002, 0.02)])
    return found | {"anomaly": weeks(found["priority"]), "anomaly_calibration": check(quietest), "anomaly_gain": both}


@pytest.mark.parametrize(
    ("low", "high", "code"), [(-0.01, 0.02, "nothing"), (0.001, 0.02, "adds"), (-0.02, -0.001, "harms")]
)
def test_a_gain_is_one_where_the_interval_is_clear_of_zero(low: float, high: float, code: str) -> None:
    one = tables() | {"anomaly_gain": gain("churn", low, high)}
    assert anomaly_summary(one, [])["gain"]["churn"]["code"] == code


def test_rare_weeks_are_counted_among_all_and_shown_for_the_list() -> None:
    one = tables()
    listed = one["priority"].sort_values("rank")["user_id"].head(4).tolist()
    found = anomaly_summary(one, listed)
    n = len(one["priority"])
    assert (found["scored"], found["comparable"], found["quieter"], found["busier"]) == (n, n - 1, 1, n - 3)
    assert [found["shown"].get(str(u), {}).get("told") for u in listed] == ["quieter", "usual", None, "busier"]


def test_a_platform_that_has_moved_is_told() -> None:
    assert anomaly_summary(tables(), [])["check"]["moved"] is None
    assert anomaly_summary(tables(0.3), [])["check"]["moved"] == {"share": 0.3, "side": "quietest"}


def test_without_the_table_there_is_none() -> None:
    assert anomaly_summary({}, []) is None


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    cases = {"en": tables(0.3), "ko": tables(0.3), "none": made["tables"]()}
    found = {}
    for case, one in cases.items():
        experiment = made["experiment"](language="ko" if case == "ko" else "en")
        texts = Texts.load(experiment.experiment.language)
        summary = summarise(one, [], experiment, made["manifest"]())
        figures = draw(one, summary, texts)
        assert ("anomaly-check" in figures) == (case != "none")
        found[case] = content(summary, figures, texts)
    return found


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


def test_the_list_shows_it_beside_the_probabilities(pages) -> None:
    rows = re.search(r'<table class="people">.*?</table>', pages["en"], re.S)[0].split("<tr>")
    assert "Last week against their own" in rows[1]
    assert "quieter: own acts 1, expected 12.3; so quiet once in 400 weeks" in plain(rows[2])
    assert "as usual (own acts 4, expected 5.6)" in plain(rows[3])
    assert "too few weeks of their own" in plain(rows[4])
    assert "busier: own acts 30, expected 10; so busy once in 25 weeks" in plain(rows[5])
    assert "Last week against their own" not in re.search(r'<table class="people">.*?</table>', pages["none"], re.S)[0]


def test_each_reason_names_its_column_for_the_narrow_page(pages) -> None:
    row = re.search(r'<table class="people">.*?</table>', pages["en"], re.S)[0].split("<tr>")[2]
    assert re.findall(r'data-head="([^"]*)"', row) == ["Last week against their own", "Why churn", "Why sticker"]


def test_the_page_says_honestly_whether_it_adds_anything(pages) -> None:
    text = plain(re.search(r'<h3 id="anomaly" data-fold>.*?</section>', pages["en"], re.S)[0])
    assert "Churn: it adds nothing to what the models see already." in text
    assert "changes from 0.500 by +0.001, and the interval (−0.010 to +0.012) contains zero" in text
    assert "Sticker: it adds to what the models see." in text and "AUC of 0.654" in text
    assert "30.0%" in text or "30% fall in the quietest tenth" in text
    assert "The training days hold too few weeks" in plain(pages["none"])


def test_both_languages_hold_the_same_numbers(pages) -> None:
    def numbers(case: str) -> list[str]:
        parts = (r'<h3 id="anomaly" data-fold>.*?</figure>', r'<table class="people">.*?</table>')
        told = " ".join(re.search(part, pages[case], re.S)[0] for part in parts)
        return sorted(re.findall(r"\d+[.,]\d+", plain(told)))

    assert len(numbers("en")) > 40 and numbers("en") == numbers("ko")


def test_the_gain_of_a_sticker_given_that_they_stay_is_told_apart() -> None:
    one, experiment, texts = tables(), made["experiment"](), Texts.load("en")
    note = "The sticker's figures are of windows of users who stayed."
    for notes in ([], ["sticker_given_stays"]):
        summary = summarise(one, notes, experiment, made["manifest"]())
        assert (note in plain(content(summary, draw(one, summary, texts), texts))) == bool(notes)
