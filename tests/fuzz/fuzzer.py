"""A door and good inputs → many changed ones, those kept that reach something new, and what came of each.

Guided by coverage: an input joins the corpus when it reaches a line of the package, or an outcome, that none before it
reached. The door is tried in a process of its own (`work`), so that a crash or a hang of native code is a finding and
not the end; `watch` starts it again. Everything follows from the seed but for the times.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import tschurn

PACKAGE = str(Path(tschurn.__file__).parent)
PROGRAM = Path(__file__).parent / "fuzz.py"
HANG_SECONDS = 30
LONGEST_MESSAGE = 1000
_CHECKED_EVERY = 0.25  # seconds
_FROM_TAKEN = 0.6  # of inputs are made from some that were taken, since most changes make them refused
_REFUSED = "Error: "  # in an outcome's name
_LONGEST = 1 << 18  # bytes of an input


class Broken(AssertionError):
    """A door did what it must not: another exception, a bad message, a result that breaks its contract."""


@dataclass
class Door:
    """What is tried: seeds, tokens that belong to its language, and `enter`, bytes → the name of the outcome.

    `enter` is given an empty folder to work in, and raises Broken, or anything else that it should not.
    """

    name: str
    seeds: Sequence[bytes]
    tokens: Sequence[bytes]
    enter: Callable[[bytes, Path], str]


@dataclass
class Findings:
    """What came of a door: inputs tried, outcomes by name, corpus and lines reached; failures with their inputs."""

    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    corpus: int = 0
    lines: int = 0
    seconds: float = 0.0
    failures: list[tuple[str, bytes]] = field(default_factory=list)


# --- changing inputs ------------------------------------------------------------------------------
ODD = [
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\r\n", b'"', b'""', b"'", b";", b"\t", b"|", b"NaN", b"inf", b"-1",
    b"1e400", b"9" * 40, b"9223372036854775808", b"0x10", b"1_000", "한글".encode(), "한글".encode("cp949"),
    "😀".encode(), "\u2028".encode(), b"../../x", b"%s%n", b"{0}", b"${HOME}", b"=1+1", b"NULL", b"null", b"true",
    b"\x1f\x8b", b"2024-02-30", b"0001-01-01", b"9999-12-31 23:59:59", b"2024-01-01T10:00:00+99:99", b"1970-01-01",
]  # fmt: skip


def changed(data: bytes, draw: random.Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """An input → another one, by one to six small changes; what is packed is unpacked for some of them."""
    if data[:2] == b"\x1f\x8b" and draw.random() < 0.7:
        try:
            return gzip.compress(changed(gzip.decompress(data), draw, tokens, others), 1, mtime=0)
        except (OSError, EOFError, zlib.error):
            pass
    for _ in range(draw.choice((1, 1, 1, 2, 3, 6))):
        data = draw.choice(_CHANGES)(data, draw, tokens, others)
    return data[:_LONGEST]


def _flip(data: bytes, draw: random.Random, *_: Any) -> bytes:
    if not data:
        return data
    found = bytearray(data)
    for _ in range(draw.choice((1, 1, 4))):
        found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
    return bytes(found)


def _insert(data: bytes, draw: random.Random, tokens: Sequence[bytes], _: Sequence[bytes]) -> bytes:
    at, token = draw.randrange(len(data) + 1), draw.choice([*ODD, *tokens])
    return data[:at] + token * draw.choice((1, 1, 1, 2, 500)) + data[at:]


def _cut(data: bytes, draw: random.Random, *_: Any) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + data[at + draw.choice((1, 2, 10, 100, len(data))) :]


def _repeat(data: bytes, draw: random.Random, *_: Any) -> bytes:
    at = draw.randrange(len(data) + 1)
    part = data[at : at + draw.choice((1, 10, 100))]
    return data[:at] + part * draw.choice((2, 3, 100)) + data[at:]


def _splice(data: bytes, draw: random.Random, _: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    other = draw.choice(others)
    return data[: draw.randrange(len(data) + 1)] + other[draw.randrange(len(other) + 1) :]


def _line(data: bytes, draw: random.Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    at = draw.randrange(len(lines))
    other = draw.choice(draw.choice(others).split(b"\n"))
    lines[at : at + 1] = draw.choice(([], [lines[at]] * 2, [other], [lines[at], other], [lines[at], b""]))
    return b"\n".join(lines)


def _cell(data: bytes, draw: random.Random, tokens: Sequence[bytes], _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    at = draw.randrange(len(lines))
    parts = re.split(rb"([,;\t|=])", lines[at])
    parts[draw.randrange(0, len(parts), 2)] = draw.choice([*ODD, *tokens])
    lines[at] = b"".join(parts)
    return b"\n".join(lines)


_CHANGES = (_flip, _insert, _cut, _repeat, _splice, _line, _line, _cell, _cell, _cell)


# --- the process that tries -----------------------------------------------------------------------
def one_sentence(error: Exception, names: Sequence[str]) -> str:
    """A refusal → its outcome's name. Raises Broken where the message is not one for the person who can mend it."""
    message = str(error)
    if not message or "\n" in message or len(message) > LONGEST_MESSAGE:
        raise Broken(f"{type(error).__name__} is no line of at most {LONGEST_MESSAGE} characters: {message[:300]!r}")
    if not any(name in message for name in names):
        raise Broken(f"{type(error).__name__} names none of {names}: {message[:300]!r}")
    return f"{type(error).__name__}: {_kind(message, names)}"


def _kind(message: str, names: Sequence[str]) -> str:
    """A message without what is this input's own: files, quoted values, numbers."""
    for name in names:
        message = message.replace(name, "FILE")
    message = re.sub(r"\S*/\S*", "FILE", message)
    message = re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"", "X", message)
    return re.sub(r"[\d.,]+", "0", message.partition("it has")[0])[:60]


class _Reached:
    """The lines of the package that were run, while it is watching."""

    def __init__(self) -> None:
        self.lines: set[tuple[str, int]] = set()

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line

    def __enter__(self) -> _Reached:
        sys.settrace(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)


def work(door: Door, seed: int, folder: Path, corpus: Path) -> None:
    """Try inputs until ended, or one fails: its bytes are in folder/current; after each a line to standard output."""
    draw, reached, seen = random.Random(seed), _Reached(), set()
    kept = [*door.seeds, *(f.read_bytes() for f in sorted(corpus.glob("*")))]
    queue, taken = list(kept), []  # taken: of those kept, what the door did not refuse
    while True:
        parents = taken if taken and draw.random() < _FROM_TAKEN else kept
        data = queue.pop() if queue else changed(draw.choice(parents), draw, door.tokens, kept)
        (folder / "current").write_bytes(data)
        before = len(reached.lines)
        failure = None
        with reached:
            try:
                outcome = attempt(door, data, folder)
            except Exception as error:
                outcome, failure = "failure", f"{type(error).__name__}: {str(error)[:500]}"
        if (len(reached.lines) > before or outcome not in seen) and failure is None:
            seen.add(outcome)
            kept.append(data)
            if _REFUSED not in outcome:
                taken.append(data)
            (corpus / hashlib.blake2b(data, digest_size=8).hexdigest()).write_bytes(data)
        print(json.dumps([outcome, failure, len(kept), len(reached.lines)]), flush=True)
        if failure is not None:
            return


def attempt(door: Door, data: bytes, folder: Path) -> str:
    """Enter the door in a new folder below `folder`, which is empty again afterwards, and the only one written to."""
    import shutil

    inside, beside = folder / "inside", folder / "beside"
    for path in (inside, beside):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    os.chdir(beside)
    outcome = door.enter(data, inside)
    if left := [p.name for p in beside.iterdir()] + [p.name for p in folder.iterdir()
                                                     if p.name not in ("inside", "beside", "current")]:  # fmt: skip
        raise Broken(f"wrote outside of its folder: {left}")
    return outcome


# --- the process that watches ---------------------------------------------------------------------
def watch(
    name: str, seconds: float, seed: int, folder: Path, most_failures: int = 20, program: Path = PROGRAM
) -> Findings:
    """Let processes try the door `name` (of doors.py) for so long → Findings. A crash or a hang begins a new one."""
    found, ends, began = Findings(), time.monotonic() + seconds, time.monotonic()
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    while time.monotonic() < ends and len(found.failures) < most_failures:
        place = folder / f"work-{seed}"
        place.mkdir()
        failure = _watch_one([str(program), "--work", name, "--seed", str(seed)], place, corpus, ends, found)
        if failure is not None:
            found.failures.append((failure, (place / "current").read_bytes()))
        seed += 1
    found.corpus, found.seconds = len(list(corpus.iterdir())), time.monotonic() - began
    return found


def _watch_one(arguments: list[str], place: Path, corpus: Path, ends: float, found: Findings) -> str | None:
    """One process until the time is over, or it ended or hung → how, or None."""
    log = (place.parent / f"{place.name}.log").open("w+b")
    with subprocess.Popen(
        [sys.executable, *arguments, str(place), str(corpus)], stdout=subprocess.PIPE, stderr=log, bufsize=0
    ) as process:
        os.set_blocking(process.stdout.fileno(), False)
        heard, starting = time.monotonic(), True
        rest = b""
        try:
            while time.monotonic() < ends:
                rest += process.stdout.read() or b""
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    heard, starting = time.monotonic(), False
                    if (failure := _heard(json.loads(line), found)) is not None:
                        return failure
                if process.poll() is not None:
                    log.seek(0)
                    return (
                        f"the process ended with {process.returncode}: {log.read()[-300:].decode(errors='replace')!r}"
                    )
                if time.monotonic() - heard > HANG_SECONDS * (4 if starting else 1):
                    return f"no answer for {HANG_SECONDS} seconds"
                time.sleep(_CHECKED_EVERY)
        finally:
            process.kill()
    return None


def _heard(line: list[Any], found: Findings) -> str | None:
    outcome, failure, _, lines = line
    found.tried += 1
    found.outcomes[outcome] += 1
    found.lines = max(found.lines, lines)
    return failure
