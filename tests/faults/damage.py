"""a file → the same as a power cut or a failing disk may leave it: cut off, zeros, gone, a bit turned."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

DAMAGES = ("file cut off", "file of zeros", "file deleted", "bit turned")


def files_of(folder: Path, random: np.random.Generator, most: int) -> list[Path]:
    """At most so many files of a run folder, each of a stage, an unfinished search or the top, all as likely.

    Of the two records of counters only one: what both forget nobody can count again, and the run says so.
    """
    stages = folder / "stages"
    places = [folder, stages, *sorted(stages.glob("[!.]*")), *sorted(stages.glob(".*.unfinished.*"))]
    found: dict[str, Path] = {}
    for _ in range(most):
        place = places[random.integers(len(places))]
        deep = place not in (folder, stages)
        files = sorted(f for f in (place.rglob("*") if deep else place.glob("*")) if f.is_file() and _is_ours(f))
        if files:
            file = files[random.integers(len(files))]
            found.setdefault("counters" if "counters" in file.name else str(file), file)
    return list(found.values())


def _is_ours(file: Path) -> bool:
    return file.name != ".lock" and file.suffix != ".log" and ".filled_" not in file.name


def damage(file: Path, kind: str, random: np.random.Generator) -> None:
    """Damage a file; its time of change stays as it was."""
    if kind == "file deleted":
        file.unlink()
        return
    before = file.stat()
    content = bytearray(file.read_bytes())
    place = int(random.integers(max(len(content), 1)))
    if kind == "file cut off":
        del content[place:]
    elif kind == "file of zeros":
        content[place:] = bytes(len(content) - place)
    elif content:
        content[place] ^= 1 << int(random.integers(8))
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
