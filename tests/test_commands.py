"""What commands say of what they did: paths, figures, and the exit code that drift asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from tschurn import commands, recalibrating, scoring

Call = Callable[..., tuple[int, str, str]]
SUMMARY = {
    "anchor_day": "2026-11-22", "scored": 1200, "unscored": {"not_active": 56},
    "targets": {"churn": {"choice": "level"}},
    "segments": {"priority": 12, "rest": 1188}, "calls": {"call": 10, "holdout": 2, "resting": 0},
}  # fmt: skip


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], list]:
    """A recommendation → `score` and `recalibrate` that say so, of the files that are in a folder; → what they were
    asked."""
    (tmp_path / "scores.csv").touch()
    (tmp_path / "priority_group.csv").touch()

    def say(recommendation: str) -> list:
        asked: list = []

        def act(*given: object, **named: object) -> SimpleNamespace:
            asked.append((*given, {k: v for k, v in named.items() if k != "progress"}))
            return SimpleNamespace(
                folder=tmp_path, summary=SUMMARY, warnings=["views fell by half"], recommendation=recommendation
            )

        monkeypatch.setattr(scoring, "score", act)
        monkeypatch.setattr(recalibrating, "recalibrate", act)
        return asked

    return say


@pytest.mark.parametrize("recommendation", ["fine", "recalibrate", "retrain", "unknown"])
@pytest.mark.parametrize("fail_on", [None, "recalibrate", "retrain"])
def test_drift_decides_the_exit_code_only_where_it_is_asked_to(
    tschurn: Call, scored: Callable, recommendation: str, fail_on: str | None
) -> None:
    scored(recommendation)
    enough = {"recalibrate": ("recalibrate", "retrain"), "retrain": ("retrain",)}.get(fail_on, ())
    code, out, err = tschurn("score", "run", *(("--fail-on", fail_on) if fail_on else ()))
    assert code == (3 if recommendation in enough else 0)
    assert f"drift    {recommendation}" in out.splitlines() and " WARNING views fell by half" in err
    assert "tschurn: " not in err


def test_what_is_printed_of_a_score(tschurn: Call, scored: Callable, tmp_path: Path) -> None:
    scored("fine")
    out = tschurn("score", "run")[1].splitlines()
    assert f"list     {tmp_path / 'priority_group.csv'}" in out and not any("unscored.csv" in line for line in out)
    assert "  12 of 1,200 users to look after first, 2 of them held out, as of 2026-11-22" in out
    assert "  56 not scored: not_active" in out


def test_what_is_printed_of_a_recalibration(tschurn: Call, scored: Callable, tmp_path: Path) -> None:
    scored("unknown")
    assert tschurn("recalibrate", "run")[1].splitlines() == [f"folder   {tmp_path}", "  churn: level"]


def test_json_of_a_score(tschurn: Call, scored: Callable, tmp_path: Path) -> None:
    scored("retrain")
    code, out, _ = tschurn("score", "run", "--fail-on", "recalibrate", "--json", "--quiet")
    answer = json.loads(out)
    assert (code, answer["exit_code"], answer["outcome"]) == (3, 3, "drift")
    assert answer["summary"]["recommendation"] == "retrain" and answer["summary"]["scored"] == 1200
    assert answer["warnings"] == ["views fell by half"] and "error" not in answer
    assert answer["paths"]["scores"] == str(tmp_path / "scores.csv") and "unscored" not in answer["paths"]


def test_what_scoring_is_asked(tschurn: Call, scored: Callable, tmp_path: Path) -> None:
    asked = scored("fine")
    tschurn(
        "score", "a/run", "--log", "new.csv", "--as-of", "2026-11-22", "--out", tmp_path / "out", "--engine", "spark"
    )
    tschurn("score", "a/run")
    tschurn("recalibrate", "a/run", "--log", "new.csv")
    assert asked == [
        (Path("a/run"), {"log": "new.csv", "as_of": date(2026, 11, 22), "out": tmp_path / "out", "engine": "spark"}),
        (Path("a/run"), {"log": None, "as_of": None, "out": None, "engine": None}),
        (Path("a/run"), {"log": "new.csv", "as_of": None}),
    ]


@pytest.mark.parametrize("day", ["monday", "2026-13-01", "2026-02-29", "20261122", "2026-W47-7", "2026-11-22T04", ""])
@pytest.mark.parametrize("command", ["score", "recalibrate"])
def test_what_is_no_day(tschurn: Call, command: str, day: str) -> None:
    code, out, err = tschurn(command, "run", "--as-of", day)
    assert code == 2 and out == "" and f"tschurn: --as-of {day!r}: expected a day as YYYY-MM-DD" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("score", "nowhere"), "nowhere: no finished run"),
        (("score", "nowhere", "--fail-on", "fine"), "--fail-on"),
        (("score", "nowhere", "--mlflow", "sqlite:///x.db"), "MLflow at sqlite"),
        (("report", "nowhere", "--out", "x"), "--out goes with two runs"),
        (("run", "x.toml", "--js"), "--js"),
    ],
)
def test_mistakes(tschurn: Call, arguments: tuple, told: str) -> None:
    code, out, err = tschurn(*arguments)
    assert code == 2 and out == "" and told in err.splitlines()[-1] and err.splitlines()[-1].startswith("tschurn: ")


def test_what_is_said_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"seconds": {"total": 7.5}, "peak_memory_mib": 99}')
    model = {"name": "gru", "ap": 0.5, "base_rate": 0.25, "auc": 0.75}
    summary = {
        "experiment": "small", "rows": 9, "users": 3, "windows": {}, "notes": [],
        "segments": {"priority": 1, "rest": 2},
        "calls": {"call": 0, "holdout": 1, "resting": 0}, "quality": {"counts": {"warning": 2, "note": 1, "info": 0}},
        "targets": {"churn": {"used": "gru", "models": [{"name": "average"}, model]}, "sticker": None},
        "list": [{"user_id": "u7"}],
    }  # fmt: skip
    result = commands.of_run(tmp_path, summary, ["log"])
    assert result.lines == [
        f"report   {tmp_path / 'index.html'}", f"list     {tmp_path / 'priority_group.csv'}",
        "  1 of 3 users to look after first, 1 of them held out",
        "  the log gives 2 warnings: read its quality in the report first",
        "  churn: gru, on test AP 0.500 (base rate 0.250), AUC 0.750", "  sticker: no model, see the report for why",
    ]  # fmt: skip
    told = result.summary
    assert told["seconds"] == {"total": 7.5} and told["peak_memory_mib"] == 99 and told["reused"] == ["log"]
    assert told["used"] == {"churn": model, "sticker": None} and result.paths["manifest"] == tmp_path / "manifest.json"
    assert "u7" not in str(told)
