"""files of a run folder ↔ what their note says of them: on the disk before they are believed, checked before use.

What is under a final name was complete when it was renamed. After a power cut or on a failing disk it may still be cut
off, full of zeros or gone: so a stage's note holds the size and a hash of each of its files.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tschurn.errors import MachineError, TschurnError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# How libraries tell it that swallow the number: DuckDB, Arrow and LightGBM by the system's words, NumPy by its own.
_TOLD = re.compile("|".join([*map(os.strerror, sorted(_FULL)), r"\d+ requested and \d+ written"]))
_READERS = 2
_SEAL = "hash"
Contents = dict[str, list[Any]]  # path below the folder → size in bytes, blake2b of the contents


def contents(folder: Path) -> Contents:
    """What a stage's folder holds, its note and the logs of libraries aside."""
    files = sorted(f for f in folder.rglob("*") if f.is_file() and f.name != "stage.json" and f.suffix != ".log")
    with ThreadPoolExecutor(_READERS) as readers:  # hashing leaves the interpreter to others
        return {
            f.relative_to(folder).as_posix(): [f.stat().st_size, digest]
            for f, digest in zip(files, readers.map(_hash, files), strict=True)
        }


def damaged(folder: Path, noted: Contents) -> list[str]:
    """The files of a folder that are not as they were noted: missing, of another size, or with other contents."""

    def whole(name: str) -> bool:
        path, (size, digest) = folder / name, noted[name]
        try:
            return path.stat().st_size == size and _hash(path) == digest
        except OSError:
            return False

    with ThreadPoolExecutor(_READERS) as readers:
        return [name for name, is_whole in zip(noted, readers.map(whole, noted), strict=True) if not is_whole]


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """What is to be JSON, with a hash of it inside."""
    return value | {_SEAL: _seal(value)}


def write_sealed(file: Path, value: dict[str, Any]) -> None:
    """Write JSON with a hash of it inside, under its name only when all is written; lost in a power cut, maybe."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.write_text(json.dumps(sealed(value)), encoding="utf-8")
    beside.replace(file)


def read_sealed(file: Path) -> dict[str, Any] | None:
    """→ what was sealed, or None where that is not what the file holds: missing, cut off, changed."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return found if found.pop(_SEAL) == _seal(found) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _seal(value: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).hexdigest()


def sync(path: Path) -> None:
    """Do not return before a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """The same for a folder and everything below it."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


@contextmanager
def room(where: Path | str) -> Iterator[None]:
    """A block that writes to a place: where there is no room for it, MachineError names the place."""
    try:
        yield
    except MachineError:
        raise
    except Exception as error:
        if is_full(error):
            raise MachineError(no_room(where)) from error
        raise


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that a disk is full, a quota used up, or a file too large."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if not isinstance(error, TschurnError) and _TOLD.search(str(error)):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def no_room(where: Path | str) -> str:
    """→ the sentence for it."""
    return (
        f"{where}: no room left to write to (the disk is full, or a quota or limit on files is reached); make room and "
        "run again: what is finished stays"
    )


def _hash(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
