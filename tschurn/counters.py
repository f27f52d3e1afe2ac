"""a run folder → how often something was done in it, such as looking at test, over all its runs.

Kept twice, each record with a hash of itself, since nobody can count again what a damaged file has forgotten.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from tschurn import disk

LOST = "counters_lost"
Counted = dict[str, list[str]]  # counter → what was counted, each once


class Counters:
    """The counters of a run folder. LOST is one of them: how often both records were lost, so that the others may be
    too small. They then begin with what manifest.json said at the end of the last run that ended."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "counters.json", folder / ".counters.json"
        self._manifest = folder / "manifest.json"
        records = [_record(file) for file in self._files]
        self._counted: Counted = {}
        for record in records:
            for what, seen in (record or {}).items():
                self._counted[what] = list(dict.fromkeys([*self._counted.get(what, []), *seen]))
        if all(record is None for record in records) and any(f.exists() for f in (*self._files, self._manifest)):
            self._counted = _said(self._manifest)
            self._counted.setdefault(LOST, []).append(datetime.now(UTC).isoformat())

    def count(self, what: str, key: str | None) -> int:
        """Raise a counter and return it. What was counted under a key is not counted again under it."""
        seen = self._counted.setdefault(what, [])
        if key is None or key not in seen:
            seen.append(key or f"call {len(seen) + 1}")
        return len(seen)

    def numbers(self) -> dict[str, int]:
        """All counters."""
        return {what: len(seen) for what, seen in self._counted.items()}

    @property
    def records(self) -> dict[Path, dict]:
        """What is to be written where."""
        return dict.fromkeys(self._files, disk.sealed(self._counted))


def _record(file: Path) -> Counted | None:
    """A record; None where it is damaged or missing."""
    return found if (found := disk.read_sealed(file)) is not None else _from_numbers(_json(file))


def _said(manifest: Path) -> Counted:
    found = _json(manifest)
    return _from_numbers(found.get("counters") if isinstance(found, dict) else None) or {}


def _from_numbers(numbers: object) -> Counted | None:
    """Counters as a manifest has them, and as records had them in earlier versions."""
    if not isinstance(numbers, dict) or not all(type(n) is int for n in numbers.values()):
        return None
    return {what: [f"call {n + 1}" for n in range(times)] for what, times in numbers.items()}


def _json(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
