"""progress, warnings and errors → lines on stderr and in a log file, or bars; a result → stdout.

Everything goes through the logger `tschurn`, so that whoever imports the package can take it over; the handlers here
are set up by the command line alone. A line is `2026-11-22T04:00:00Z INFO windows done in 3.1 s`: UTC, level, text,
and never more than one line, whatever the text holds.
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
import re
import sys
import time
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tschurn.errors import CommandError

LOGGER = logging.getLogger("tschurn")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_LINE_SECONDS = 10
_PACKAGE = str(Path(__file__).parent)
_OWN = "shown"  # mark of a record that the terminal shows in another way
_PASSWORD = re.compile(r"(:/+[^/\s:@]*):[^/\s@]*@")  # of an address; as a path it has one slash
# Controls, line and paragraph ends, halves of characters, and what turns the direction of writing.
_HIDDEN = {"Cc", "Zl", "Zp", "Cs"}
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def masked(text: str) -> str:
    """Any text → the same without the passwords of addresses in it."""
    return _PASSWORD.sub(r"\1:***@", text)


def one_line(text: str) -> str:
    """Any text → the same, masked, as one line: what would end it, or change how a terminal shows it, is escaped."""
    text = masked(text)
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _HIDDEN or c in _TURNING else c
        for c in text
    )


class Messages:
    """What one command says while it works: a bar per stage on a terminal, lines elsewhere and in the log file.

    quiet: only warnings and errors on stderr. level: the least that is told, else INFO. `progress` is the Progress that
    stages are given; `warnings` are the sentences that were warned of, each once.
    """

    def __init__(self, quiet: bool = False, level: str | None = None, file: str | None = None) -> None:
        self.warnings: list[str] = []
        self._live = sys.stderr.isatty() and not quiet
        least = logging.getLevelName(level or "INFO")
        screen = max(least, logging.WARNING) if quiet or (self._live and level is None) else least
        self._bars = _Bars() if self._live else None
        self.progress = _Stages(self._bars)
        self._handlers: list[logging.Handler] = [_Screen(self._bars), _Warned(self.warnings)]
        self._handlers[0].setLevel(screen)
        if file is not None:
            self._handlers.append(_log_file(file, least))
        self._least = min(handler.level or logging.WARNING for handler in self._handlers)

    def __enter__(self) -> Messages:
        self._before = LOGGER.level
        LOGGER.setLevel(self._least)
        for handler in self._handlers:
            LOGGER.addHandler(handler)
        logging.getLogger().addHandler(_FOREIGN)
        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.showwarning = _log_warning
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()
        self._caught.__exit__(None, None, None)
        logging.getLogger().removeHandler(_FOREIGN)
        for handler in self._handlers:
            LOGGER.removeHandler(handler)
            handler.close()
        LOGGER.setLevel(self._before)

    def error(self, sentence: str) -> None:
        """The sentence that a command ends with, as a line; `complain` shows it to people."""
        LOGGER.error("%s", sentence, extra={_OWN: True})


def complain(sentence: str) -> None:
    """The last line on stderr: what went wrong, for people, always after `tschurn: `."""
    _tell(f"tschurn: {one_line(sentence)}")


def state(text: str) -> None:
    """A result → stdout. A reader that is gone (`| head`) has what it wanted; OSError when a disk is full."""
    if text:
        with suppress(BrokenPipeError):
            print(text, flush=True)


def as_json(value: Mapping[str, Any]) -> str:
    """A result → one JSON object on one line; what is no number (NaN) is null."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def speak(utf8: bool) -> None:
    """What stdout and stderr cannot encode is escaped instead of failing; utf8: stdout is UTF-8 whatever the locale."""
    for stream, encoding in ((sys.stdout, "utf-8" if utf8 else None), (sys.stderr, None)):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding or stream.encoding, errors="backslashreplace")


@contextmanager
def flushed() -> Iterator[None]:
    """What was printed in the block is written when it ends; what cannot be then is no error a second time."""
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            _forget(sys.stdout)


class _Stages:
    """The Progress protocol → a bar, or a line when a stage is done and one every ten seconds of a long one."""

    def __init__(self, bars: _Bars | None) -> None:
        self._bars = bars
        self._began: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._finished: set[str] = set()

    def __call__(self, stage: str, done: float, total: float, note: str = "") -> None:
        if self._bars:
            self._bars.show(one_line(stage), done, total, one_line(note))
        if stage in self._finished:
            return
        now = time.monotonic()
        began = self._began.setdefault(stage, now)
        about = f": {note}" if note else ""
        if done >= total:
            self._finished.add(stage)
            LOGGER.info("%s done in %.1f s%s", stage, now - began, about)
        elif now - self._told.setdefault(stage, now) >= _LINE_SECONDS:
            self._told[stage] = now
            LOGGER.info("%s %.0f of %.0f%s", stage, done, total, about)


class _Bars:
    """A bar per stage on a terminal, and lines above them."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description:<16}", markup=False), BarColumn(24), TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False), console=Console(stderr=True),
        )  # fmt: skip
        self._tasks: dict[str, Any] = {}
        self.start, self.stop = self._progress.start, self._progress.stop

    def show(self, stage: str, done: float, total: float, note: str) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total, note=note)
        self._progress.update(self._tasks[stage], completed=done, total=total, note=note)

    def above(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Line(logging.Formatter):
    """A record → time in UTC, level and text, in one line."""

    converter = time.gmtime

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        return one_line(super().format(record))


class _Screen(logging.Handler):
    """Records → stderr, above the bars where there are any."""

    def __init__(self, bars: _Bars | None) -> None:
        super().__init__()
        self._bars = bars
        self._terminal = sys.stderr.isatty()
        self.setFormatter(_Line())

    def emit(self, record: logging.LogRecord) -> None:
        if self._terminal and getattr(record, _OWN, False):
            return
        (self._bars.above if self._bars else _tell)(self.format(record))


class _File(logging.FileHandler):
    """Records → lines at the end of a file. A run does not end because its lines cannot be written."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            raise

    def close(self) -> None:
        with suppress(OSError):  # what a full disk did not take, once more
            super().close()


class _Warned(logging.Handler):
    """Records → the sentences that were warned of, each once."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._sentences = sentences

    def emit(self, record: logging.LogRecord) -> None:
        sentence = masked(record.getMessage())
        if record.levelno == logging.WARNING and sentence not in self._sentences:
            self._sentences.append(sentence)


class _Foreign(logging.Handler):
    """Records of libraries' loggers → DEBUG of ours: they speak of themselves, not of the user's data."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] != LOGGER.name:
            LOGGER.debug("%s: %s", record.name, record.getMessage())


_FOREIGN = _Foreign(logging.WARNING)


def _log_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: IO[str] | None = None, line: str | None = None,
) -> None:  # fmt: skip
    """In place of warnings.showwarning: a warning of ours is a warning, one of a library is for those who look."""
    level = logging.WARNING if filename.startswith(_PACKAGE) else logging.DEBUG
    LOGGER.log(level, "%s: %s (%s:%s)", category.__name__, message, filename, lineno)


def _log_file(path: str, level: int) -> logging.Handler:
    try:
        handler = _File(path, encoding="utf-8", errors="backslashreplace")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CommandError(f"--log-file {path}: cannot be written ({why})") from None
    handler.setLevel(level)
    handler.setFormatter(_Line())
    return handler


def _tell(line: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it any more; the work goes on
        print(line, file=sys.stderr, flush=True)


def _forget(stream: IO[str]) -> None:
    """What is still to be written to a stream that takes no more goes nowhere, also when the interpreter ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _plain(value: Any) -> Any:
    """Values of tables and dates → what JSON has."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(v) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
