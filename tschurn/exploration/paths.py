"""Steps of cases → main paths for the Sankey, and the users behind each of their links as a file."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from tschurn import spreadsheet
from tschurn.contracts import PATHS
from tschurn.exploration.cases import user_sample
from tschurn.runs import writing

if TYPE_CHECKING:
    from tschurn.exploration.cases import Cases

PATH_STEPS = 6
PATH_NAMES = 8
OTHER = "other"
MOST_ROWS = 1_000_000  # of the file; beyond it whole users are sampled
COLUMNS = ("step", "source", "target", "user_id", "cases")
_LINK = ["step", "source", "target"]


def links(cases: Cases) -> ibis.Table:
    """Cases → step, source, target, user_id, n, known and churned: how many cases of a user take each link.

    The first six steps, names beyond the eight most frequent there as 'other'; `step` counts from 1. A case that goes
    on after its sixth step is not said to have ended. known: cases with a group; churned: those followed by churn.
    """
    head = cases.steps.filter(cases.steps.position < PATH_STEPS)
    counts = head.group_by("step").agg(n=head.count()).to_pyarrow().to_pandas().astype({"step": "str"})
    top = counts.sort_values(["n", "step"], ascending=[False, True])["step"].head(PATH_NAMES).tolist()
    head = head.filter(head.position < PATH_STEPS - 1)
    taken = head.select(
        "user_id", "churned",
        step=head.position + 1,
        source=_folded(head.step, top),
        target=ibis.ifelse(head.next.isnull(), ibis.null("string"), _folded(head.next, top)),
    )  # fmt: skip
    return taken.group_by(*_LINK, "user_id").agg(
        n=taken.count(),
        known=taken.count(where=taken.churned.notnull()),
        churned=taken.count(where=taken.churned.fill_null(False)),  # of nothing but nulls Spark counts null
    )


def paths(cases: Cases, taken: ibis.Table) -> pd.DataFrame:
    """Cases and the table of `links` → PATHS."""
    sums = {"n": taken.n.sum(), "users": taken.count(), "known": taken.known.sum(), "churned": taken.churned.sum()}
    frame = taken.group_by(*_LINK).agg(**sums).to_pyarrow().to_pandas()
    types = {"step": "int32", "source": "str", "target": "str", **dict.fromkeys(sums, "int64")}
    frame = frame.astype(types).sort_values(
        ["step", "n", "source", "target"], ascending=[True, False, True, True], ignore_index=True
    )
    known = frame["known"].where((frame["known"] > 0) & (cases.kind == "session"))
    stands = frame.groupby(["step", "source"])["n"].transform("sum")
    return frame.assign(
        share_of_start=frame["n"] / max(1, frame.loc[frame["step"] == 1, "n"].sum()),
        share_of_previous=frame["n"] / stands,
        churned_share=(frame["churned"] / known).astype("float64"),
    )[list(PATHS.columns)]


def write_users(taken: ibis.Table, path: Path, hide: Callable[[pd.Series], pd.Series] | None = None) -> float:
    """The table of `links` → a CSV file for a spreadsheet: step, source, target, user_id, cases; position by position
    from the engine, whole or not at all; → the share of the users in it.

    hide: ids → what is to stand in their place. Beyond MOST_ROWS rows, a sample of the users, each with all rows.
    A cell that could be run as a formula gets an apostrophe before it; empty: the case ended.
    """
    rows = int(taken.count().to_pyarrow().as_py())
    share = min(1.0, MOST_ROWS / max(1, rows))
    chosen = user_sample(taken, share).select(*_LINK, "user_id", cases="n")
    with writing(path) as beside, beside.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for step in range(1, PATH_STEPS):
            part = chosen.filter(chosen.step == step).order_by("source", "target", "user_id")
            frame = part.to_pyarrow().to_pandas()
            frame["user_id"] = (hide(frame["user_id"]) if hide else frame["user_id"]).astype("str")
            for name in ("source", "target", "user_id"):
                frame[name] = spreadsheet.harmless(frame[name].astype("str"))
            writer.writerows(frame.astype(object).where(frame.notna(), "").itertuples(index=False, name=None))
    return share


def _folded(name: ibis.Value, top: list[str]) -> ibis.Value:
    return ibis.ifelse(name.isin(top), name, OTHER) if top else name
