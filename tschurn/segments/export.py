"""PRIORITY + TOLD + FIRMNESS → LIST, and its files: the lists that people work with.

priority_group.csv and scores.csv open in a spreadsheet with a double click: UTF-8 with a byte order mark, so that
Korean is read as Korean, and no text of the log can become a formula. Beside them the same as Parquet, with types.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tschurn import spreadsheet
from tschurn.contracts import LIST
from tschurn.errors import ListError
from tschurn.runs import write_parquet, writing
from tschurn.segments.holdout import held_out
from tschurn.segments.pseudonyms import pseudonyms, secret

if TYPE_CHECKING:
    from tschurn.config import Experiment

_ROWS = 1 << 16  # that are written at a time
GROUP, EVERYBODY = "priority_group", "scores"  # the lists by file name, with .csv and .parquet
LEFT_OUT = "unscored"  # with .csv
SEGMENT_NAMES = {
    "en": {"priority": "priority", "other_churners": "other churners", "favourites": "favourites", "rest": "rest"},
    "ko": {
        "priority": "관리우선대상군",
        "other_churners": "일반이탈군",
        "favourites": "충성팬보유군",
        "rest": "그 외",
    },
}
FIRM_NAMES = {
    "en": {"firm": "firm", "swing": "swing", "out": "out"},
    "ko": {"firm": "확실", "swing": "유동", "out": "제외"},
}
UNSCORED_NAMES = {
    "en": {"not_active": "no own act in the observed days", "too_new": "known for too short a time"},
    "ko": {"not_active": "관측 기간에 본인 활동 없음", "too_new": "활동 이력이 너무 짧음"},
}
# What stands in the column `action` of those who are not to be called.
LEAVE_ALONE = {
    "en": {
        "holdout": "DO NOT CONTACT: held out, to measure what contacting does",
        "resting": "DO NOT CONTACT: has been contacted recently",
    },
    "ko": {
        "holdout": "연락하지 마세요: 연락 효과를 재기 위해 남겨 둔 비교 대상입니다",
        "resting": "연락하지 마세요: 최근에 이미 연락한 사용자입니다",
    },
}


def write_people(people: pd.DataFrame, experiment: Experiment, folder: Path) -> dict[str, Path]:
    """LIST → priority_group and scores in `folder`, as CSV and as Parquet; file name → path.

    Each file whole or not at all. A list in `folder` in which somebody has filled in days of contact is kept, as
    priority_group.filled_1.csv.
    """
    paths = {}
    for name, table in ((GROUP, group_of(people, experiment)), (EVERYBODY, people)):
        paths |= {f"{name}.{kind}": folder / f"{name}.{kind}" for kind in ("csv", "parquet")}
        _keep_filled(paths[f"{name}.csv"])
        write_csv(table, paths[f"{name}.csv"])
        with writing(paths[f"{name}.parquet"]) as beside:
            write_parquet(beside, LIST.check(table))
    return paths


def write_unscored(unscored: pd.DataFrame, experiment: Experiment, folder: Path) -> None:
    """UNSCORED → unscored.csv in `folder`, with the reason in words, those who acted last first."""
    table = unscored.sort_values(["last_day", "user_id"], ascending=[False, True], kind="stable", na_position="last")
    words = UNSCORED_NAMES[experiment.experiment.language]
    table = table.assign(reason=table["reason"].map(words).astype("str"))
    if experiment.list.pseudonyms:
        table["user_id"] = pseudonyms(table["user_id"], secret())
    write_csv(table, folder / f"{LEFT_OUT}.csv")


def list_table(
    priority: pd.DataFrame,
    told: pd.DataFrame,
    firmness: pd.DataFrame | None,
    experiment: Experiment,
    resting: pd.Series | None = None,
) -> pd.DataFrame:
    """PRIORITY + TOLD + FIRMNESS → LIST: one row per scored user, in the order of PRIORITY.

    resting: ids of users who have been contacted too recently to be on the list (None: nobody). The hold-out is drawn
    among the others of the priority group. The columns are the same in both languages and for every log.

    Raises ConfigError when ids are to be pseudonyms and there is no secret for them.
    """
    language = experiment.experiment.language
    table = priority.reset_index(drop=True)
    users = table["user_id"]
    rests = _rests(users, resting)
    drawn = _drawn(table, (table["segment"] == "priority").to_numpy() & ~rests, experiment)
    firm = pd.Series(dtype="str") if firmness is None else firmness.set_index("user_id")["firm"]
    table = pd.concat([table, told.set_index("user_id").reindex(users).reset_index(drop=True)], axis=1)
    table = table.assign(
        segment=table["segment"].map(SEGMENT_NAMES[language]).astype("str"),
        firm=firm.reindex(users).map(FIRM_NAMES[language]).astype("str").to_numpy(),
        holdout=drawn,
        resting=rests,
        contacted_on=pd.Series(None, index=table.index, dtype="object"),
        outcome_days=experiment.windows.outcome_days,
    )
    for kind, row in (("resting", rests), ("holdout", drawn)):
        table["action"] = table["action"].mask(row, LEAVE_ALONE[language][kind])
    if experiment.list.pseudonyms:
        table["user_id"] = pseudonyms(users, secret())
    return table[list(LIST.columns)]


def group_of(people: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """LIST → the priority group for those who call: best first, whoever is not to be called at the end.

    Who is held out stays in the file, since its return is what the effect is measured with, and callers are kept from
    them three times over, so that neither haste nor a filter makes a call of it: they stand after everybody who is to
    be called, for "the first forty" holds nobody of them; `holdout` is true; and where the others have their action
    stands that they are not to be contacted, which moves with the row when the file is sorted. Their reasons stay,
    for the effect is told by reason. Whoever rests is not in the file at all.
    """
    group = people[
        (people["segment"] == SEGMENT_NAMES[experiment.experiment.language]["priority"]) & ~people["resting"]
    ]
    return group.sort_values(["holdout", "rank"], kind="stable", ignore_index=True)


def counts(people: pd.DataFrame, experiment: Experiment) -> dict[str, int]:
    """LIST → how many of the priority group are to be called (`call`), held out (`holdout`), and rest (`resting`)."""
    group = people[people["segment"] == SEGMENT_NAMES[experiment.experiment.language]["priority"]]
    held, rests = int(group["holdout"].sum()), int(group["resting"].sum())
    return {"call": len(group) - held - rests, "holdout": held, "resting": rests}


def _keep_filled(path: Path) -> None:
    """Another run must not wipe out what callers wrote: a list that is filled in, or unreadable, is moved aside."""
    if not path.is_file():
        return
    try:
        filled = spreadsheet.read(path, ["contacted_on"])["contacted_on"].notna().any()
    except ListError:
        filled = True
    if filled:
        free = next(n for n in count(1) if not path.with_suffix(f".filled_{n}.csv").exists())
        path.rename(path.with_suffix(f".filled_{free}.csv"))


def _rests(users: pd.Series, resting: pd.Series | None) -> np.ndarray:
    """Compared as text: the ids 5 and "5" are the same user, and a call too many is the worse mistake."""
    if resting is None:
        return np.zeros(len(users), dtype=bool)
    return users.astype("str").isin(set(resting.dropna().astype("str"))).to_numpy()


def _drawn(table: pd.DataFrame, candidates: np.ndarray, experiment: Experiment) -> np.ndarray:
    """PRIORITY and who may be called, bool [users] → who is held out, bool [users]."""
    place = np.flatnonzero(candidates)
    place = place[np.argsort(table["rank"].to_numpy()[place], kind="stable")]
    drawn = np.zeros(len(table), dtype=bool)
    if len(place):
        anchor_day = table["anchor_day"].iloc[0]
        drawn[place] = held_out(len(place), experiment.list.holdout, experiment.experiment.seed, anchor_day)
    return drawn


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """A frame → a CSV file for a spreadsheet, whole or not at all.

    UTF-8 with byte order mark, lines ended by CR LF, nothing for null, true and false; numbers stay numbers, with six
    significant digits, and with cents where they are larger than that. Text that could be run as a formula gets an
    apostrophe before it.
    """
    frame = frame.infer_objects()
    head = _without_formulas(pd.Series(list(frame.columns), dtype="str")).to_list()
    with writing(path) as beside, open(beside, "w", encoding="utf-8-sig", newline="") as file:
        for first in range(0, max(len(frame), 1), _ROWS):  # text takes much more memory than what it is made of
            cells = frame.iloc[first : first + _ROWS].apply(_cells)
            cells.to_csv(
                file, index=False, header=head if first == 0 else False, lineterminator="\r\n", float_format=_number
            )


def _number(value: float) -> str:
    """Six digits of 12345678 would be 1.23457e+07: money is not told like that."""
    if 1e5 <= abs(value) < 1e15:
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{value:.6g}"


def _cells(column: pd.Series) -> pd.Series:
    types = pd.api.types
    if types.is_bool_dtype(column):
        return column.astype("boolean").map({True: "true", False: "false"}, na_action="ignore").astype("str")
    if types.is_numeric_dtype(column) or types.is_datetime64_any_dtype(column):
        return column
    return _without_formulas(column)


def _without_formulas(column: pd.Series) -> pd.Series:
    """A column of text → the same with an apostrophe before whatever could be run as a formula."""
    text = column.astype("str")
    safe = spreadsheet.harmless(text)
    if column.dtype == object:  # numbers among text
        safe = safe.where(column.map(lambda value: isinstance(value, str)).astype(bool), text)
    return safe
