"""What one check has found → a row of QUALITY: the checks by name, and how findings are put in order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from tschurn.contracts import QUALITY

SEVERITIES = ("warning", "note", "info")
# Every check, in the order in which findings of one severity are listed.
CHECKS = (
    "short_log", "platform_end", "incomplete_end", "silent_days", "own_silent_days", "low_days", "mass_stop",
    "future", "implausible_start", "implausible_end", "clock_jump", "mixed_zones", "naive_times", "shifted_days",
    "mixed_dates", "same_instant", "unreadable_times", "unreadable_values", "null_user", "null_actor", "null_time",
    "null_event", "null_value", "absent_event", "new_event", "vanished_event", "impossible_rate", "tireless",
    "repeated_rows", "filter", "more", "only_days", "span",
)  # fmt: skip
LISTED = 20  # findings of one check; the rest is counted

Finding = dict[str, Any]


def table(found: list[Finding]) -> pd.DataFrame:
    """Findings → QUALITY: at most LISTED of one check, the gravest first; equal ones keep their order."""
    listed: list[Finding] = []
    for check in CHECKS:
        mine = sorted((f for f in found if f["check"] == check), key=lambda f: SEVERITIES.index(f["severity"]))
        listed += mine[:LISTED]
        if len(mine) > LISTED:
            listed.append(finding("more", mine[LISTED]["severity"], subject=check, value=len(mine) - LISTED))
    listed.sort(key=lambda f: (SEVERITIES.index(f["severity"]), CHECKS.index(f["check"])))
    frame = pd.DataFrame(listed, columns=list(QUALITY.columns))
    text = {c: frame[c].astype(object).where(frame[c].notna(), None) for c in ("subject", "first_day", "last_day")}
    return frame.astype({"rows": "Int64", "share": float, "value": float}).assign(**text)


def finding(
    check: str, severity: str, *, subject: object = None, first: date | None = None, last: date | None = None,
    rows: float | None = None, share: float | None = None, value: float | None = None,
) -> Finding:  # fmt: skip
    return {
        "check": check, "severity": severity, "subject": None if subject is None else str(subject),
        "first_day": first, "last_day": last, "rows": None if rows is None else int(rows), "share": share,
        "value": value,
    }  # fmt: skip


def fetch(table: ir.Table) -> pd.DataFrame:
    """An aggregate of the engine → a frame."""
    return table.to_pyarrow().to_pandas()


def as_days(values: Iterable[Any]) -> np.ndarray:
    """Days of any type → datetime64[D]."""
    return np.array(list(values), dtype="datetime64[D]")
