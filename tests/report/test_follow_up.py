"""The page of a follow-up: every verdict in words, in both languages, and nothing that a list could smuggle in."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tschurn.report.follow_up import build

CALIBRATION = {"windows": 40, "observed": 20, "expected": 22.0, "low": 15.0, "high": 29.0, "rate": 0.5,
               "rate_low": 0.35, "rate_high": 0.65, "promised": 0.55, "off": False, "bins": []}  # fmt: skip
EFFECT = {"assigned": 36, "held_out": 4, "weeks": 1, "rate_assigned": 0.5, "rate_held_out": 0.75, "difference": -0.25,
          "low": -0.5, "high": 0.2, "design_effect": 1.0, "why": None, "base": 0.55, "detectable": 0.5,
          "needed": [{"kept": 0.25, "points": 0.14, "hoped": True, "weeks": 31}], "verdict": "too_small"}  # fmt: skip
PART = {
    "users": 40, "windows": 40, "weeks": 1,
    "contact": {"assigned": 36, "assigned_contacted": 30, "held_out": 4, "held_out_contacted": 1, "other_days": 0,
                "edited": 0},
    "balance": {"assigned": 0.55, "held_out": 0.5, "p": 0.5, "suspicious": False},
    "calibration": {
        t: {"group": CALIBRATION, "held_out": CALIBRATION, "everybody": None} for t in ("churn", "sticker")
    },
    "lift": {"churn": {"lift": 2.0, "low": 1.5, "high": 2.5, "found": 0.4, "share": 0.2}, "sticker": None},
    "effect": {"churn": EFFECT, "sticker": EFFECT | {"needed": []}},
}  # fmt: skip
READ = {"anchor_day": "2026-11-01", "ends": "2026-11-08", "files": ["x"], "listed": 40, "closed": 40, "open": 0,
        "before": 0, "unknown": 0, "inactive": 0, "strangers": []}  # fmt: skip
RESULTS: dict[str, Any] = {
    "experiment": "x", "language": "en", "outcome_days": 7,
    "log": {"first_day": "2026-01-01", "last_day": "2026-11-20"}, "read": [READ],
    "lists": [{"anchor_day": "2026-11-01"} | PART], "pooled": PART, "reasons": [],
}  # fmt: skip


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("target", ["churn", "sticker"])
@pytest.mark.parametrize(
    ("verdict", "better"), [("fewer", "churn"), ("more", "sticker"), ("nothing", ""), ("too_small", "")]
)
def test_every_verdict_has_its_words(tmp_path: Path, language: str, target: str, verdict: str, better: str) -> None:
    """Fewer who go is good, fewer who bring a sticker is not."""
    results = copy.deepcopy(RESULTS) | {"language": language}
    results["pooled"]["effect"][target]["verdict"] = verdict
    told = "\n".join(build(results, tmp_path))
    harm, good = {"en": ("did harm", "Contacting worked"), "ko": ("오히려 해가", "효과가 있었습니다")}[language]
    assert (good in told) == (better == target)
    assert (harm in told) == (verdict in ("fewer", "more") and better != target)
    assert ("31" in told) == (target == "sticker" or verdict == "too_small")


@pytest.mark.parametrize("key", ["open", "before", "unknown", "inactive"])
def test_what_is_left_out_is_told(tmp_path: Path, key: str) -> None:
    results = copy.deepcopy(RESULTS)
    results["read"][0] |= {key: 17, "strangers": ["<b>x"]}
    told = build(results, tmp_path)[1]
    assert "17 users" in told and "left out" in told
    assert "<b>x" not in (tmp_path / "follow_up.html").read_text(encoding="utf-8")


def test_warnings_of_the_hold_out(tmp_path: Path) -> None:
    results = copy.deepcopy(RESULTS)
    results["pooled"]["balance"]["suspicious"] = True
    results["pooled"]["contact"] |= {"edited": 3, "other_days": 5, "assigned_contacted": 0}
    told = " ".join(build(results, tmp_path))
    for part in ("The held-out are not like the others", "In 3 rows", "5 contacts", "Nobody has a day"):
        assert part in told


def test_no_comparison_without_two_sides(tmp_path: Path) -> None:
    results = copy.deepcopy(RESULTS)
    for target in ("churn", "sticker"):
        results["pooled"]["effect"][target] |= dict.fromkeys(
            ("rate_assigned", "rate_held_out", "difference", "low", "high", "detectable")
        ) | {"verdict": "nobody_held_out", "why": "nobody_held_out", "needed": []}
    assert sum("nothing can be said" in sentence for sentence in build(results, tmp_path)) == 1
    assert "None" not in (tmp_path / "follow_up.html").read_text(encoding="utf-8")


def test_reasons_are_data(tmp_path: Path) -> None:
    results = copy.deepcopy(RESULTS)
    results["reasons"] = [EFFECT | {"reason": "own:<script>x", "found": True, "windows": 40}]
    build(results, tmp_path)
    page = (tmp_path / "follow_up.html").read_text(encoding="utf-8")
    assert "own:&lt;script&gt;x" in page and "<script" not in page
