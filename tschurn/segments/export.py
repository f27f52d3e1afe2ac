"""PRIORITY + REASONS + PROFILE → priority_group.csv, scores.csv: the lists that people work with.

The files open in a spreadsheet with a double click: UTF-8 with a byte order mark, so that Korean is
read as Korean, and no text of the log can become a formula.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tschurn.contracts import MOST_REASONS
from tschurn.runs import writing

if TYPE_CHECKING:
    from tschurn.config import Experiment

GROUP_FILE, SCORES_FILE = "priority_group.csv", "scores.csv"
SEGMENT_NAMES = {
    "en": {"priority": "priority", "other_churners": "other churners", "rest": "rest"},
    "ko": {"priority": "관리우선대상군", "other_churners": "일반이탈군", "rest": "그 외"},
}
# Of the profile, what a caller wants to know before the call, and what the list calls it.
FACTS = {
    "history:recency": "days_since_last_act",
    "history:active_days:28": "active_days_of_last_28",
    "history:tenure": "days_since_first_act",
}
RELIABLE = "reasons_reliable"
# OWASP "CSV injection": a cell that begins so may be run as a formula; control characters and
# blanks before the sign are skipped by some spreadsheets, and full-width signs count as well.
_BLANK = r"[\x00-\x20\x7f\u0085\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]"
FORMULA = rf"^[\x00-\x1f\x7f]|^{_BLANK}*[=+\-@＝＋－＠]"


def write_lists(
    priority: pd.DataFrame,
    reasons: pd.DataFrame | None,
    profile: pd.DataFrame,
    experiment: Experiment,
    folder: Path,
) -> dict[str, Path]:
    """PRIORITY + REASONS + PROFILE → the two files in `folder`; file name → path."""
    everybody = list_table(priority, reasons, profile, experiment)
    group = everybody[(priority["segment"] == "priority").to_numpy()]
    paths = {GROUP_FILE: folder / GROUP_FILE, SCORES_FILE: folder / SCORES_FILE}
    write_csv(group, paths[GROUP_FILE])
    write_csv(everybody, paths[SCORES_FILE])
    return paths


def list_table(
    priority: pd.DataFrame, reasons: pd.DataFrame | None, profile: pd.DataFrame, experiment: Experiment
) -> pd.DataFrame:
    """PRIORITY + REASONS + PROFILE → one row per user for people, in the order of PRIORITY.

    Columns: user_id, rank, segment (in the experiment's language), p_churn and p_sticker with the ends of
    their intervals (p_churn_low, p_churn_high, ...), priority, log_priority, reason_1 to reason_3 (why the user
    is likely to leave; empty without a reason), what each does to the log-odds (reason_1_contribution, ...) and
    whether the explanation agrees with the model for this user (reasons_reliable: true or false), then what the
    profile has of FACTS (nothing with `history = "none"`). The columns are the same in both languages.
    """
    language = experiment.experiment.language
    table = priority.drop(columns="anchor_day").reset_index(drop=True)
    table["segment"] = table["segment"].map(SEGMENT_NAMES[language]).astype("str")
    why = _why(reasons, f"sentence_{language}")
    facts = profile.set_index("user_id")[[fact for fact in FACTS if fact in profile.columns]].rename(columns=FACTS)
    users = table["user_id"]
    return pd.concat([table, *(part.reindex(users).reset_index(drop=True) for part in (why, facts))], axis="columns")


def _why(reasons: pd.DataFrame | None, sentence: str) -> pd.DataFrame:
    """REASONS → user_id (index) → the sentences of the churn target, their contributions, and whether they hold."""
    names = {rank: f"reason_{rank}" for rank in range(1, MOST_REASONS + 1)}
    pushes = {rank: f"{name}_contribution" for rank, name in names.items()}
    if reasons is None:
        empty = pd.DataFrame(columns=[*names.values(), *pushes.values(), RELIABLE], dtype="str")
        return empty.astype(dict.fromkeys(pushes.values(), "float64"))
    churn = reasons[reasons["target"] == "churn"]

    def by_rank(values: str, called: dict[int, str]) -> pd.DataFrame:
        wide = churn.pivot(index="user_id", columns="rank", values=values)
        return wide.reindex(columns=list(called)).rename(columns=called).rename_axis(columns=None)

    told, by = by_rank(sentence, names).astype("str"), by_rank("contribution", pushes).astype("float64").round(3)
    reliable = churn.groupby("user_id")["reliable"].first().astype(bool).map({True: "true", False: "false"})
    return pd.concat([told, by, reliable.astype("str").rename(RELIABLE)], axis="columns")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """A frame → a CSV file for a spreadsheet, whole or not at all.

    UTF-8 with byte order mark, lines ended by CR LF, six significant digits, nothing for null.
    Text that could be run as a formula gets an apostrophe before it; numbers stay numbers.
    """
    safe = frame.infer_objects().apply(lambda column: _without_formulas(column) if _is_text(column) else column)
    safe.columns = _without_formulas(pd.Series(list(frame.columns), dtype="str")).to_list()
    with writing(path) as beside:
        safe.to_csv(beside, index=False, encoding="utf-8-sig", lineterminator="\r\n", float_format="%.6g")


def _is_text(column: pd.Series) -> bool:
    types = pd.api.types
    return not (types.is_numeric_dtype(column) or types.is_datetime64_any_dtype(column))


def _without_formulas(column: pd.Series) -> pd.Series:
    """A column of text → the same with an apostrophe before whatever could be run as a formula."""
    text = column.astype("str")
    risky = text.str.contains(FORMULA, regex=True).fillna(False).astype(bool)
    if column.dtype == object:  # numbers among text
        risky &= column.map(lambda value: isinstance(value, str)).astype(bool)
    return text.where(~risky, "'" + text)
