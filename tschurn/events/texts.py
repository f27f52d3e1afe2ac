"""a text file → its columns and what stands between them, or a sentence on why it is no table."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from tschurn.errors import LogError
from tschurn.events import unpacked

_PEEK, _LONGEST = 1 << 20, 1 << 18  # bytes that are looked at of a file; characters of its lines
_LINE_END = re.compile(r"\r\n|\r|\n")
MOST_COLUMNS = 5_000


def refuse_if_none(file: Path) -> None:
    """Raise LogError for a text file that is no table: broken gzip, binary, without a header or an end of line."""
    start = _start(file)
    if "\0" in start:
        raise LogError(f"{file}: is not text (it holds zero bytes); expected a CSV file in UTF-8")
    longest = max(len(line) for line in _LINE_END.split(start))
    if longest > _LONGEST:
        raise LogError(f"{file}: has a line of more than {longest - 1:,} characters; expected one line for each act")
    if not _first_line(file).strip():
        raise LogError(f"{file}: its first line is empty; expected the names of the columns")
    if (columns := len(header(file))) > MOST_COLUMNS:
        raise LogError(f"{file}: has {columns:,} columns, expected a few (at most {MOST_COLUMNS:,}): one line per act")
    unpacked.refuse_text(file)


def header(file: Path) -> list[str]:
    """The names of the columns, as they stand there."""
    try:
        return next(csv.reader([_first_line(file)], delimiter=separator(file)), [])
    except csv.Error as error:
        raise LogError(f"{file}: its first line is no list of columns ({error})") from None


def separator(file: Path) -> str:
    """What stands between the columns."""
    return max(",;\t|", key=_first_line(file).count)


def apart(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns, the empty and those that are there before in any case numbered: engines want them apart."""
    taken: set[str] = {""}
    found = []
    for k, name in enumerate(names):
        while name.lower() in taken:
            name = f"{name} ({k + 1})"
        taken.add(name.lower())
        found.append(name)
    return tuple(found)


def _first_line(file: Path) -> str:
    return _LINE_END.split(_start(file), maxsplit=1)[0]


def _start(file: Path) -> str:
    return unpacked.start(file, _PEEK).decode("utf-8-sig", errors="replace")
