"""Event log → cases (sessions or day states) → directly-follows graph, variants and main paths.

The directly-follows graph and the variants are those of pm4py (van der Aalst, "Process Mining: Data
Science in Action", 2016, chapter 6), an optional extra. Nothing here depends on the order of the rows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd

from tschurn.exploration import lifecycle

if TYPE_CHECKING:
    from datetime import date

    from tschurn.config import Targets

SESSION_GAP_MINUTES = 30
SHARED_LIMIT = 0.5  # above this share, the steps inside a session have no order to speak of
MAX_STEPS = 2_000_000  # rows of a case table; beyond it whole users are sampled
TOP_VARIANTS = 30
PATH_STEPS = 6
PATH_NAMES = 8
NOT_INSTALLED = "not installed: pip install tschurn[process]"


@dataclass(frozen=True)
class Cases:
    """What a case is and the table of its steps.

    steps: case (0, 1, …), position in the case (0, 1, …), step (a name), in this order.
    kind, reason, shared_share: as in PROCESS_SUMMARY. user_share: share of the users looked at.
    """

    steps: pd.DataFrame
    kind: str
    reason: str
    shared_share: float
    user_share: float = 1.0


@dataclass(frozen=True)
class Discovered:
    """DIRECTLY_FOLLOWS and VARIANTS, the number of all variants, and what found them (or why nothing did)."""

    directly_follows: pd.DataFrame
    variants: pd.DataFrame
    variant_count: int
    discovery: str


# --- cases --------------------------------------------------------------------------------------
def find_cases(event_log: ibis.Table, only_days: bool, last_day: date, targets: Targets) -> Cases:
    """EVENT_LOG → sessions, or day states where the log's times do not order what happens in a session.

    More than MAX_STEPS rows: a sample of the users, the same in every run and in every engine.
    """
    instants = session_instants(event_log)
    shared = instants.rows.sum(where=instants.rows > 1)
    totals = instants.agg(rows=instants.rows.sum(), shared=shared, steps=instants.count()).to_pyarrow().to_pylist()[0]
    shared_share = (totals["shared"] or 0) / (totals["rows"] or 1)
    if not only_days and shared_share <= SHARED_LIMIT:
        share = min(1.0, MAX_STEPS / max(1, totals["steps"]))
        return Cases(sessions(_user_sample(instants, share)), "session", "sessions_ok", shared_share, share)
    days = lifecycle.user_days(event_log, targets)
    share = min(1.0, MAX_STEPS / max(1, days.count().to_pyarrow().as_py()))
    frame = _user_sample(days, share).to_pyarrow().to_pandas(date_as_object=False)
    states = lifecycle.day_states(frame, last_day)
    steps = _numbered(states["case"].diff().ne(0).to_numpy(), states["state"])
    return Cases(steps, "day_states", "only_days" if only_days else "shared_timestamps", shared_share, share)


def session_instants(event_log: ibis.Table) -> ibis.Table:
    """EVENT_LOG → user_id, event_time, rows, step: what a user did at one instant, as one step of a session.

    rows: own events at that instant; step: the most frequent name among them, ties by name.
    """
    own = event_log.filter(lifecycle.is_own(event_log))
    named = own.group_by("user_id", "event_time", "event_name").agg(n=own.count())
    instant = ibis.window(group_by=["user_id", "event_time"])
    first = ibis.window(group_by=["user_id", "event_time"], order_by=[named.n.desc(), named.event_name])
    ranked = named.mutate(rank=ibis.row_number().over(first), rows=named.n.sum().over(instant).cast("int64"))
    return ranked.filter(ranked.rank == 0).select("user_id", "event_time", "rows", step="event_name")


def sessions(instants: ibis.Table) -> pd.DataFrame:
    """The table of `session_instants` → steps of sessions; a new session after a gap of more than 30 minutes."""
    life = ibis.window(group_by="user_id", order_by="event_time")
    before = instants.event_time.lag().over(life)
    starts = before.isnull() | (instants.event_time > before + ibis.interval(minutes=SESSION_GAP_MINUTES))
    ordered = instants.mutate(starts=starts).order_by("user_id", "event_time")
    frame = ordered.select("starts", "step").to_pyarrow().to_pandas()
    return _numbered(frame["starts"].to_numpy(bool), frame["step"])


def _user_sample(table: ibis.Table, share: float) -> ibis.Table:
    """The rows of a share of the users, chosen by the MD5 of their id: no engine's own hash, no seed."""
    if share >= 1:
        return table
    digits = 6
    limit = format(int(share * 16**digits), f"0{digits}x")
    return table.filter(table.user_id.cast("string").hexdigest("md5").substr(0, digits) < limit)


def _numbered(starts: np.ndarray, names: pd.Series) -> pd.DataFrame:
    """Steps in order, and whether each begins a case → steps with case and position."""
    case = np.cumsum(starts) - 1
    position = np.arange(len(case)) - np.flatnonzero(starts)[case]
    return pd.DataFrame({"case": case, "position": position, "step": names.astype("str").to_numpy()}).astype(
        {"case": "int64", "position": "int32", "step": "str"}
    )


# --- what is in them ----------------------------------------------------------------------------
def discover(steps: pd.DataFrame) -> Discovered:
    """Steps of cases → directly-follows graph and variants by pm4py; empty without it."""
    if steps.empty:
        return Discovered(_follows_frame([]), _variants_frame({}), 0, "no cases")
    try:
        import pm4py  # AGPL: an extra
    except ImportError:
        return Discovered(_follows_frame([]), _variants_frame({}), 0, NOT_INSTALLED)
    log = pd.DataFrame(
        {
            "case:concept:name": steps["case"].astype("str"),
            "concept:name": steps["step"],
            # The position stands for the time: pm4py sorts by it, and it is unique in a case.
            "time:timestamp": pd.to_datetime(steps["position"], unit="s", utc=True),
        }
    )
    follows, first, last = pm4py.discover_dfg(log.copy())  # a copy, since it adds columns
    variants = pm4py.get_variants(log)
    edges = [(source, target, n) for (source, target), n in follows.items()]
    edges += [(None, name, n) for name, n in first.items()] + [(name, None, n) for name, n in last.items()]
    return Discovered(_follows_frame(edges), _variants_frame(variants), len(variants), "pm4py")


def paths(steps: pd.DataFrame) -> pd.DataFrame:
    """Steps of cases → PATHS: the first six steps, names beyond the eight most frequent there as 'other'.

    `step` counts from 1. A case that goes on after its sixth step is not said to have ended.
    """
    head = steps[steps["position"] < PATH_STEPS]
    counts = head["step"].value_counts().rename_axis("name").reset_index(name="n")
    top = counts.sort_values(["n", "name"], ascending=[False, True])["name"].head(PATH_NAMES)
    name = head["step"].where(head["step"].isin(top), "other")
    links = pd.DataFrame(
        {
            "step": head["position"] + 1,
            "source": name,
            "target": name.shift(-1).where(head["case"] == head["case"].shift(-1)),
        }
    )
    links = links[links["step"] < PATH_STEPS]
    return (
        links.groupby(["step", "source", "target"], dropna=False)
        .size()
        .reset_index(name="n")
        .sort_values(["step", "n", "source", "target"], ascending=[True, False, True, True], ignore_index=True)
        .astype({"step": "int32", "n": "int64"})
    )


def summarise(cases: Cases, discovered: Discovered) -> pd.DataFrame:
    """→ PROCESS_SUMMARY. Where users were sampled, all but shared_share is of the sample; `discovery` says so."""
    sampled = "" if cases.user_share == 1 else f", on {cases.user_share:.1%} of the users"
    return pd.DataFrame(
        {
            "case_kind": [cases.kind],
            "reason": [cases.reason],
            "shared_share": [cases.shared_share],
            "cases": [int(cases.steps["case"].max()) + 1 if len(cases.steps) else 0],
            "steps": [len(cases.steps)],
            "variants": [discovered.variant_count],
            "discovery": [discovered.discovery + sampled],
        }
    )


def _follows_frame(edges: list[tuple[str | None, str | None, int]]) -> pd.DataFrame:
    frame = pd.DataFrame(edges, columns=["source", "target", "n"]).astype(
        {"source": "str", "target": "str", "n": "int64"}
    )
    return frame.sort_values(["n", "source", "target"], ascending=[False, True, True], ignore_index=True)


def _variants_frame(variants: dict[tuple[str, ...], int]) -> pd.DataFrame:
    """The most frequent variants; of equally frequent ones the shorter first, then by name."""
    top = sorted(variants.items(), key=lambda item: (-item[1], len(item[0]), item[0]))[:TOP_VARIANTS]
    total = sum(variants.values())
    rows = [(json.dumps(names, ensure_ascii=False), len(names), n, n / total) for names, n in top]
    return pd.DataFrame(rows, columns=["steps", "length", "cases", "share"]).astype(
        {"steps": "str", "length": "int64", "cases": "int64", "share": "float64"}
    )
