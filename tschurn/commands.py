"""parsed arguments → what a command did: lines for people, paths and figures for programs. Prints nothing."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tschurn.endings import DRIFT
from tschurn.errors import CommandError

if TYPE_CHECKING:
    from tschurn.contracts import Progress
    from tschurn.scoring import Outcome

LOGGER = logging.getLogger("tschurn")
FAIL_ON = {"recalibrate": {"recalibrate", "retrain"}, "retrain": {"retrain"}}
# What a folder of scores may hold, as people call it.
_SCORED = {
    "list": "priority_group.csv", "scores": "scores.csv", "unscored": "unscored.csv", "drift": "drift.csv",
    "advice": "drift.json", "figures": "score.json",
}  # fmt: skip
_WIDTH = 9


@dataclass
class Result:
    """What a finished command has to say.

    paths: what it wrote, by what it is; summary: JSON-able; lines: the same for people; code: the exit code.
    """

    paths: dict[str, Path]
    summary: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    code: int = 0


Command = Callable[[argparse.Namespace, "Progress"], Result]


def run(arguments: argparse.Namespace, progress: Progress) -> Result:
    """`tschurn run`."""
    from tschurn import config, pipeline

    experiment = config.load(arguments.experiment)
    if Path(arguments.run).name != arguments.run or arguments.run in ("", ".", ".."):
        raise CommandError(f"--run {arguments.run!r}: expected a plain folder name")
    server = _server(arguments.mlflow)
    folder = Path(arguments.reports) / experiment.experiment.name / arguments.run
    outcome = pipeline.run(experiment, folder, progress)
    result = of_run(folder, outcome.summary, outcome.reused)
    if server is not None:
        from tschurn import tracking

        _logged(result, tracking.log_run(folder, server))
    return result


def score(arguments: argparse.Namespace, progress: Progress) -> Result:
    """`tschurn score`."""
    from tschurn import scoring

    as_of, out = _day(arguments.as_of), Path(arguments.out) if arguments.out else None
    server = _server(arguments.mlflow)
    outcome = scoring.score(
        Path(arguments.run), log=arguments.log, as_of=as_of, out=out, progress=progress, engine=arguments.engine
    )
    result = _scored(outcome)
    if server is not None:
        from tschurn import tracking

        _logged(result, tracking.log_score(outcome.folder, server))
    if outcome.recommendation in FAIL_ON.get(arguments.fail_on, ()):
        result.code = DRIFT
    return result


def recalibrate(arguments: argparse.Namespace, progress: Progress) -> Result:
    """`tschurn recalibrate`."""
    from tschurn import recalibrating

    as_of = _day(arguments.as_of)
    outcome = recalibrating.recalibrate(Path(arguments.run), log=arguments.log, as_of=as_of, progress=progress)
    paths = {"folder": outcome.folder}
    chosen = {target: found["choice"] for target, found in outcome.summary["targets"].items()}
    return Result(paths, outcome.summary, [*_places(paths), *(f"  {target}: {how}" for target, how in chosen.items())])


def simulate(arguments: argparse.Namespace, progress: Progress, keys: Sequence[str]) -> Result:
    """`tschurn simulate`; keys: of [simulation], which are options."""
    from tschurn import config, simulator

    given = {key: value for key in keys if (value := getattr(arguments, key)) is not None}
    settings = config.simulation((config.SMALL_SIMULATION if arguments.small else {}) | given)
    folder = Path(arguments.folder)
    made = simulator.simulate(settings, folder, force=arguments.force, progress=progress)
    log, creators, truth = (
        folder / name for name in (simulator.EVENTS_FILE, simulator.CREATORS_FILE, simulator.TRUTH_FILE)
    )
    rates = {"churn_rate": made.churn_rate, "sticker_rate": made.sticker_rate}
    counts = {"rows": made.rows, "creators": made.creators, "windows": made.windows}
    lines = [
        f"log       {log}  {made.rows:,} rows",
        f"creators  {creators}  {made.creators:,}",
        f"truth     {truth}",
        f"  {made.windows:,} windows of 7 + 7 days, one a day: churn rate {made.churn_rate:.3f}, "
        f"sticker rate {made.sticker_rate:.3f}",
        f'  to run on it: [log] path = "{log}", creators = "{creators}", timezone = "{config.PLATFORM_ZONE}", '
        "drop_duplicates = true",
    ]
    return Result({"log": log, "creators": creators, "truth": truth}, counts | rates, lines)


def follow_up(arguments: argparse.Namespace, progress: Progress) -> Result:
    """`tschurn follow-up`."""
    from tschurn import config, follow_up

    experiment = config.load(arguments.experiment)
    if arguments.log is not None:
        experiment = config.with_log(experiment, arguments.log)
    lists = [Path(path) for path in arguments.lists]
    out = Path(arguments.out) if arguments.out else lists[0].parent
    _, sentences = follow_up.follow_up(experiment, lists, out, progress)
    return _page(sentences, out, "follow_up")


def report(arguments: argparse.Namespace, progress: Progress) -> Result:
    """`tschurn report`."""
    folder = Path(arguments.run)
    if arguments.other is None:
        from tschurn import reporting

        if arguments.out is not None:
            raise CommandError("--out goes with two runs; the report of one is drawn in its own folder")
        progress("report", 0, 1)
        reporting.redraw(folder, arguments.language)
        progress("report", 1, 1)
        paths = {"report": folder / "index.html", "figures": folder / "report.json"}
        return Result(paths, lines=_places(paths))
    from tschurn import comparing

    other = Path(arguments.other)
    out = Path(arguments.out) if arguments.out else other
    _, sentences = comparing.compare(folder, other, out, arguments.language, progress)
    return _page(sentences, out, "comparison")


def of_run(folder: Path, summary: dict[str, Any], reused: Sequence[str]) -> Result:
    """A finished run, the report's summary and the stages that were not run again → where the report and the list are,
    and the figures that matter."""
    segments, calls = summary["segments"], summary["calls"]
    counts = summary["quality"]["counts"]
    paths = {"report": folder / "index.html", "list": folder / "priority_group.csv"}
    held = f", {calls['holdout']} of them held out" if calls["holdout"] else ""
    lines = [
        *_places(paths), f"  {segments['priority']} of {sum(segments.values())} users to look after first{held}"
    ]  # fmt: skip
    if noted := counts["warning"]:
        lines.append(f"  the log gives {noted} warning{'s' * (noted > 1)}: read its quality in the report first")
        LOGGER.warning("the log gives %s warning%s: read its quality in the report", noted, "s" * (noted > 1))
    used = {target: _used(found) for target, found in summary["targets"].items()}
    for target, figures in used.items():
        if figures is None:
            lines.append(f"  {target}: no model, see the report for why")
        else:
            lines.append(
                f"  {target}: {figures['name']}, on test AP {figures['ap']:.3f} (base rate "
                f"{figures['base_rate']:.3f}), AUC {figures['auc']:.3f}"
            )
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    told = {key: summary[key] for key in ("experiment", "rows", "users", "windows", "segments", "calls", "notes")}
    told |= {"quality": counts, "used": used, "reused": list(reused)}
    told |= {key: manifest[key] for key in ("seconds", "peak_memory_mib")}
    more = {"scores": "scores.csv", "predictions": "predictions.parquet", "figures": "report.json",
            "manifest": "manifest.json"}  # fmt: skip
    return Result(paths | {what: folder / name for what, name in more.items()}, told, lines)


def _logged(result: Result, mlflow_run: str) -> None:
    result.summary["mlflow_run"] = mlflow_run
    result.lines.append(f"{'mlflow':<{_WIDTH}}run {mlflow_run}")


def _used(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """A target of the summary → the model that is used, with its figures on test."""
    return next(m for m in found["models"] if m["name"] == found["used"]) if found else None


def _scored(outcome: Outcome) -> Result:
    for sentence in outcome.warnings:
        LOGGER.warning("%s", sentence)
    paths = {what: path for what, name in _SCORED.items() if (path := outcome.folder / name).exists()}
    lines = _places({"folder": outcome.folder} | paths)
    told = outcome.summary
    if "segments" in told:
        held = f", {told['calls']['holdout']} of them held out" if told["calls"]["holdout"] else ""
        first = f"{told['segments']['priority']:,} of {told['scored']:,} users to look after first{held}"
        lines.append(f"  {first}, as of {told['anchor_day']}")
        lines += [f"  {users:,} not scored: {reason}" for reason, users in told["unscored"].items()]
    lines.append(f"{'drift':<{_WIDTH}}{outcome.recommendation}")
    summary = told | {"recommendation": outcome.recommendation}
    return Result({"folder": outcome.folder} | paths, summary, lines)


def _page(sentences: Sequence[str], out: Path, name: str) -> Result:
    paths = {"page": out / f"{name}.html", "figures": out / f"{name}.json"}
    return Result(paths, {"sentences": list(sentences)}, [*(f"- {s}" for s in sentences), *_places(paths)])


def _places(paths: dict[str, Path]) -> list[str]:
    return [f"{what:<{_WIDTH}}{path}" for what, path in paths.items()]


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise CommandError(f"--as-of {text!r}: expected a day as YYYY-MM-DD, such as 2026-11-22")
    return day


def _server(given: str | None) -> str | None:
    """--mlflow → where runs are logged; None: they are not. What cannot be logged to is told before hours of work."""
    if given is None:
        return None
    from tschurn import tracking

    uri = given or os.environ.get(tracking.VARIABLE, "")
    tracking.ready(uri)
    return uri
