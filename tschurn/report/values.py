"""Tables and cells → plain values: what the parts of the summary share."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from tschurn import contracts

CONTRACTS = {table.name: table for table in vars(contracts).values() if isinstance(table, contracts.Table)}
Tables = Mapping[str, pd.DataFrame]


def table_of(tables: Tables, name: str, target: str | None = None) -> pd.DataFrame:
    """A table by name, empty with the contract's columns where the run has none; or its rows of one target."""
    frame = tables.get(name)
    if frame is None:
        frame = pd.DataFrame({column: [] for column in CONTRACTS[name].columns})
    return frame if target is None else frame[frame["target"] == target]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame → one dict per row."""
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


def first(frame: pd.DataFrame) -> dict[str, Any]:
    """A frame → its first row; empty without one."""
    return records(frame.head(1))[0] if len(frame) else {}


def number(value: Any, missing: Any) -> Any:
    """A finite number, or `missing`."""
    return missing if value is None or pd.isna(value) else float(value)


def parsed(text: str, otherwise: Any) -> Any:
    """A JSON text → its value, or `otherwise` where it is none."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return otherwise


def plain(value: Any) -> Any:
    """Anything above → what JSON knows: numpy scalars unwrapped, days as ISO text, NaN and infinity null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, Iterable):
        return [plain(v) for v in value]
    if pd.isna(value):
        return None
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, pd.Timestamp | date):
        return value.isoformat()[:10]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
