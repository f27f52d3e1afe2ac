"""past lists, as they came back from the callers → who was listed, who was assigned to be contacted, who was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from tschurn import spreadsheet
from tschurn.errors import ListError, did_you_mean
from tschurn.segments.export import SEGMENT_NAMES

COLUMNS = ("user_id", "anchor_day", "segment", "p_churn", "p_sticker", "holdout", "contacted_on")
REASON, RESTING, OUTCOME = "reason_1_feature", "resting", "outcome_days"  # where a list has them
_SEGMENTS = {name.casefold(): code for names in SEGMENT_NAMES.values() for code, name in names.items()} | {
    code: code for names in SEGMENT_NAMES.values() for code in names
}
_ROUNDING = 1e-3  # lists have six digits, spreadsheets may show fewer


def read_lists(paths: Sequence[Path], outcome_days: int) -> pd.DataFrame:
    """Files → one row per line: file, user_id (as written), anchor_day, segment, p_churn, p_sticker, holdout,
    contacted_on, reason (the feature of the first one), resting (was not to be called), edited (its hold-out is not
    that of the Parquet list beside it, which is then taken).

    Raises ListError: a column is missing, a cell cannot be read, a user is listed twice, the list is about another
    number of days, or nobody in it was to be looked after.
    """
    names = [path.resolve() for path in paths]
    if len(set(names)) < len(names):
        raise ListError(
            f"{next(p for p in paths if names.count(p.resolve()) > 1)}: is given twice; give each list once"
        )
    rows = pd.concat([_read(path, outcome_days) for path in paths], ignore_index=True)
    if not rows["segment"].eq("priority").any():
        raise ListError(f"{', '.join(map(str, paths))}: nobody in it is of the priority group, so there is no list to "
                        "follow up")  # fmt: skip
    return rows


def followed(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of `identified` → the priority group and everybody scored, (user_id, anchor_day) unique.

    A file that holds other segments too has everybody; the group is that of the lists proper where an anchor has one,
    since that is what the callers fill in. Raises ListError for the same list twice, and for lists and scores of one
    anchor that come from different runs.
    """
    key = ["user_id", "anchor_day"]
    whole = rows["file"].isin(rows.loc[rows["segment"] != "priority", "file"].unique())
    scores, lists = rows[whole], rows[~whole]
    for part in (lists, scores):
        if (twice := part.duplicated(key)).any():
            row = part[twice].iloc[0]
            files = part.loc[(part[key] == row[key]).all(axis=1), "file"].unique()
            raise ListError(f"{' and '.join(files)}: the user {row['written']!r} is listed more than once at "
                            f"{row['anchor_day']}; is it the same list twice? give each once")  # fmt: skip
    both = lists.merge(scores, on=key, suffixes=("", "_scored"))
    if ((both["p_churn"] - both["p_churn_scored"]).abs() > _ROUNDING).any():
        row = both.iloc[0]
        raise ListError(f"{row['file']} and {row['file_scored']}: have different p_churn for the same users at "
                        f"{row['anchor_day']}; give list and scores of the same run")  # fmt: skip
    listed = scores["anchor_day"].isin(lists["anchor_day"])
    group = pd.concat([lists, scores[~listed & (scores["segment"] == "priority")]], ignore_index=True)
    return group[~group["resting"]].reset_index(drop=True), scores.reset_index(drop=True)


def identified(
    rows: pd.DataFrame, users: pd.Series, pseudonyms: Callable[[pd.Series], pd.Series] | None
) -> pd.DataFrame:
    """Rows of `read_lists` and the users of the log → the same with the log's ids; as written where it has none such
    (`known` is false).

    pseudonyms: ids → pseudonyms, where there is a key for them. Raises ListError when no id of a file is the log's.
    """
    ids = spreadsheet.identify(rows["user_id"], users, pseudonyms(users) if pseudonyms else None)
    for file, part in rows.groupby("file", sort=False):
        if ids[part.index].isna().all():
            raise ListError(f"{file}: none of its ids is a user of the log{_why(part['user_id'], users, pseudonyms)}")
    return rows.assign(
        user_id=ids.where(ids.notna(), rows["user_id"].astype(object)), written=rows["user_id"], known=ids.notna()
    )


def _why(cells: pd.Series, users: pd.Series, pseudonyms: object) -> str:
    ids = (
        f" (the log has such as {str(users.iloc[0])!r}, the list such as {str(cells.iloc[0])!r})" if len(users) else ""
    )
    if pseudonyms is not None:
        return f"{ids}, nor a pseudonym of one with the key in TSCHURN_PSEUDONYM_KEY; is it the key of that list?"
    return f"{ids}; if the list has pseudonyms, set TSCHURN_PSEUDONYM_KEY to the key that they were made with"


def _read(path: Path, outcome_days: int) -> pd.DataFrame:
    cells = spreadsheet.read(path, COLUMNS)

    def where(column: str) -> str:
        return f"{path}, column `{column}`"

    for column in ("user_id", "anchor_day", "segment", "p_churn"):
        if cells[column].isna().any():
            raise ListError(f"{where(column)}, row {cells[column].isna().idxmax()}: is empty")
    if (rounded := spreadsheet.rounded(cells["user_id"])) is not None:
        raise ListError(f"{where('user_id')}: a spreadsheet has rounded the ids ({rounded}); fill the list in anew, "
                        "with that column read as text")  # fmt: skip
    frame = pd.DataFrame(
        {
            "file": str(path),
            "user_id": cells["user_id"],
            "anchor_day": spreadsheet.days(cells["anchor_day"], where("anchor_day")).dt.date,
            "segment": _segments(cells["segment"], where("segment")),
            "p_churn": _probabilities(cells["p_churn"], where("p_churn")),
            "p_sticker": _probabilities(cells["p_sticker"], where("p_sticker")),
            "holdout": spreadsheet.flags(cells["holdout"], where("holdout")),
            "contacted_on": spreadsheet.days(cells["contacted_on"], where("contacted_on")),
            "reason": cells.get(REASON),
            "resting": spreadsheet.flags(cells[RESTING], where(RESTING)).fillna(False) if RESTING in cells else False,
        }
    )
    if frame.empty:
        raise ListError(f"{path}: the list has no user")
    if (twice := frame.duplicated(["user_id", "anchor_day"])).any():
        raise ListError(f"{path}, row {twice.idxmax()}: the user {frame['user_id'][twice.idxmax()]!r} is listed twice")
    if (no := frame["holdout"].isna() & (frame["segment"] == "priority")).any():
        raise ListError(f"{where('holdout')}, row {no.idxmax()}: is empty; it says who was to be left alone, and "
                        "without it there is nothing to compare with")  # fmt: skip
    if OUTCOME in cells and (other := cells[OUTCOME].dropna() != str(outcome_days)).any():
        raise ListError(f"{where(OUTCOME)}, row {other.idxmax()}: {cells[OUTCOME][other.idxmax()]:.40}, but the "
                        f"experiment has {outcome_days}; give the experiment that the list came from")  # fmt: skip
    return _as_drawn(frame, path)


def _as_drawn(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The hold-out as it was drawn, where the list still stands beside in Parquet; edited: where it has changed."""
    beside = path.with_suffix(".parquet")
    frame = frame.assign(edited=False)
    if path == beside or not beside.is_file():
        return frame
    drawn = spreadsheet.read(beside, COLUMNS)
    days = spreadsheet.days(drawn["anchor_day"], f"{beside}, column `anchor_day`").dt.date
    keys = pd.MultiIndex.from_arrays([drawn["user_id"], days])
    flags = pd.Series(spreadsheet.flags(drawn["holdout"], f"{beside}, column `holdout`").to_numpy(), index=keys)
    mine = flags[~flags.index.duplicated()].reindex(pd.MultiIndex.from_frame(frame[["user_id", "anchor_day"]]))
    mine = pd.Series(mine.array, index=frame.index, dtype="boolean")
    edited = mine.notna() & frame["holdout"].notna() & (mine != frame["holdout"]).fillna(False)
    return frame.assign(holdout=frame["holdout"].where(~edited, mine), edited=edited.astype(bool))


def _segments(cells: pd.Series, where: str) -> pd.Series:
    found = cells.str.casefold().map(_SEGMENTS)
    if found.isna().any():
        row = found.isna().idxmax()
        raise ListError(f"{where}, row {row}: {cells[row]!r} is no segment{did_you_mean(cells[row], _SEGMENTS)}")
    return found


def _probabilities(cells: pd.Series, where: str) -> pd.Series:
    found = spreadsheet.numbers(cells, where)
    if (bad := ~found.between(0, 1) & found.notna()).any():
        raise ListError(
            f"{where}, row {bad.idxmax()}: expected a probability from 0 to 1, found {cells[bad.idxmax()]!r}"
        )
    return found
