"""Steps of cases → which sequences of steps there are, and the most frequent ones of all, churned and stayed users.

A sequence is one text in the engine: for each step its position, the length of its name, its name. Positions have nine
digits, so that the texts of the steps sort alike in every engine, and none needs to aggregate in an order.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from tschurn.contracts import PROCESS_GROUPS, VARIANTS
from tschurn.exploration.cases import md5

if TYPE_CHECKING:
    from tschurn.exploration.cases import Cases

TOP_VARIANTS = 30
_PLACE, _LENGTH = 9, 6  # digits


def variants(cases: Cases) -> tuple[pd.DataFrame, dict[str, int]]:
    """Cases → VARIANTS, and how many variants each group has."""
    found = [_most_frequent(_sequences(cases, group)) for group in PROCESS_GROUPS]
    frames = [frame.assign(group=group) for group, (frame, _) in zip(PROCESS_GROUPS, found, strict=True)]
    table = pd.concat(frames, ignore_index=True)[list(VARIANTS.columns)]
    types = {"group": "str", "steps": "str", "length": "int64", "cases": "int64", "share": "float64"}
    return table.astype(types), {group: n for group, (_, n) in zip(PROCESS_GROUPS, found, strict=True)}


def _sequences(cases: Cases, group: str) -> ibis.Table:
    """→ one row per case of the group: length and text."""
    steps = cases.steps
    case = "case"
    if group != "all":
        steps = steps.filter(steps.churned == (group == "churned"))
        case = "block" if cases.kind == "day_states" else case  # a life is in no group, its stretches are
    first = steps.position.min().over(ibis.window(group_by=["user_id", case]))
    steps = steps.mutate(position=steps.position - first)  # of a stretch that is not the life's first
    place = steps.position.cast("string").lpad(_PLACE, "0")
    entry = place + steps.step.length().cast("string").lpad(_LENGTH, "0") + steps.step
    texts = steps.group_by("user_id", case).agg(entries=entry.collect(), length=steps.count())
    return texts.select("length", text=texts.entries.sort().join(""))


def _most_frequent(sequences: ibis.Table) -> tuple[pd.DataFrame, int]:
    """Sequences → the most frequent as rows of VARIANTS without the group, of equally frequent ones the shorter first;
    and the number of all."""
    counted = sequences.group_by("text", "length").agg(cases=sequences.count())
    totals = counted.agg(variants=counted.count(), cases=counted.cases.sum()).to_pyarrow().to_pylist()[0]
    order = [counted.cases.desc(), counted.length, md5(counted.text)]  # no engine sorts texts like another
    top = counted.order_by(order).limit(TOP_VARIANTS).to_pyarrow().to_pylist()
    rows = [(row["cases"], json.dumps(_names(row["text"]), ensure_ascii=False), row["length"]) for row in top]
    frame = pd.DataFrame(rows, columns=["cases", "steps", "length"])
    return frame.assign(share=frame["cases"] / float(totals["cases"] or 1)), int(totals["variants"])


def _names(text: str) -> list[str]:
    """The text of a sequence → the names of its steps."""
    names, at = [], 0
    while at < len(text):
        begins = at + _PLACE + _LENGTH
        at = begins + int(text[at + _PLACE : begins])
        names.append(text[begins:at])
    return names
