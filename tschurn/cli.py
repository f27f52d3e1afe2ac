"""argv → experiment and stages; the only place that prints.

Exit codes: 0 done, 1 a fault of ours, 2 a mistake of the user's, 130 interrupted. Heavy imports wait until
a run needs them, so that --help answers at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tschurn import __version__

_LINE_SECONDS = 10
# Keys of [simulation] that are options of `tschurn simulate`.
_SIMULATION = {
    "creators": "creators on the list (default 750; with --small 300)",
    "fans": "users who are no creators (default 60000; with --small 6000)",
    "first_day": "first day of the log (default 2022-11-10)",
    "days": "length of the log (default 139)",
    "rows": "rows of the raw log (default 5186966; with --small 600000)",
    "churn_rate": "of all closed windows of 7 + 7 days, one a day (default 0.36)",
    "sticker_rate": "of the same windows (default 0.10)",
    "seed": "of everything random (default 7)",
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command `tschurn`; → exit code."""
    arguments = _parser().parse_args(argv)
    from tschurn.errors import TschurnError

    try:
        return arguments.command(arguments)
    except TschurnError as error:
        if arguments.debug:
            raise
        print(f"tschurn: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("tschurn: interrupted; what is finished stays, and the next run goes on from there", file=sys.stderr)
        return 130
    except Exception as error:
        if arguments.debug:
            raise
        print(
            f"tschurn: internal error: {type(error).__name__}: {error} (run again with --debug for details)",
            file=sys.stderr,
        )
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tschurn", description="From a raw activity log to an explained, prioritised retention list."
    )
    parser.add_argument("--version", action="version", version=f"tschurn {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run an experiment and write its report and lists")
    run.add_argument("experiment", help="an experiment file, such as experiments/complete_journey.toml")
    run.add_argument("--reports", default="reports", metavar="DIR", help="where run folders go (default: reports)")
    run.add_argument(
        "--run", default="latest", metavar="NAME", help="the run's folder below its experiment (default: latest)"
    )
    run.add_argument("--quiet", action="store_true", help="no progress bars")
    run.set_defaults(command=_run)
    simulate = commands.add_parser(
        "simulate", help="write the log of a simulated creator platform, and the truth behind it",
        description="Write the log of a simulated creator platform to DIR: events.parquet, creators.csv, and "
        "truth.parquet with what only a simulator knows. Without options it has the size and the rates of the "
        "founding project's log.",
    )  # fmt: skip
    simulate.add_argument("folder", metavar="DIR", help="where the files go")
    simulate.add_argument("--small", action="store_true", help="a small platform, for trying things out")
    for key, about in _SIMULATION.items():
        metavar = "DAY" if key == "first_day" else "N"
        simulate.add_argument(f"--{key.replace('_', '-')}", metavar=metavar, help=about)
    simulate.add_argument("--force", action="store_true", help="replace a simulation that is there already")
    simulate.add_argument("--quiet", action="store_true", help="no progress bars")
    simulate.set_defaults(command=_simulate)
    follow = commands.add_parser(
        "follow-up", help="what became of the users of past lists, and what contacting them did",
        description="Compare past lists, filled in by the callers, with the log as it is now: whether the scores kept "
        "their word, how the list did against everybody, and what contacting did, as assigned, against the held-out. "
        "Writes follow_up.html and follow_up.json.",
    )  # fmt: skip
    follow.add_argument("lists", nargs="+", metavar="LIST", help="priority_group.csv of one week or more, as it came "
                        "back; scores.csv beside it for everybody scored")  # fmt: skip
    follow.add_argument("--experiment", required=True, metavar="FILE", help="the experiment file of the lists")
    follow.add_argument("--log", metavar="PATH", help="the log as it is now, if it is not where the experiment says")
    follow.add_argument("--out", metavar="DIR", help="where the two files go (default: beside the first list)")
    follow.add_argument("--quiet", action="store_true", help="no progress bars")
    follow.set_defaults(command=_follow_up)
    again = commands.add_parser(
        "report", help="draw the report of a finished run again, or compare two runs",
        description="With one run folder: draw its index.html and report.json again; nothing is computed anew. With "
        "two: write comparison.html and comparison.json: what differs in what was asked, in the models, in why, and in "
        "who comes first.",
    )  # fmt: skip
    again.add_argument("run", metavar="RUN", help="a run folder, such as reports/complete_journey/latest")
    again.add_argument("other", metavar="OTHER", nargs="?", help="a second one, to compare with the first")
    again.add_argument("--out", metavar="DIR", help="where a comparison goes (default: into the second run folder)")
    again.add_argument("--language", choices=("en", "ko"), help="of the page (default: as the run, or the second one)")
    again.add_argument("--quiet", action="store_true", help="no progress bars")
    again.set_defaults(command=_report)
    for command in (parser, run, simulate, follow, again):
        command.add_argument("--debug", action="store_true", default=False if command is parser else argparse.SUPPRESS,
                             help="show tracebacks")  # fmt: skip
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from tschurn import config, pipeline
    from tschurn.errors import ConfigError

    experiment = config.load(arguments.experiment)
    if Path(arguments.run).name != arguments.run or arguments.run in ("", ".", ".."):
        raise ConfigError(f"--run {arguments.run!r}: expected a plain folder name")
    folder = Path(arguments.reports) / experiment.experiment.name / arguments.run
    with _Bars(quiet=arguments.quiet) as bars:
        outcome = pipeline.run(experiment, folder, bars)
    _tell(outcome)
    return 0


def _simulate(arguments: argparse.Namespace) -> int:
    from tschurn import config, simulator

    given = {key: value for key in _SIMULATION if (value := getattr(arguments, key)) is not None}
    settings = config.simulation((config.SMALL_SIMULATION if arguments.small else {}) | given)
    folder = Path(arguments.folder)
    with _Bars(quiet=arguments.quiet) as bars:
        made = simulator.simulate(settings, folder, force=arguments.force, progress=bars)
    print(f"log       {folder / simulator.EVENTS_FILE}  {made.rows:,} rows")
    print(f"creators  {folder / simulator.CREATORS_FILE}  {made.creators:,}")
    print(f"truth     {folder / simulator.TRUTH_FILE}")
    print(
        f"  {made.windows:,} windows of 7 + 7 days, one a day: churn rate {made.churn_rate:.3f}, "
        f"sticker rate {made.sticker_rate:.3f}"
    )
    print(
        f'  to run on it: [log] path = "{folder / simulator.EVENTS_FILE}", creators = '
        f'"{folder / simulator.CREATORS_FILE}", timezone = "{config.PLATFORM_ZONE}", drop_duplicates = true'
    )
    return 0


def _follow_up(arguments: argparse.Namespace) -> int:
    from tschurn import config, follow_up

    experiment = config.load(arguments.experiment)
    if arguments.log is not None:
        experiment = config.with_log(experiment, arguments.log)
    lists = [Path(path) for path in arguments.lists]
    out = Path(arguments.out) if arguments.out else lists[0].parent
    with _Bars(quiet=arguments.quiet) as bars:
        _, sentences = follow_up.follow_up(experiment, lists, out, bars)
    for sentence in sentences:
        print(f"- {sentence}")
    print(f"page     {out / 'follow_up.html'}")
    print(f"figures  {out / 'follow_up.json'}")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from tschurn.errors import ConfigError

    run = Path(arguments.run)
    if arguments.other is None:
        from tschurn import reporting

        if arguments.out is not None:
            raise ConfigError("--out goes with two runs; the report of one is drawn in its own folder")
        with _Bars(quiet=arguments.quiet) as bars:
            bars("report", 0, 1)
            reporting.redraw(run, arguments.language)
            bars("report", 1, 1)
        print(f"report   {run / 'index.html'}")
        print(f"figures  {run / 'report.json'}")
        return 0
    from tschurn import comparing

    other = Path(arguments.other)
    out = Path(arguments.out) if arguments.out else other
    with _Bars(quiet=arguments.quiet) as bars:
        _, sentences = comparing.compare(run, other, out, arguments.language, bars)
    for sentence in sentences:
        print(f"- {sentence}")
    print(f"page     {out / 'comparison.html'}")
    print(f"figures  {out / 'comparison.json'}")
    return 0


def _tell(outcome: Any) -> None:
    """Where the report and the list are, and the three figures that matter."""
    summary, folder = outcome.summary, outcome.folder
    segments = summary["segments"]
    scored, calls = sum(segments.values()), summary["calls"]
    print(f"report   {folder / 'index.html'}")
    print(f"list     {folder / 'priority_group.csv'}")
    held = f", {calls['holdout']} of them held out" if calls["holdout"] else ""
    print(f"  {segments['priority']} of {scored} users to look after first{held}")
    if warnings := summary["quality"]["counts"]["warning"]:
        print(f"  the log gives {warnings} warning{'s' * (warnings > 1)}: read its quality in the report first")
    for target, found in summary["targets"].items():
        if not found:
            print(f"  {target}: no model, see the report for why")
            continue
        used = next(m for m in found["models"] if m["name"] == found["used"])
        print(
            f"  {target}: {used['name']}, on test AP {used['ap']:.3f} (base rate {used['base_rate']:.3f}), "
            f"AUC {used['auc']:.3f}"
        )


class _Bars:
    """A progress bar per stage on a terminal; elsewhere a line per finished stage, and one every ten
    seconds of a long one (the Progress protocol)."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._told: dict[str, float] = {}
        self._finished: set[str] = set()

    def __enter__(self) -> _Bars:
        if not self._quiet and self._live:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bars = Progress(
                TextColumn("{task.description:<16}"), BarColumn(24), TimeElapsedColumn(),
                TextColumn("{task.fields[note]}", markup=False), console=Console(stderr=True),
            )  # fmt: skip
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, stage: str, done: float, total: float, note: str = "") -> None:
        if self._quiet:
            return
        if self._bars:
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task(stage, total=total, note=note)
            self._bars.update(self._tasks[stage], completed=done, total=total, note=note)
        elif stage not in self._finished:
            now = time.monotonic()
            if done >= total:
                self._finished.add(stage)
                print(f"{stage:<16} {note or 'done'}", file=sys.stderr, flush=True)
            elif now - self._told.setdefault(stage, now) >= _LINE_SECONDS:
                self._told[stage] = now
                print(f"{stage:<16} {done:.0f} of {total:.0f}  {note}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
