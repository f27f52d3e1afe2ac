"""argv → a command, what it has to say, and an exit code; the only place that prints, through `messages`.

    stdout   results alone: lines for people, or with --json one object
    stderr   bars on a terminal, elsewhere lines with time and level; a mistake as one sentence after `tschurn: `

Exit codes: 0 done, 1 a fault of ours, 2 a mistake of the user's, 3 done, but drift asks for what --fail-on names,
4 the machine (disk, memory, a process that the system ended), 130 interrupted (SIGINT), 143 ended (SIGTERM). Heavy
imports wait until a command needs them, so that --help answers at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from tschurn import __version__, commands, endings, messages
from tschurn.errors import CommandError

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
    "change": "what changes: tired_creators, bored_fans, fickle_creators or renamed_event (default none)",
    "change_day": "and from which day of the log on, 0 being the first (default none)",
    "change_strength": "by how much, up to 1 (default 0.5)",
}
_EXIT_CODES = "exit codes:\n" + "\n".join(f"  {code:<5}{about}" for code, (_, about) in endings.EXIT_CODES.items())


def main(argv: Sequence[str] | None = None) -> int:
    """The command `tschurn`; → exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    as_json, debug = "--json" in given, "--debug" in given  # also of arguments that cannot be parsed
    answer = _Answer(as_json)
    messages.speak(utf8=as_json)
    with messages.flushed(), endings.signals() as came:
        try:
            arguments = _parser().parse_args(given)
            answer.command = arguments.name
            with messages.Messages(arguments.quiet, arguments.log_level, arguments.log_file) as spoken:
                answer.warnings = spoken.warnings
                try:
                    result = _do(arguments, spoken)
                except BaseException as error:
                    spoken.error(endings.ending(error, came).sentence)
                    raise
            messages.state(answer.of(result))
            return result.code
        except BaseException as error:
            if isinstance(error, SystemExit) or (debug and isinstance(error, Exception)):
                raise
            ended = endings.ending(error, came)
            messages.complain(ended.sentence)
            with suppress(OSError):
                messages.state(answer.of(ended))
            return ended.code


def _do(arguments: argparse.Namespace, spoken: messages.Messages) -> commands.Result:
    began = time.monotonic()
    messages.LOGGER.info("%s of tschurn %s", arguments.name, __version__)
    result = arguments.command(arguments, spoken.progress)
    seconds = time.monotonic() - began
    messages.LOGGER.info("%s done in %.1f s, exit code %s", arguments.name, seconds, result.code)
    return result


class _Answer:
    """What goes to stdout in the end: lines, or one JSON object."""

    def __init__(self, as_json: bool) -> None:
        self.command: str | None = None
        self.warnings: list[str] = []
        self._as_json = as_json
        self._began = time.monotonic()

    def of(self, end: commands.Result | endings.Ending) -> str:
        """A result, or how the command ended without one → text."""
        failed = isinstance(end, endings.Ending)
        if not self._as_json:
            return "" if failed else "\n".join(end.lines)
        answer: dict[str, Any] = {
            "command": self.command, "version": __version__, "outcome": endings.EXIT_CODES[end.code][0],
            "exit_code": end.code,
        }  # fmt: skip
        if failed:
            answer["error"] = {"class": end.error, "message": messages.masked(end.sentence)}
        answer |= {"paths": {} if failed else end.paths, "summary": {} if failed else end.summary}
        answer |= {"warnings": self.warnings, "seconds": round(time.monotonic() - self._began, 3)}
        return messages.as_json(answer)


class _Parser(argparse.ArgumentParser):
    """argparse, with a mistake as an error of ours, and no options by half their name."""

    def __init__(self, **keys: Any) -> None:
        layout = {"epilog": _EXIT_CODES, "formatter_class": argparse.RawDescriptionHelpFormatter}
        super().__init__(**(layout | {"allow_abbrev": False} | keys))

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="tschurn", description="From a raw activity log to an explained, prioritised retention list.")
    parser.add_argument("--version", action="version", version=f"tschurn {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parts = parser.add_subparsers(required=True, metavar="COMMAND", dest="name")
    _add_run(parts)
    _add_score(parts)
    _add_recalibrate(parts)
    _add_simulate(parts)
    _add_follow_up(parts)
    _add_report(parts)
    for command in parts.choices.values():
        _add_messages(command)
    return parser


def _add_messages(command: argparse.ArgumentParser) -> None:
    """What all commands can be told of what they are to say."""
    told = command.add_argument_group("messages")
    told.add_argument("--quiet", action="store_true", help="only warnings and errors on stderr, no bars")
    told.add_argument("--json", action="store_true", help="the result on stdout as one JSON object")
    told.add_argument("--log-level", choices=messages.LEVELS, metavar="LEVEL",
                      help=f"the least that is told: {', '.join(messages.LEVELS)} (default: INFO)")  # fmt: skip
    told.add_argument("--log-file", metavar="FILE", help="add all lines to this file as well, also with --quiet")
    told.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")


def _add_mlflow(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--mlflow", nargs="?", const="", metavar="URI",
        help="log what came out to MLflow as well: to a folder, or a server's address (default: MLFLOW_TRACKING_URI)",
    )  # fmt: skip


def _add_run(parts: Any) -> None:
    run = parts.add_parser("run", help="run an experiment and write its report and lists")
    run.add_argument("experiment", help="an experiment file, such as experiments/complete_journey.toml")
    run.add_argument("--reports", default="reports", metavar="DIR", help="where run folders go (default: reports)")
    run.add_argument(
        "--run", default="latest", metavar="NAME", help="the run's folder below its experiment (default: latest)"
    )
    _add_mlflow(run)
    run.set_defaults(command=commands.run)


def _add_score(parts: Any) -> None:
    score = parts.add_parser(
        "score", help="score everybody anew with a finished run's models, and say whether they still fit",
        description="Score all eligible users at the newest anchor day with the models, calibration, reasons and\n"
        "threshold of a finished run. Writes the lists, who could not be scored, and drift.",
    )  # fmt: skip
    _add_scored(score)
    score.add_argument("--out", metavar="DIR", help="where the files go (default: RUN/scores/<anchor day>)")
    score.add_argument(
        "--engine", choices=("duckdb", "spark"),
        help="who scores: this machine, or Spark's executors (default: as the run's log is read)",
    )  # fmt: skip
    score.add_argument(
        "--fail-on", choices=tuple(commands.FAIL_ON),
        help="end with exit code 3 if drift asks for this, or for more; what is written is the same",
    )  # fmt: skip
    _add_mlflow(score)
    score.set_defaults(command=commands.score)


def _add_recalibrate(parts: Any) -> None:
    recalibrate = parts.add_parser(
        "recalibrate", help="calibrate a finished run's models anew on the newest closed windows, without training",
        description="Calibrate a finished run's models anew on the newest closed windows. Nothing is trained.",
    )  # fmt: skip
    _add_scored(recalibrate)
    recalibrate.set_defaults(command=commands.recalibrate)


def _add_scored(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", metavar="RUN", help="a run folder, such as reports/complete_journey/latest")
    command.add_argument("--log", metavar="NEW", help="the log as it is now (default: where the run's was)")
    command.add_argument("--as-of", metavar="DATE", help="the last day that is looked at, as YYYY-MM-DD")


def _add_simulate(parts: Any) -> None:
    simulate = parts.add_parser(
        "simulate", help="write the log of a simulated creator platform, and the truth behind it",
        description="Write the log of a simulated creator platform to DIR: events.parquet, creators.csv, and\n"
        "truth.parquet with what only a simulator knows. Without options it has the size and the rates of the\n"
        "founding project's log.",
    )  # fmt: skip
    simulate.add_argument("folder", metavar="DIR", help="where the files go")
    simulate.add_argument("--small", action="store_true", help="a small platform, for trying things out")
    for key, about in _SIMULATION.items():
        metavar = {"first_day": "DAY", "change": "CHANGE"}.get(key, "N")
        simulate.add_argument(f"--{key.replace('_', '-')}", metavar=metavar, help=about)
    simulate.add_argument("--force", action="store_true", help="replace a simulation that is there already")
    simulate.set_defaults(command=partial(commands.simulate, keys=tuple(_SIMULATION)))


def _add_follow_up(parts: Any) -> None:
    follow = parts.add_parser(
        "follow-up", help="what became of the users of past lists, and what contacting them did",
        description="Compare past lists, filled in by the callers, with the log as it is now: whether the scores kept\n"
        "their word, how the list did against everybody, and what contacting did, as assigned, against the held-out.\n"
        "Writes follow_up.html and follow_up.json.",
    )  # fmt: skip
    follow.add_argument("lists", nargs="+", metavar="LIST", help="priority_group.csv of one week or more, as it came "
                        "back; scores.csv beside it for everybody scored")  # fmt: skip
    follow.add_argument("--experiment", required=True, metavar="FILE", help="the experiment file of the lists")
    follow.add_argument("--log", metavar="PATH", help="the log as it is now, if it is not where the experiment says")
    follow.add_argument("--out", metavar="DIR", help="where the two files go (default: beside the first list)")
    follow.set_defaults(command=commands.follow_up)


def _add_report(parts: Any) -> None:
    again = parts.add_parser(
        "report", help="draw the report of a finished run again, or compare two runs",
        description="With one run folder: draw its index.html and report.json again; nothing is computed anew. With\n"
        "two: write comparison.html and comparison.json: what differs in what was asked, in the models, in why, and\n"
        "in who comes first.",
    )  # fmt: skip
    again.add_argument("run", metavar="RUN", help="a run folder, such as reports/complete_journey/latest")
    again.add_argument("other", metavar="OTHER", nargs="?", help="a second one, to compare with the first")
    again.add_argument("--out", metavar="DIR", help="where a comparison goes (default: into the second run folder)")
    again.add_argument("--language", choices=("en", "ko"), help="of the page (default: as the run, or the second one)")
    again.set_defaults(command=commands.report)


if __name__ == "__main__":
    sys.exit(main())
