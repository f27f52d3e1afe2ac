"""What the report says of the removed columns: a loss is told as one, and where none shows, what stays open."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import ABLATION
from tschurn.report.ablation import ablation_summary
from tschurn.report.figures import draw
from tschurn.report.render import content
from tschurn.report.summary import summarise
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
Ends = tuple[float, float] | None
WIDE, NONE, LOSS, GAIN = (-0.022, 0.012), (0.0, 0.0), (-0.09, -0.014), (0.003, 0.034)


def row(target: str, model: str, inputs: str, ap: Ends = None, auc: Ends = None, **other: object) -> dict[str, object]:
    found: dict[str, object] = {"target": target, "model": model, "inputs": inputs, "columns": 47, "windows": 2407,
                                "daily_features": None, "base_rate": 0.4}  # fmt: skip
    for metric, value, ends in (("ap", 0.749, ap), ("auc", 0.83, auc)):
        low, high = ends or (None, None)
        found |= {metric: value, f"{metric}_low": value - 0.05, f"{metric}_high": value + 0.05,
                  f"{metric}_difference": None if inputs == "all" else 0.0 if ends is None else np.mean(ends),
                  f"{metric}_difference_low": low, f"{metric}_difference_high": high}  # fmt: skip
    return found | other


def table(*rows: dict[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)[list(ABLATION.columns)].astype({"daily_features": "Int32"})
    ABLATION.check(frame)
    return frame


def both(ap: Ends, auc: Ends, target: str = "churn") -> list[dict[str, object]]:
    everything = row(target, "bilstm", "all", columns=341)
    return [everything, row(target, "bilstm", "independent", WIDE, WIDE, columns=263),
            row(target, "bilstm", "kept", ap, auc)]  # fmt: skip


@pytest.mark.parametrize(
    ("ap", "auc", "code"),
    [
        (WIDE, WIDE, "nothing"), (LOSS, WIDE, "lost"), (WIDE, LOSS, "lost"), (GAIN, WIDE, "gained"),
        (WIDE, GAIN, "gained"), (GAIN, LOSS, "lost"), (NONE, NONE, "same"), (None, None, "unknown"),
    ],
)  # fmt: skip
def test_a_row_is_told_by_its_intervals(ap: Ends, auc: Ends, code: str) -> None:
    about = ablation_summary({"ablation": table(*both(ap, auc))})["churn"]
    assert [one["code"] for one in about["rows"]] == [None, "nothing", code]
    assert about["code"] == (code if code in ("lost", "gained") else "nothing")
    assert [len(about[c]) for c in ("lost", "gained")] == [code == "lost", code == "gained"]


def test_the_worst_that_is_left_open_is_told_where_nothing_shows() -> None:
    about = ablation_summary({"ablation": table(*both((-0.05, 0.03), WIDE))})["churn"]
    assert about["worst"] == {"ap": -0.05, "auc": -0.022}


def test_targets_that_are_not_in_the_run_are_left_out() -> None:
    assert ablation_summary({}) == {}
    assert list(ablation_summary({"ablation": table(*both(WIDE, WIDE, "sticker"))})) == ["sticker"]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    lives = [row("sticker", "causal_gru", "all", daily_features=38),
             row("sticker", "causal_gru", "kept", WIDE, WIDE, daily_features=4)]  # fmt: skip
    cases = {"en": table(*both(WIDE, LOSS), *lives), "none": None, "gain": table(*both(GAIN, GAIN))}
    cases["ko"] = cases["en"]
    found = {}
    for case, one in cases.items():
        experiment = made["experiment"](language="ko" if case == "ko" else "en")
        texts = Texts.load(experiment.experiment.language)
        tables = made["tables"]() | ({} if one is None else {"ablation": one})
        summary = summarise(tables, [], experiment, made["manifest"]())
        html = content(summary, draw(tables, summary, texts), texts)
        found[case] = plain(re.search(r'<h3 id="ablation" data-fold>.*?<h3 id="stability" data-fold>', html, re.S)[0])
    return found


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("( ", "(")


def test_the_page_says_what_was_lost_and_by_how_much(pages: dict[str, str]) -> None:
    assert "Churn : something was lost. With the selected columns (47), bilstm changes by −0.005 in AP (−0.022 to " \
        "+0.012) and by −0.052 in AUC (−0.090 to −0.014)." in pages["en"]  # fmt: skip
    assert "Sticker : no loss shows." in pages["en"] and "a change of −0.022 in AP and −0.022 in AUC" in pages["en"]
    assert "bilstm all columns 341 0.749 0.699–0.799 – 0.830 0.780–0.880 –" in pages["en"]
    assert "nothing was lost; less is even more." in pages["gain"]
    assert "No model was trained again" in pages["none"]


def test_models_of_whole_lives_are_told_apart(pages: dict[str, str]) -> None:
    assert "4 daily features seen" in pages["en"] and "causal_gru reads whole lives, not columns." in pages["en"]
    assert "whole lives" not in pages["gain"]


def test_it_says_how_it_was_measured(pages: dict[str, str]) -> None:
    assert "2,407 windows of the other half" in pages["en"] and "no test label was touched" in pages["en"]


def test_both_languages_hold_the_same_numbers(pages: dict[str, str]) -> None:
    numbers = {case: sorted(re.findall(r"\d+[.,]\d+", pages[case])) for case in ("en", "ko")}
    assert len(numbers["en"]) > 40 and numbers["en"] == numbers["ko"]
