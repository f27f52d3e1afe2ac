"""What the report says of how long to observe and of who comes back: in figures, in words, in both languages."""

from __future__ import annotations

import re
import runpy
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import LOOKS, OUTCOMES, RETURN_TIMES, SUFFICIENCY
from tschurn.report.figures import draw
from tschurn.report.horizons import UNCLEAR_SE, horizons_summary
from tschurn.report.render import content
from tschurn.report.summary import summarise
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))


def cells(enough: int, target: str = "churn", error: float = 0.01, looks=LOOKS, outcomes=OUTCOMES) -> pd.DataFrame:
    """A map in which AUC grows with the days up to `enough`, and by a hair after that."""
    rows = []
    for outcome in outcomes:
        auc = {d: 0.6 + 0.01 * min(d, enough) + 0.0001 * d for d in looks}
        best = max(auc.values())
        rows += [
            (target, d, outcome, 4321, 1234, 321, 6, 0.2, 0.4, 0.35, 0.45, v, v - 0.02, v + 0.02, best - v,
             0.0 if v == best else error, d == enough)
            for d, v in auc.items()
        ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(SUFFICIENCY.columns))
    SUFFICIENCY.check(frame)
    return frame.sample(frac=1, random_state=0)


def curve(last: int = 90, rate: float = 0.05) -> pd.DataFrame:
    day = np.arange(7, last + 1)
    share = 1 - (1 - rate) ** (day - 7)
    alarms = np.where(day + 28 <= last, 1 - (1 - rate) ** 28 * np.where(day > 40, 1.8, 1.0), np.nan)
    frame = pd.DataFrame({"day": day, "at_risk": 2000 - day, "share": share, "low": np.maximum(share - 0.02, 0),
                          "high": np.minimum(share + 0.02, 1), "false_alarms": np.clip(alarms, 0, 1)})  # fmt: skip
    RETURN_TIMES.check(frame)
    return frame


def told(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))


@pytest.mark.parametrize(
    ("enough", "error", "shape", "code"),
    [
        (7, 0.01, {}, "enough"),
        (28, 0.01, {}, "longer"),
        (3, 0.01, {}, "shorter"),
        (3, UNCLEAR_SE + 0.001, {}, "unclear"),
        (14, 0.01, {"observe_days": 60}, "elsewhere"),
        (7, 0.01, {"outcome_days": 90}, "enough"),
    ],
)
def test_the_verdict_compares_the_experiments_days_with_the_recommended_ones(enough, error, shape, code) -> None:
    experiment = made["experiment"](windows=shape)
    about = horizons_summary({"sufficiency": cells(enough, error=error)}, experiment)["sufficiency"]["churn"]
    assert (about["code"], about["enough"], about["best"]) == (code, enough, 28)
    assert about["outcome"] == (28 if shape.get("outcome_days") else 7)
    if code in ("longer", "shorter"):
        assert (about["difference"] > 0) == (code == "longer")
    assert {(c["ap_over"], c["ap_ratio"]) for c in about["cells"]} == {(0.2, 2.0)}
    for language in ("en", "ko"):
        text = Texts.load(language)
        assert f"horizons.verdict_{code}" in text.words


def test_the_returns_name_the_shares_and_the_first_period_with_few_false_alarms() -> None:
    table = curve()
    about = horizons_summary({"return_times": table}, made["experiment"]())["returns"]
    assert [m["day"] for m in about["marked"]] == [14, 28, 56]
    assert about["marked"][0]["share"] == pytest.approx(1 - 0.95**7)
    assert about["silences"] == 1993 and about["mostly_back"]
    first = table[table["false_alarms"] <= 0.2]["day"]
    assert about["period"] == (None if first.empty else first.iloc[0])
    assert about["longest_period"] == 62
    low = horizons_summary({"return_times": curve(rate=0.001)}, made["experiment"]())["returns"]
    assert low["period"] == 7 and not low["mostly_back"]
    short = horizons_summary({"return_times": curve(last=30)}, made["experiment"]())["returns"]
    assert short["false_alarms"] is None and [m["day"] for m in short["marked"]] == [14, 28]


def test_churned_windows_are_counted_as_the_curve_does() -> None:
    windows = pd.DataFrame({"user_id": [1, 2, 3, 4], "anchor_day": [date(2024, 1, 1)] * 4,
                            "split": ["train", "excluded", "test", "open"],
                            "churned": pd.array([1, 1, 0, None], dtype="Int8")})  # fmt: skip
    about = horizons_summary({"return_times": curve(), "windows": windows}, made["experiment"]())["returns"]
    assert about["windows"] == 1


@pytest.fixture(scope="module")
def pages() -> dict[str, tuple[str, dict, dict]]:
    full = {"sufficiency": pd.concat([cells(28), cells(7, "sticker")]), "return_times": curve()}
    fewer = {"sufficiency": cells(7, looks=LOOKS[:3], outcomes=OUTCOMES[:2]), "return_times": curve(30)}
    cases = {"en": full, "ko": full, "none": {}, "short": fewer}
    found = {}
    for case, more in cases.items():
        experiment = made["experiment"](language="ko" if case == "ko" else "en")
        tables, texts = made["tables"]() | more, Texts.load(experiment.experiment.language)
        summary = summarise(tables, [], experiment, made["manifest"]())
        found[case] = (content(summary, draw(tables, summary, texts), texts), summary, draw(tables, summary, texts))
    return found


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(("kind", "blocks"), [("time", True), ("rolling", True), ("user", False), ("random", False)])
def test_the_lead_says_what_is_measured_on_under_every_split(language: str, kind: str, blocks: bool) -> None:
    tables = made["tables"]() | {"sufficiency": cells(7)}
    text = section(paged(tables, made["experiment"](language, split={"kind": kind})))
    by_blocks, by_days = {
        "en": ("anchor days of validation and calibration", "are divided by days here"),
        "ko": ("검증과 보정 구역의 기준일", "날짜로 나누었습니다"),
    }[language]
    assert (by_blocks in text, by_days in text) == (blocks, not blocks)
    assert "4,321" in text and "1,234" in text


def test_the_stickers_of_staying_users_are_told_apart() -> None:
    tables = made["tables"]() | {"sufficiency": pd.concat([cells(7), cells(7, "sticker")])}
    note = "The sticker's cells count, of these windows, only those whose user stays"
    assert note in section(paged(tables, made["experiment"](), ["sticker_given_stays"]))
    assert note not in section(paged(tables, made["experiment"]()))
    assert note not in section(paged(tables | {"sufficiency": cells(7)}, made["experiment"](), ["sticker_given_stays"]))


def test_a_share_of_false_alarms_that_rises_again_is_told() -> None:
    """The first period with few false alarms says nothing of longer ones."""
    table = curve()
    table["false_alarms"] = table["false_alarms"].mask(table["day"] >= 20, 0.15).where(table["day"] < 50, 0.33)
    about = horizons_summary({"return_times": table}, made["experiment"]())["returns"]
    assert (about["period"], about["rises_again"]) == (20, 0.33)
    assert "it rises again to up to 33%" in section(paged(made["tables"]() | {"return_times": table}))
    table["false_alarms"] = table["false_alarms"].clip(upper=0.2)
    steady = horizons_summary({"return_times": table}, made["experiment"]())["returns"]
    assert steady["rises_again"] is None
    assert "rises again" not in section(paged(made["tables"]() | {"return_times": table}))


def test_windows_that_are_silences_of_their_own_are_not_called_shared() -> None:
    table, churned = curve(), made["tables"]()["windows"]
    churned = churned[(churned["split"] != "excluded") & (churned["churned"] == 1)]
    few = table.assign(at_risk=table["at_risk"] - table["at_risk"].max() + len(churned))
    assert "Each is a silence of its own" in section(paged(made["tables"]() | {"return_times": few}))
    assert "several windows of a user may share one" in section(paged(made["tables"]() | {"return_times": table}))


def paged(tables: dict, experiment=None, notes=()) -> str:
    experiment = experiment or made["experiment"]()
    summary = summarise(tables, notes, experiment, made["manifest"]())
    texts = Texts.load(summary["language"])
    return content(summary, draw(tables, summary, texts), texts)


def section(html: str) -> str:
    return told(re.search(r'<h3 id="sufficiency" data-fold>.*?</section>', html, re.S)[0])


def test_the_page_says_what_is_enough_and_how_many_come_back(pages) -> None:
    text = section(pages["en"][0])
    assert "Churn: without history, 7 days are not enough for an outcome of 7 days." in text
    assert "28 days reach an AUC of 0.883 instead of 0.671 (+0.212)" in text
    assert "Sticker: 7 days are enough for an outcome of 7 days." in text
    assert "Learned from 4,321 training windows, measured on 1,234 windows of 321 users at 6 anchor days" in text
    assert "by day 14 after the anchor 30.2% are back (28.2% to 32.2%)" in text
    assert "Most of what is called churn here is a pause." in text
    assert "too short to compare" not in text


def test_the_page_says_what_the_log_is_too_short_for(pages) -> None:
    text = section(pages["short"][0])
    assert "too short to compare an observation of 28 days" in text
    assert "too short to compare an outcome of 28 days" in text
    assert "too short to say how many come back within 28 days" in text
    assert "too short for a map" in section(pages["none"][0]) and "Too few windows churned" in section(pages["none"][0])


def test_the_figures_hold_every_cell_and_frame_the_recommended(pages) -> None:
    figures = pages["en"][2]
    for target, enough in (("churn", 28), ("sticker", 7)):
        heatmap = figures[f"sufficiency-{target}"]
        assert np.shape(heatmap.data[0].z) == (len(LOOKS), len(OUTCOMES))
        assert {shape.y0 for shape in heatmap.layout.shapes} == {LOOKS.index(enough) - 0.47}
        assert len(heatmap.layout.shapes) == len(OUTCOMES)
    assert {trace.name for trace in figures["returns"].data if trace.name} == {
        "is back",
        "would come back within 28 days",
    }
    assert not [name for name in pages["none"][2] if name.startswith(("sufficiency", "returns"))]


def test_both_languages_hold_the_same_numbers(pages) -> None:
    def numbers(text: str) -> list[str]:
        return sorted(re.findall(r"\d+[.,]\d+", text))

    english, korean = (section(pages[case][0]) for case in ("en", "ko"))
    assert len(numbers(english)) > 200 and numbers(english) == numbers(korean)
    assert pages["en"][1]["horizons"] == pages["ko"][1]["horizons"]
