"""two run folders → in what they differ but for times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# With times in them. counters.json holds keys that are the same only in the same place of the log.
_TIMED = {"manifest.json", "stage.json", "counters.json"}
_OF_THE_ATTEMPT = {"seconds", "reused", "peak_memory_mib", "stages", "finished"}  # keys of manifest.json


def differences(folder: Path, pattern: Path) -> list[str]:
    """A finished run's folder and that of an undisturbed run → what is different; nothing if nothing is."""
    here, there = ({name for name, _ in _files(place)} for place in (folder, pattern))
    wrong = [f"missing: {name}" for name in sorted(there - here)]
    wrong += [f"surplus: {name}" for name in sorted(here - there)]
    wrong += [f"different: {name}" for name in half_written(folder, pattern, set())]
    wrong += [f"left: {file.name}" for place in (folder, folder / "stages") for file in place.glob(".*")
              if file.name not in (".lock", ".counters.json")]  # fmt: skip
    one, other = _lasting(folder), _lasting(pattern)
    return wrong + [f"manifest: {key}" for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)]


def half_written(folder: Path, pattern: Path, but: set[str]) -> list[str]:
    """The files under final names that are not as in an undisturbed run."""
    return [
        name for name, file in _files(folder)
        if file.name not in _TIMED and name not in but
        and (pattern / name).exists() and file.read_bytes() != (pattern / name).read_bytes()
    ]  # fmt: skip


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files under final names. What libraries said is no result, nor is a list that may have been filled in and that
    the run moved aside."""
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        result = file.suffix != ".log" and ".filled_" not in file.name
        if file.is_file() and result and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix(), file


def _lasting(folder: Path) -> dict[str, Any]:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return {key: value for key, value in manifest.items() if key not in _OF_THE_ATTEMPT}
